//! The other end of a connection, which speaks what the reactor's end speaks: the wire itself, or the toy layer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::toy::Toy;
use tsloop_core::stream::layer::Layer;

/// What lies between a stream's bytes and the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Wire,
    Toy,
}

/// All of them.
pub(crate) const LAYERS: [Over; 2] = [Over::Wire, Over::Toy];

impl Over {
    pub(crate) fn toy(self) -> Option<Toy> {
        (self == Self::Toy).then(Toy::new)
    }
}

/// What a peer's end of a connection can do.
pub(crate) trait End: Read + Write + AsRawFd + Send {
    fn half_close(&self) -> std::io::Result<()>;
    fn block(&self, blocks: bool);
}

impl End for TcpStream {
    fn half_close(&self) -> std::io::Result<()> {
        TcpStream::shutdown(self, Shutdown::Write)
    }

    fn block(&self, blocks: bool) {
        self.set_nonblocking(!blocks).expect("a flag");
    }
}

impl End for UnixStream {
    fn half_close(&self) -> std::io::Result<()> {
        UnixStream::shutdown(self, Shutdown::Write)
    }

    fn block(&self, blocks: bool) {
        self.set_nonblocking(!blocks).expect("a flag");
    }
}

/// A peer's end.
#[derive(Debug)]
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    pub(crate) toy: Option<Toy>,
    /// Says nothing of its layer's own, and so nothing at all from then on: who closes over unread bytes resets.
    pub(crate) quiet: bool,
}

impl<S: End> Peer<S> {
    pub(crate) fn new(stream: S, over: Over) -> Self {
        Self { stream, toy: over.toy(), quiet: false }
    }

    /// Speaks as this toy, which may have something to say first.
    pub(crate) fn speaking(mut stream: S, mut toy: Toy) -> Self {
        let mut out = Vec::new();
        toy.begin(&mut out);
        stream.write_all(&out).expect("room");
        Self { stream, toy: Some(toy), quiet: false }
    }

    /// Waits until the other has introduced itself.
    pub(crate) fn meet(&mut self) {
        while let Some(toy) = self.toy.as_mut().filter(|toy| !toy.seals()) {
            let mut wire = [0; 64];
            let count = self.stream.read(&mut wire).expect("a hello");
            assert!(count > 0, "a hello");
            let mut out = Vec::new();
            toy.open(&mut wire[..count], &mut out).expect("frames");
            if toy.has_work() {
                toy.work(&mut out).expect("frames");
            }
            self.stream.write_all(&out).expect("room");
        }
    }

    /// Says that nothing follows, in every language that it speaks.
    pub(crate) fn half_close(&mut self) -> std::io::Result<()> {
        if let Some(toy) = &mut self.toy {
            let mut out = Vec::new();
            toy.say_last(&mut out);
            self.stream.write_all(&out)?;
        }
        self.stream.half_close()
    }

    /// Sends bytes and half-closes, reads to the end meanwhile, and says what that was.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.stream.block(false);
        let (mut unsent, mut sealed, mut received) = (bytes, Vec::new(), Vec::new());
        let (mut says, mut ends) = (true, true);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if sealed.is_empty() && !unsent.is_empty() {
                let (some, rest) = unsent.split_at(unsent.len().min(20_000));
                unsent = rest;
                match &mut self.toy {
                    Some(toy) => toy.seal(&[some], &mut sealed),
                    None => sealed.extend(some),
                }
            }
            if unsent.is_empty()
                && std::mem::take(&mut says)
                && let Some(toy) = &mut self.toy
            {
                toy.say_last(&mut sealed);
            }
            if sealed.is_empty() && !says && std::mem::take(&mut ends) {
                self.stream.half_close().expect("to half-close");
            }
            let events = if sealed.is_empty() { libc::POLLIN } else { libc::POLLIN | libc::POLLOUT };
            let mut entry = libc::pollfd { fd: self.stream.as_raw_fd(), events, revents: 0 };
            // SAFETY: one entry of ours.
            assert!(unsafe { libc::poll(&raw mut entry, 1, 30_000) } == 1, "an exchange that goes on");
            if !sealed.is_empty() {
                match self.stream.write(&sealed) {
                    Ok(count) => drop(sealed.drain(..count)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "to send"),
                }
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return received,
                Ok(count) => match &mut self.toy {
                    Some(toy) => {
                        // It says nothing behind its last.
                        let mut unheard = Vec::new();
                        toy.open(&mut buffer[..count], if says { &mut sealed } else { &mut unheard }).expect("frames");
                        let ready = toy.ready();
                        received.resize(received.len() + ready, 0);
                        let at = received.len() - ready;
                        toy.take(&mut received[at..]);
                    }
                    None => received.extend(&buffer[..count]),
                },
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "an orderly end"),
            }
        }
    }
}

impl<S: End> Read for Peer<S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some(toy) = &mut self.toy else { return self.stream.read(into) };
        let mut wire = [0; 16 * 1024];
        while toy.ready() == 0 && !toy.is_over() {
            let count = self.stream.read(&mut wire)?;
            if count == 0 {
                assert_eq!(toy.cut_short(), tsloop_core::event::UV_EOF, "whole frames");
                return Ok(0);
            }
            let mut out = Vec::new();
            toy.open(&mut wire[..count], &mut out).expect("frames");
            if toy.has_work() {
                toy.work(&mut out).expect("frames");
            }
            if !self.quiet {
                // Whoever has closed by now does not want to hear it.
                let _ = self.stream.write_all(&out);
            }
        }
        Ok(toy.take(into))
    }
}

impl<S: End> Write for Peer<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(toy) = &mut self.toy else { return self.stream.write(bytes) };
        let mut out = Vec::new();
        toy.seal(&[bytes], &mut out);
        self.stream.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl<S: AsFd> AsFd for Peer<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Closing this end resets the connection.
pub(crate) fn reset(peer: impl AsFd) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("linger");
}
