//! The `idle` mode: connections that are opened, held and never speak.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::args::{Args, bad};
use crate::target::Target;

/// Connections opened between pauses. Well below the usual backlog of 511: one dropped SYN costs a second.
const BATCH: usize = 64;
const PAUSE: Duration = Duration::from_millis(3);

/// Opens `--connections N`, says so on standard output, holds them until standard input ends, and reports how many the
/// server had closed by then.
pub(crate) fn run(args: &Args) -> io::Result<String> {
    let Target::Tcp(address) = Target::new(args)? else {
        return Err(bad("idle needs --port".to_owned()));
    };
    raise_descriptor_limit()?;
    let mut held = Vec::new();
    for index in 0..args.number("connections", 1_usize)? {
        if index % BATCH == BATCH - 1 {
            thread::sleep(PAUSE);
        }
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        held.push(stream);
    }
    let mut out = io::stdout().lock();
    writeln!(out, r#"{{"connected":{}}}"#, held.len())?;
    out.flush()?;
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    let alive = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    let lost = held.iter().filter(|stream| !alive(stream)).count();
    Ok(format!(r#"{{"held":{},"errors":{lost}}}"#, held.len()))
}

/// Lifts the soft limit to the hard one, as Node does for itself.
fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call only writes the structure, which lives on this stack frame.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call only reads the structure.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
