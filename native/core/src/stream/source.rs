//! Where a stream's bytes come from: its descriptor, and what the kernel's edges say of what lies behind them.

use std::os::fd::BorrowedFd;

use super::{HUNG_UP, LOCAL, OVER, READABLE, TAKEN, UNSURE};
use crate::flags::Flags;
use crate::sys::{self, Errno};

/// What a try to fill memory came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// So many bytes.
    Bytes(usize, Behind),
    /// None for now: what comes later is a new edge.
    Drained,
    /// None any more.
    End,
    /// The connection is gone.
    Failed(Errno),
}

/// What lies behind bytes, as far as the kernel has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// More, most likely: they filled the memory.
    More,
    /// Perhaps more, though they did not.
    Perhaps,
    /// Nothing, for now.
    Nothing,
    /// The end, or an error, for which the kernel has to be asked.
    End,
    /// The end, whatever the kernel would say.
    Over,
}

/// Fills memory from a descriptor once.
///
/// # Safety
/// `memory` is valid for writes of `length` bytes, and nobody reads it meanwhile.
#[inline(always)]
pub(crate) unsafe fn fill(fd: BorrowedFd<'_>, flags: &mut Flags, memory: *mut u8, length: usize) -> Filled {
    // SAFETY: promised by the caller.
    match unsafe { sys::read_raw(fd, memory, length) } {
        Ok(0) => Filled::End,
        Ok(count) => {
            flags.set(TAKEN);
            Filled::Bytes(count, if count == length { Behind::More } else { behind(flags) })
        }
        Err(errno) if errno == -libc::EAGAIN => {
            flags.clear(READABLE | HUNG_UP | UNSURE);
            Filled::Drained
        }
        Err(errno) => Filled::Failed(errno),
    }
}

/// What lies behind a read that did not fill its memory.
#[inline(always)]
fn behind(flags: &mut Flags) -> Behind {
    let gone = flags.has(HUNG_UP);
    if flags.has(UNSURE) || (flags.has(LOCAL) && (!gone || flags.has(OVER))) {
        return Behind::Perhaps;
    }
    if flags.has(OVER) {
        return Behind::Over;
    }
    if gone {
        return Behind::End;
    }
    // Edge-triggered readiness: a read that did not fill its buffer has emptied the kernel's, and
    // whatever comes later is a new edge. No second call to be told EAGAIN.
    flags.clear(READABLE);
    Behind::Nothing
}
