//! A byte stream of any kind (TCP, unix-domain socket, pipe): its state, and the one read loop, write loop and end.
//!
//! In: source → (layer) → [sink]. Out: [requests] → (layer → outlet) → kernel. Most streams have no [layer].

pub mod copies;
pub mod end;
pub mod layer;
mod outlet;
pub mod read;
pub mod requests;
pub mod sink;
mod source;
pub mod write;

#[cfg(test)]
#[allow(dead_code, reason = "other tests use what these do not")]
#[path = "../../tests/common/toy.rs"]
mod toy;

use std::os::fd::{AsFd, OwnedFd};

use crate::flags::Flags;
use crate::sys::{self, Errno};
#[cfg(test)]
use layer::Layer;
use layer::Layered;
use requests::Requests;

/// JavaScript wants bytes.
pub const READING: u16 = 1;
/// The kernel may have bytes, or the end.
pub const READABLE: u16 = 1 << 1;
/// The kernel took everything so far.
pub const WRITABLE: u16 = 1 << 2;
/// The peer closed or the socket failed: behind the bytes comes the end, or an error.
pub const HUNG_UP: u16 = 1 << 3;
/// The end, or an error, was delivered.
pub const ENDED: u16 = 1 << 4;
/// What is read next is all until JavaScript, having had it, asks again: it may not want more then.
pub const ONCE: u16 = 1 << 5;
/// As [`ONCE`] says: JavaScript has been given something, and has not asked again.
pub const HELD: u16 = 1 << 6;
/// Recent reads were large: the next one goes to a lent block.
pub const BULK: u16 = 1 << 7;
/// `shutdown` waits for the write queue.
pub const ENDING: u16 = 1 << 8;
/// Given up by JavaScript; acknowledged bytes are still being sent.
pub const LINGERING: u16 = 1 << 9;
/// JavaScript was told that the kernel's buffer is full.
pub const PRESSED: u16 = 1 << 10;

/// Bytes, or the end, have been taken from the kernel.
pub const TAKEN: u16 = 1 << 11;
/// Both directions are at an end (`EPOLLHUP`), and where libuv is one that takes this for the end, so do we once the bytes
/// are read: a reset behind them is not told.
pub const OVER: u16 = 1 << 12;
/// A short read does not mean that nothing more is there: not until the kernel says so.
pub const UNSURE: u16 = 1 << 14;
/// As [`UNSURE`], always: what is no TCP socket ends a read where something lay beside the bytes (descriptors, a packet's
/// border), though more bytes lie behind it.
pub const LOCAL: u16 = 1 << 15;

/// One stream. Only ever touched under the reactor's lock.
#[derive(Debug)]
pub struct Stream {
    pub(crate) fd: OwnedFd,
    pub(crate) flags: Flags,
    /// The stamp of the batch with its last bytes.
    pub(crate) last_batch: u16,
    /// Bytes taken from the kernel, wrapping.
    pub(crate) taken: u32,
    /// What the kernel tells once and JavaScript has not heard: why a write failed, or reading. The next write, or the end
    /// of reading, tells.
    pub(crate) failure: Errno,
    /// Bytes not yet in the kernel; none while everything fits, which is nearly always.
    pub(crate) queue: Option<Box<Requests>>,
    /// What lies between that and the wire, if anything does.
    pub(crate) layer: Option<Box<Layered>>,
}

impl Stream {
    /// A stream over a connected, non-blocking descriptor, assumed writable until the kernel says otherwise. `local`: it is no
    /// TCP socket.
    #[must_use]
    pub fn new(fd: OwnedFd, local: bool) -> Self {
        Self { fd, flags: Flags::new(if local { WRITABLE | LOCAL } else { WRITABLE }), last_batch: 0, taken: 0, failure: 0, queue: None, layer: None }
    }

    /// A stream over a descriptor of any kind.
    pub(crate) fn of_any(fd: OwnedFd) -> Self {
        let local = !sys::is_tcp(fd.as_fd());
        Self::new(fd, local)
    }

    /// True while JavaScript reads and has not been told of the end.
    pub(crate) fn reads(&self) -> bool {
        self.flags.has_only(READING | ENDED, READING)
    }

