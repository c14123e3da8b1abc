//! One non-blocking connection: TCP, unix-domain, or TLS over TCP, behind one read and one write.

use std::io::{self, IoSlice, Read, Write};

use mio::event::{Event, Source};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::target::Target;
use crate::tls::{TlsSession, TlsSettings};

/// The descriptor below a connection.
pub(crate) enum Socket {
    /// TCP on the loopback interface.
    Tcp(TcpStream),
    /// A unix-domain socket.
    Unix(UnixStream),
}

impl Socket {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// rustls hands out one slice per record; written one by one, the second waits for Nagle and the peer's late ACK.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, perhaps still being made.
pub(crate) struct Transport {
    socket: Socket,
    tls: Option<TlsSession>,
    /// A read came back short, so the kernel has no more until the next event: the call that would say so is saved.
    drained: bool,
    /// The peer has ended: there is no further event, so reads must go on to the end.
    ending: bool,
}

impl Transport {
    /// Starts to connect and registers for both directions, edge-triggered, once for the connection's whole life.
    pub(crate) fn connect(target: &Target, tls: Option<&TlsSettings>, registry: &Registry, token: Token, long_lived: bool) -> io::Result<Self> {
        let mut socket = match target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(*address)?;
                // A plain connection of one request cannot meet Nagle's delay; there the call is saved.
                if long_lived || tls.is_some() {
                    stream.set_nodelay(true)?;
                }
                Socket::Tcp(stream)
            }
            Target::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        registry.register(socket.source(), token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = tls.map(TlsSettings::session).transpose()?;
        Ok(Self { socket, tls, drained: true, ending: false })
    }

    /// Takes note of an event: what may be tried again, and how a connection attempt ended.
    pub(crate) fn ready(&mut self, event: &Event) -> io::Result<()> {
        if event.is_error() {
            let failure = match &self.socket {
                Socket::Tcp(stream) => stream.take_error()?,
                Socket::Unix(stream) => stream.take_error()?,
            };
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        if event.is_readable() {
            self.drained = false;
        }
        self.ending |= event.is_read_closed();
        if let Some(tls) = &mut self.tls {
            tls.send(&mut self.socket)?;
        }
        Ok(())
    }

    /// Reads what is there; `WouldBlock` until the next event, zero at the peer's end.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return receive(&mut self.socket, &mut self.drained, self.ending, bytes);
        };
        loop {
            if let Some(count) = tls.take(bytes)? {
                return Ok(count);
            }
            let (socket, drained, ending) = (&mut self.socket, &mut self.drained, self.ending);
            tls.feed(|raw| receive(socket, drained, ending, raw))?;
            tls.send(&mut self.socket)?;
        }
    }

    /// Writes what fits. Over TLS everything is taken at once and sent as the handshake and the kernel allow.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write(bytes);
        };
        let count = tls.accept(bytes)?;
        tls.send(&mut self.socket)?;
        Ok(count)
    }

    /// Whether the TLS session continued an earlier one.
    pub(crate) fn resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(TlsSession::resumed)
    }
}

fn receive(socket: &mut Socket, drained: &mut bool, ending: bool, bytes: &mut [u8]) -> io::Result<usize> {
    if *drained {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let outcome = socket.read(bytes);
    match &outcome {
        Ok(count) => *drained = *count < bytes.len() && !ending,
        Err(error) => *drained = error.kind() == io::ErrorKind::WouldBlock,
    }
    outcome
}
