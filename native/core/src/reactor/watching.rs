//! What the kernel is asked to tell of a socket, of whatever kind.
//!
//! Readiness to write is asked for while something waits to be written, and no sooner: a unix-domain socket and a datagram
//! socket tell of it each time that something of theirs was taken, which would be a turn for nothing with every message. TCP
//! tells only after its buffer was full, so there it is never taken back, and a sender that fills the buffer again and again
//! pays one call of the kernel for that in its life.

use std::os::fd::{AsRawFd, RawFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::{DIRECT, Entry, REGISTERED, Reactor, WASTED, WRITING};
use crate::sys::{self, Errno};
use crate::table::Id;
use crate::{dgram, stream};

/// What the kernel tells of a stream: urgent bytes are among it because a read ends at them, though more lies behind.
const STREAM: Interest = Interest::READABLE.add(Interest::PRIORITY);

pub(super) fn token(id: Id) -> Token {
    Token((id.generation as usize) << 32 | id.slot as usize)
}

pub(super) fn id_of(token: Token) -> Id {
    Id { slot: u32::try_from(token.0 & 0xffff_ffff).expect("masked"), generation: u32::try_from(token.0 >> 32).expect("shifted") }
}

impl Entry {
    fn fd(&self) -> Option<RawFd> {
        Some(match self {
            Self::Vacant => return None,
            Self::Listener(listener) => listener.fd.as_raw_fd(),
            Self::Connecting(fd) => fd.as_raw_fd(),
            Self::Stream(stream) => stream.fd.as_raw_fd(),
            Self::Datagram(socket) => socket.fd.as_raw_fd(),
            Self::Process(child) => child.fd.as_raw_fd(),
        })
    }

    /// True while the kernel has to say when it takes more, or whether an attempt succeeded.
    fn waits_to_write(&self) -> bool {
        match self {
            Self::Vacant | Self::Listener(_) | Self::Process(_) => false,
            Self::Connecting(_) => true,
            Self::Stream(stream) => stream.waits_to_write(),
            Self::Datagram(socket) => socket.waits_to_send(),
        }
    }

    fn interest(&self, writing: bool) -> Interest {
        let reading = if matches!(self, Self::Stream(_) | Self::Connecting(_)) { STREAM } else { Interest::READABLE };
        if writing { reading.add(Interest::WRITABLE) } else { reading }
    }
}

impl Reactor {
    /// Has the kernel tell what matters of a socket now. The first time that anything does registers it: a connection that is
    /// only passed on to another process never gets there.
    pub(super) fn watch(&mut self, id: Id) -> Result<(), Errno> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        let Some(fd) = slot.entry.fd() else { return Ok(()) };
        let (known, writing) = (slot.state.has(REGISTERED), slot.entry.waits_to_write());
        if known && !writing {
            return Ok(());
        }
        slot.state.clear(WASTED);
        if known && slot.state.has(WRITING) {
            return Ok(());
        }
        let interest = slot.entry.interest(writing);
        if slot.state.has(DIRECT) {
            self.forget_direct(id);
        }
        let registry = self.poll.registry();
        let watched =
            if known { registry.reregister(&mut SourceFd(&fd), token(id), interest) } else { registry.register(&mut SourceFd(&fd), token(id), interest) };
        let Some(slot) = self.slot(id) else { return Ok(()) };
        match (watched.map_err(|error| sys::errno_of(&error)), &mut slot.entry) {
            (Ok(()), _) => slot.state.set(if writing { REGISTERED | WRITING } else { REGISTERED }),
            // A regular file or a directory is always ready and cannot be watched.
            (Err(errno), Entry::Stream(stream)) if errno == -libc::EPERM => stream.flags.set(stream::READABLE | stream::WRITABLE | stream::HUNG_UP),
            (Err(errno), _) => return Err(errno),
        }
        Ok(())
    }

    /// The kernel has told that it takes more of a socket for which nothing waits. After the second time in a row it is not
    /// asked any more; a sender under pressure has filled the buffer again by then.
    pub(super) fn waste(&mut self, id: Id) {
        let Some(slot) = self.slot(id).filter(|slot| slot.state.has(WRITING)) else { return };
        let idle = match &slot.entry {
            Entry::Stream(stream) => stream.flags.has(stream::LOCAL) && !stream.is_leaving(),
            Entry::Datagram(socket) => socket.flags.has(dgram::WRITABLE) && socket.outbound.is_empty(),
            _ => false,
        };
        if !idle {
            return;
        }
        if !slot.state.has(WASTED) {
            return slot.state.set(WASTED);
        }
        let (fd, interest) = (slot.entry.fd().unwrap_or(-1), slot.entry.interest(false));
        // Should that fail it is told of once more.
        if self.poll.registry().reregister(&mut SourceFd(&fd), token(id), interest).is_ok()
            && let Some(slot) = self.slot(id)
        {
            slot.state.clear(WRITING | WASTED);
        }
    }

    /// Ends the kernel's watch over a socket that is about to close or is watched otherwise; false if that cannot be.
    /// Deregistering before a close matters when the descriptor was duplicated (sent to another process): the kernel keeps a
    /// registration for as long as any duplicate lives.
    pub(super) fn unwatch(&mut self, id: Id) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let (Some(fd), true) = (slot.entry.fd(), slot.state.has(REGISTERED)) else { return true };
        if self.poll.registry().deregister(&mut SourceFd(&fd)).is_err() {
            return false;
        }
        if let Some(slot) = self.slot(id) {
            slot.state.clear(REGISTERED | WRITING | WASTED);
        }
        true
    }
}
