//! A byte stream of any kind (TCP, unix-domain socket, pipe): its state, and the one read loop, write loop and end.

pub mod copies;
pub mod end;
pub mod read;
pub mod sink;
mod source;
pub mod write;

use std::os::fd::{AsFd, OwnedFd};

use crate::flags::Flags;
use crate::sys::{self, Errno};
use write::Queue;

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
    pub(crate) queue: Option<Box<Queue>>,
}

impl Stream {
    /// A stream over a connected, non-blocking descriptor, assumed writable until the kernel says otherwise. `local`: it is no
    /// TCP socket.
    #[must_use]
    pub fn new(fd: OwnedFd, local: bool) -> Self {
        Self { fd, flags: Flags::new(if local { WRITABLE | LOCAL } else { WRITABLE }), last_batch: 0, taken: 0, failure: 0, queue: None }
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

    /// True when JavaScript reads and the kernel may have something.
    pub(crate) fn wants_to_read(&self) -> bool {
        self.flags.has_only(READING | READABLE | ENDED, READING | READABLE)
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// True while the kernel does not take what waits.
    pub(crate) fn waits_to_write(&self) -> bool {
        !self.flags.has(WRITABLE) && self.queue.as_ref().is_some_and(|queue| queue.is_due())
    }

    /// True when the kernel may take what waits. A failure that is told once more has been read waits with the reading.
    pub(crate) fn wants_to_write(&self, starved: bool) -> bool {
        self.flags.has(WRITABLE) && !(starved && self.failure != 0) && self.queue.as_ref().is_some_and(|queue| queue.is_due())
    }
}
