//! The `bulk` mode: large writes as fast as the server takes them. The server either sends everything back, and every
//! byte is compared, or swallows it and answers with the number of bytes once we have ended.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::args::{Args, bad};
use crate::exchange::payload;
use crate::target::Target;
use crate::window::{Phase, Window};

/// One operation is this many bytes, whatever the pieces were.
const OPERATION: u64 = 64 * 1024;
/// How long a sink may take to count what is still in flight when the window is over.
const PATIENCE: Duration = Duration::from_secs(10);

struct Flow {
    stream: mio::net::TcpStream,
    pattern: Vec<u8>,
    sent: u64,
    received: u64,
    queued: bool,
    /// What had moved when the window opened.
    before: u64,
}

/// Drives `--connections N` with writes of `--size` bytes; `--sink` where nothing comes back.
pub(crate) fn run(args: &Args) -> io::Result<String> {
    let Target::Tcp(address) = Target::new(args)? else {
        return Err(bad("bulk needs --port".to_owned()));
    };
    let sink = args.has("sink");
    let size: usize = args.number("size", 64 * 1024)?;
    let mut window = Window::new(args)?;
    let mut poll = Poll::new()?;
    let mut flows = Vec::new();
    for index in 0..args.number("connections", 1)? {
        let mut stream = mio::net::TcpStream::connect(address)?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        flows.push(Flow { stream, pattern: payload(size, index), sent: 0, received: 0, queued: false, before: 0 });
    }
    let mut buffer = vec![0; 256 * 1024];
    let mut events = Events::with_capacity(64);
    // Readiness is edge-triggered, and a flow must not be served until it blocks, or the others starve: what is still
    // ready waits here for its next turn.
    let mut ready: VecDeque<usize> = VecDeque::new();
    loop {
        let now = Instant::now();
        match window.tick(now)? {
            Phase::Over => {
                let shares: Vec<u64> = flows.iter().map(|flow| flow.moved(sink) - flow.before).collect();
                window.progress(shares.iter().sum::<u64>() / OPERATION);
                let more = fairness(&shares).map(|fair| format!(r#","fairness":{fair:.4}"#)).unwrap_or_default();
                let line = window.report(now, &more)?;
                // The counts come after the numbers were taken, but a wrong one still spoils the run.
                if sink {
                    settle(flows)?;
                }
                return Ok(line);
            }
            Phase::Opened => flows.iter_mut().for_each(|flow| flow.before = flow.moved(sink)),
            Phase::Running => {}
        }
        let patience = if ready.is_empty() { window.patience(now) } else { Duration::ZERO };
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            let index = event.token().0;
            if !flows[index].queued {
                flows[index].queued = true;
                ready.push_back(index);
            }
        }
        for _ in 0..ready.len() {
            let Some(index) = ready.pop_front() else {
                break;
            };
            let flow = &mut flows[index];
            let wrote = progressed(flow.write())?;
            let read = !sink && progressed(flow.read(&mut buffer))?;
            flow.queued = wrote || read;
            if flow.queued {
                ready.push_back(index);
            }
        }
    }
}

fn progressed(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The smallest share over the largest: one is fair, zero means that somebody starved. None where there are not two.
fn fairness(shares: &[u64]) -> Option<f64> {
    let (least, most) = (shares.iter().min()?, shares.iter().max()?);
    (shares.len() > 1 && *most > 0).then(|| *least as f64 / *most as f64)
}

impl Flow {
    /// Bytes that came back, or that the sink and the kernel took: its buffers are full before the window opens.
    fn moved(&self, sink: bool) -> u64 {
        if sink { self.sent } else { self.received }
    }

    fn write(&mut self) -> io::Result<()> {
        let from = (self.sent % self.pattern.len() as u64) as usize;
        self.sent += self.stream.write(&self.pattern[from..])? as u64;
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let count = self.stream.read(buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            let from = (self.received % self.pattern.len() as u64) as usize;
            let length = bytes.len().min(self.pattern.len() - from);
            if bytes[..length] != self.pattern[from..from + length] {
                return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came back than were sent"));
            }
            self.received += length as u64;
            bytes = &bytes[length..];
        }
        if self.received > self.sent {
            return Err(io::Error::new(ErrorKind::InvalidData, "more bytes came back than were sent"));
        }
        Ok(())
    }
}

/// Ends every flow and compares the sink's count with ours.
fn settle(flows: Vec<Flow>) -> io::Result<()> {
    for flow in flows {
        let sent = flow.sent;
        // SAFETY: `into_raw_fd` gives the descriptor up, so the new stream is its only owner.
        let mut stream = unsafe { TcpStream::from_raw_fd(flow.stream.into_raw_fd()) };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.trim().parse() != Ok(sent) {
            let what = format!("{sent} bytes were sent, the sink counted {answer:?}");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fairness;

    #[test]
    fn one_that_starves_is_seen() {
        assert_eq!(fairness(&[4, 4, 4]), Some(1.0));
        assert_eq!(fairness(&[4, 1, 8]), Some(0.125));
        assert_eq!(fairness(&[4, 0]), Some(0.0));
        assert_eq!(fairness(&[4]), None);
        assert_eq!(fairness(&[0, 0]), None);
    }
}
