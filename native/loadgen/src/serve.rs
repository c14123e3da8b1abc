//! The `serve` mode: a small HTTP responder, the peer of the client cells where nginx is not installed.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::args::Args;
use crate::exchange::fixed_body;

const LISTENER: Token = Token(0);

struct Peer {
    stream: TcpStream,
    /// How much of the blank line that ends a request has been seen.
    matched: usize,
    pending: Vec<u8>,
}

/// Answers every GET with `--size` bytes, on a port it prints, until it is killed.
pub(crate) fn run(args: &Args) -> io::Result<String> {
    let body = fixed_body(args.number("size", 64)?);
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);

    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut out = io::stdout().lock();
    writeln!(out, r#"{{"port":{}}}"#, listener.local_addr()?.port())?;
    out.flush()?;

    let mut peers: HashMap<Token, Peer> = HashMap::new();
    let mut next = LISTENER.0;
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    next += 1;
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE | Interest::WRITABLE)?;
                    peers.insert(Token(next), Peer { stream, matched: 0, pending: Vec::new() });
                }
            } else if let Some(peer) = peers.get_mut(&event.token())
                && peer.turn(&mut buffer, &answer).is_err()
            {
                // A client that leaves or breaks concerns nobody else.
                peers.remove(&event.token());
            }
        }
    }
}

impl Peer {
    fn turn(&mut self, buffer: &mut [u8], answer: &[u8]) -> io::Result<()> {
        loop {
            self.flush()?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    for _ in 0..self.requests(&buffer[..count]) {
                        self.pending.extend_from_slice(answer);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.flush(),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many requests end in `bytes`. They carry no bodies: a blank line is the end.
    fn requests(&mut self, bytes: &[u8]) -> usize {
        let mut ended = 0;
        for &byte in bytes {
            self.matched = match byte {
                b'\r' if self.matched == 2 => 3,
                b'\r' => 1,
                b'\n' if self.matched == 1 || self.matched == 3 => self.matched + 1,
                _ => 0,
            };
            if self.matched == 4 {
                self.matched = 0;
                ended += 1;
            }
        }
        ended
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
