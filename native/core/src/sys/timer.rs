//! A timer that is a descriptor.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::{Errno, last_errno};

/// Becomes readable at its time.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Timer {
    /// One that is not set.
    ///
    /// # Errors
    /// The negative errno, where there is no descriptor to have.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: a plain call.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(last_errno());
        }
        // SAFETY: just made, and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Rings after so long, once, whatever it was set to before.
    ///
    /// # Errors
    /// The negative errno.
    pub fn set(&self, after: Duration) -> Result<(), Errno> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // No time at all would take it back instead.
        let after = after.max(Duration::from_nanos(1));
        let value = libc::timespec { tv_sec: after.as_secs().try_into().unwrap_or(libc::time_t::MAX), tv_nsec: after.subsec_nanos().into() };
        let set = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: our descriptor and a local.
        if unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const set, ptr::null_mut()) } < 0 {
            return Err(last_errno());
        }
        Ok(())
    }
}
