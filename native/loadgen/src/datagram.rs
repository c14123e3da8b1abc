//! The datagram modes: `udp-echo` keeps so many under way and checks what comes back, `udp-flood` sends as many as it can,
//! `udp-sink` takes what a program sends and looks at none of it.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::args::{Args, bad};
use crate::exchange::payload;
use crate::target::Target;
use crate::window::{Phase, Window};

/// A datagram older than this is taken for lost, and another one sent in its place.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// Datagrams handed to the kernel by one call of the flood.
const BURST: usize = 32;
/// Datagrams that the kernel cuts out of one message of the flood, where it is asked to.
const GROUP: usize = 32;
/// `UDP_SEGMENT` of `linux/udp.h`.
const UDP_SEGMENT: libc::c_int = 103;
/// Bytes of the number that each datagram begins with.
const TAG: usize = 8;

/// One socket: its pattern, and when each datagram under way was sent, by its number.
struct Client {
    socket: UdpSocket,
    pattern: Vec<u8>,
    next: u64,
    pending: Vec<(u64, Instant)>,
}

impl Client {
    fn send(&mut self, now: Instant) -> io::Result<()> {
        self.pattern[..TAG].copy_from_slice(&self.next.to_le_bytes());
        self.socket.send(&self.pattern)?;
        self.pending.push((self.next, now));
        self.next += 1;
        Ok(())
    }

    /// How long an answer took; none for one that was given up before.
    fn answered(&mut self, bytes: &[u8], now: Instant) -> io::Result<Option<Duration>> {
        if bytes.len() != self.pattern.len() || bytes[TAG..] != self.pattern[TAG..] {
            return Err(io::Error::new(ErrorKind::InvalidData, "the answer is not what was sent"));
        }
        let number = u64::from_le_bytes(*bytes.first_chunk().expect("longer than a tag"));
        let Some(at) = self.pending.iter().position(|(sent, _)| *sent == number) else { return Ok(None) };
        Ok(Some(now - self.pending.swap_remove(at).1))
    }
}

fn target(args: &Args) -> io::Result<SocketAddr> {
    match Target::new(args)? {
        Target::Tcp(address) => Ok(address),
        Target::Unix(_) => Err(bad("datagrams need --port".to_owned())),
    }
}

/// `--sockets N` with `--window N` datagrams of `--size` bytes under way on each.
pub(crate) fn echo(args: &Args) -> io::Result<String> {
    let address = target(args)?;
    let size: usize = args.number("size", 64)?;
    if size < TAG {
        return Err(bad(format!("--size is at least {TAG}")));
    }
    let share: usize = args.number("window", 8)?;
    let mut window = Window::new(args)?;
    let mut poll = Poll::new()?;
    let mut clients = Vec::new();
    for index in 0..args.number("sockets", 16)? {
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        socket.connect(address)?;
        poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
        let mut client = Client { socket, pattern: payload(size, index), next: 0, pending: Vec::new() };
        for _ in 0..share {
            client.send(Instant::now())?;
        }
        clients.push(client);
    }
    let mut lost = 0_u64;
    let mut swept = Instant::now();
    let mut events = Events::with_capacity(clients.len().max(64));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = Instant::now();
        match window.tick(now)? {
            Phase::Over => return window.report(now, &format!(r#","lost":{lost}"#)),
            Phase::Opened => lost = 0,
            Phase::Running => {}
        }
        if now - swept > LOST_AFTER {
            swept = now;
            for client in &mut clients {
                client.pending.retain(|(_, sent)| now - *sent < LOST_AFTER);
                for _ in client.pending.len()..share {
                    lost += 1;
                    client.send(now)?;
                }
            }
        }
        match poll.poll(&mut events, Some(window.patience(now).min(LOST_AFTER))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            loop {
                match client.socket.recv(&mut buffer) {
                    Ok(count) => {
                        let now = Instant::now();
                        match client.answered(&buffer[..count], now) {
                            Ok(Some(latency)) => {
                                window.answer(latency);
                                client.send(now)?;
                            }
                            Ok(None) => {}
                            Err(error) => window.fault(&error)?,
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Datagrams of `--size` bytes, as many as the kernel takes (more of them by `--groups`), or `--rate N` a second, for
/// `--seconds`.
pub(crate) fn flood(args: &Args) -> io::Result<String> {
    let socket = std::net::UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.connect(target(args)?)?;
    let mut bytes = payload(args.number("size", 64)?, 0);
    let rate: u64 = args.number("rate", 0)?;
    let group = if args.has("groups") { GROUP } else { 1 };
    let segment = libc::c_int::try_from(bytes.len()).map_err(|_| bad("--size is too large".to_owned()))?;
    bytes = bytes.repeat(group);
    if group > 1 {
        let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
        // SAFETY: the pointer is to a local of the size told.
        if unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, UDP_SEGMENT, (&raw const segment).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: null pointers and zero lengths are a header without anything.
    let mut headers: Vec<libc::mmsghdr> = (0..BURST / group).map(|_| unsafe { std::mem::zeroed() }).collect();
    for header in &mut headers {
        header.msg_hdr.msg_iov = &raw mut vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    let begun = Instant::now();
    let most = Duration::from_secs_f64(args.number("seconds", 3.0)?);
    let count = libc::c_uint::try_from(headers.len()).expect("small");
    let mut sent = 0_u64;
    while begun.elapsed() < most {
        if rate > 0 && sent as f64 > begun.elapsed().as_secs_f64() * rate as f64 {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        // SAFETY: headers, the one vector and its bytes live across the call, which only reads them.
        let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        // A full buffer, or an error that an earlier datagram brought back: neither ends a flood.
        sent += u64::try_from(taken).unwrap_or(0) * group as u64;
    }
    Ok(format!(r#"{{"sent":{sent}}}"#))
}

/// A socket that takes whatever comes, on a port it prints, until it is killed.
pub(crate) fn sink(_args: &Args) -> io::Result<String> {
    let socket = std::net::UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let mut out = io::stdout().lock();
    writeln!(out, r#"{{"port":{}}}"#, socket.local_addr()?.port())?;
    out.flush()?;
    let mut byte = 0_u8;
    let mut vector = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    // SAFETY: as in `flood`.
    let mut headers: Vec<libc::mmsghdr> = (0..BURST).map(|_| unsafe { std::mem::zeroed() }).collect();
    for header in &mut headers {
        header.msg_hdr.msg_iov = &raw mut vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    loop {
        // SAFETY: as in `flood`; the one byte is overwritten by every message, and the rest of each is cut off.
        unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BURST as libc::c_uint, libc::MSG_WAITFORONE as _, ptr::null_mut()) };
        std::thread::sleep(Duration::from_millis(1));
    }
}