    /// True when a turn has something to do for it, other than to give it the room that it lacks (`starved`).
    #[inline(never)]
    pub(crate) fn wants_turn(&self, starved: bool) -> bool {
        self.wants_to_write(starved) || (self.wants_to_read() && !starved)
    }

    /// The same of a stream without a layer, in a few instructions: it is asked of every stream several times a turn.
    #[inline(always)]
    pub(crate) fn wants_turn_as_wire(&self, starved: bool) -> bool {
        let due = || self.queue.as_ref().is_some_and(|queue| queue.is_due());
        (!starved && self.reads_wire()) || (self.may_write(starved) && due())
    }

    /// True when JavaScript reads and there may be something: the kernel's, or what lies ready in the layer.
    #[inline]
    pub(crate) fn wants_to_read(&self) -> bool {
        match &self.layer {
            None => self.reads_wire(),
            Some(layered) => self.reads() && !self.is_held() && layered.has_to_read(self.flags.has(READABLE)),
        }
    }

    /// The same of a stream without a layer.
    #[inline(always)]
    fn reads_wire(&self) -> bool {
        self.flags.has_only(READING | READABLE | ENDED, READING | READABLE) && !self.is_held()
    }

    /// True while JavaScript has not asked for more than it was given. What a peer that is gone has left, and its end, is told all the
    /// same: a write that fails behind it is told later.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.flags.has_only(HELD | HUNG_UP, HELD)
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        let sealed = if let Some(layered) = &self.layer { layered.outlet.len() } else { 0 };
        self.queue.as_ref().map_or(sealed, |queue| queue.bytes() + sealed)
    }

    /// True while anything waits to leave, or a failure to be told of.
    #[inline]
    pub(crate) fn is_leaving(&self) -> bool {
        self.queue.is_some() || self.layer.as_ref().is_some_and(|layered| layered.outlet.is_due())
    }

    /// True when the next flush has something to send.
    #[inline]
    fn is_due(&self) -> bool {
        match &self.layer {
            None => self.queue.as_ref().is_some_and(|queue| queue.is_due()),
            Some(layered) => layered.has_to_send(self.queue.as_deref(), self.failure != 0),
        }
    }

    /// True while the kernel does not take what waits.
    pub(crate) fn waits_to_write(&self) -> bool {
        !self.flags.has(WRITABLE) && self.is_due()
    }

    /// True when the kernel may take what waits.
    #[inline]
    pub(crate) fn wants_to_write(&self, starved: bool) -> bool {
        self.may_write(starved) && self.is_due()
    }

    /// True when the kernel may take something. A failure that is told once more has been read waits with the reading.
    #[inline(always)]
    fn may_write(&self, starved: bool) -> bool {
        self.flags.has(WRITABLE) && !((starved || self.is_held()) && self.failure != 0)
    }

    /// True while the kernel, or the layer, has more than it takes: what is written now does not leave at once.
    pub(crate) fn is_full(&self) -> bool {
        !self.flags.has(WRITABLE) || self.layer.as_ref().is_some_and(|layered| layered.keeps_waiting(self.queue.as_deref()))
    }

    /// Requests that asked for notice and have not left.
    pub(crate) fn awaited(&self) -> u32 {
        self.queue.as_ref().map_or(0, |queue| queue.awaited()) + self.layer.as_ref().map_or(0, |layered| layered.outlet.awaited())
    }

    /// Forgets what waits to leave; how many of the requests asked for notice. What a layer sealed before it broke leaves all the
    /// same.
    pub(crate) fn drop_requests(&mut self) -> u32 {
        let awaited = self.queue.take().map_or(0, |queue| queue.awaited());
        match self.layer.as_deref_mut() {
            Some(layered) if !layered.is_broken() || layered.outlet.has_failed() => awaited + layered.outlet.clear(),
            _ => awaited,
        }
    }

    /// Bytes that count as written and wait; none if that is not so of the next ones.
    pub(crate) fn owed(&self) -> Option<usize> {
        let sealed = self.layer.as_ref().is_some_and(|layered| !layered.outlet.is_empty());
        (sealed || self.queue.as_ref().is_some_and(|queue| queue.starts_acknowledged())).then(|| self.queued())
    }
}
