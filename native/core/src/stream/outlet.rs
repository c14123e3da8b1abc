//! What must leave a stream as it is, in order: bytes that its layer has sealed. Nothing of it is dropped while the kernel takes
//! any, as the peer would miss it in the middle of all that follows.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use crate::limits::{OUTLET_KEPT_BYTES, SEALED_AHEAD};
use crate::sys::{self, Errno};

/// A place among the bytes, and what has happened once they have left up to there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Counted from the first byte that ever went in.
    at: u64,
    /// So many requests that asked for notice have ended.
    notices: u32,
    /// So many bytes of the layer's own have left.
    own: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    bytes: Vec<u8>,
    /// How many of them have left.
    offset: usize,
    /// How many have left in all.
    left: u64,
    marks: VecDeque<Mark>,
    /// Bytes of the layer's own that wait.
    own: usize,
    /// The kernel takes nothing any more, and nobody has been told.
    failed: bool,
}

impl Outlet {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.offset
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True while there is something to send, or a failure to tell of.
    #[inline(never)]
    pub(crate) fn is_due(&self) -> bool {
        !self.is_empty() || self.failed || !self.marks.is_empty()
    }

    /// How much more is to be sealed now.
    pub(crate) fn room(&self) -> usize {
        SEALED_AHEAD.saturating_sub(self.len())
    }

    /// True while the peer provokes more than it takes.
    pub(crate) fn is_provoked(&self) -> bool {
        self.own >= SEALED_AHEAD
    }

    /// Takes what is sealed by the argument; `notices` requests that asked for notice end with it.
    pub(crate) fn take(&mut self, notices: u32, seal: impl FnOnce(&mut Vec<u8>)) {
        seal(&mut self.bytes);
        self.mark(notices, 0);
    }

    /// As [`Outlet::take`], what a layer has to say of its own.
    pub(crate) fn take_own<R>(&mut self, say: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let before = self.bytes.len();
        let result = say(&mut self.bytes);
        let own = self.bytes.len() - before;
        self.own += own;
        self.mark(0, own);
        result
    }

    fn mark(&mut self, notices: u32, own: usize) {
        if notices > 0 || own > 0 {
            self.marks.push_back(Mark { at: self.left + self.len() as u64, notices, own });
        }
    }

    /// Offers the kernel what waits; how many bytes it took. `done` counts requests that asked for notice and are in the kernel.
    pub(crate) fn send(&mut self, fd: BorrowedFd<'_>, done: &mut u32) -> Result<usize, Errno> {
        let taken = if self.is_empty() {
            0
        } else {
            match sys::write(fd, &self.bytes[self.offset..]) {
                Ok(taken) => taken,
                Err(errno) if errno == -libc::EAGAIN => 0,
                Err(errno) => {
                    self.failed = true;
                    return Err(errno);
                }
            }
        };
        self.offset += taken;
        self.left += taken as u64;
        while let Some(mark) = self.marks.front().filter(|mark| mark.at <= self.left) {
            *done += mark.notices;
            self.own -= mark.own;
            self.marks.pop_front();
        }
        if self.is_empty() {
            self.offset = 0;
            self.bytes.clear();
            // An idle connection holds no memory.
            if self.bytes.capacity() > OUTLET_KEPT_BYTES {
                self.bytes = Vec::new();
            }
        } else if self.offset > self.len() {
            self.bytes.drain(..self.offset);
            self.offset = 0;
        }
        Ok(taken)
    }

    /// Requests in it that asked for notice.
    pub(crate) fn awaited(&self) -> u32 {
        self.marks.iter().map(|mark| mark.notices).sum()
    }

    /// What waits, for another outlet.
    pub(crate) fn into_waiting(mut self) -> Vec<u8> {
        self.bytes.drain(..self.offset);
        self.bytes
    }

    /// True once the kernel takes nothing any more, until that is told of.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Nothing leaves any more; how many requests asked for notice.
    pub(crate) fn clear(&mut self) -> u32 {
        std::mem::take(self).awaited()
    }
}
