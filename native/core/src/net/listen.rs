//! A listener in the reactor: the only accept loop.

use std::os::fd::{AsFd, OwnedFd};

use crate::limits::TURN_ACCEPTS;
use crate::sys::{self, Reserve};

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    pub(crate) fd: OwnedFd,
    /// What it accepts is no TCP socket.
    pub(crate) local: bool,
    /// Somebody may wait.
    pub(crate) waits: bool,
    /// Others accept from it as well: what waits is left to whoever's JavaScript comes for it first.
    pub(crate) shared: bool,
    /// Shared: JavaScript knows that somebody waits, and will say when it has looked.
    pub(crate) told: bool,
    /// Shared: there may be more than JavaScript knows of.
    pub(crate) more: bool,
}

impl Listener {
    /// A listener over a listening, non-blocking descriptor.
    #[must_use]
    pub fn new(fd: OwnedFd, shared: bool) -> Self {
        let local = !sys::is_tcp(fd.as_fd());
        Self { fd, local, waits: false, shared, told: false, more: false }
    }
}

/// How an accept loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// Nobody waits any more.
    Drained,
    /// The listener's share of the turn is used up.
    More,
    /// Descriptors ran out and this many connections were shed; drained when nobody waits any more.
    Shed { count: u64, drained: bool },
    /// The kernel had none to give (ENOMEM, ENOBUFS), or no descriptor could be had to shed with.
    Failed,
}

impl Accepting {
    /// True if somebody may wait still: no new edge comes for them.
    pub(crate) fn leaves_some(self) -> bool {
        matches!(self, Self::More | Self::Failed | Self::Shed { drained: false, .. })
    }
}

/// Accepts what waits, `most` of it; `accepted` returns false when it has no room for another.
pub(crate) fn accept(listener: &mut Listener, reserve: &mut Reserve, most: usize, mut accepted: impl FnMut(OwnedFd) -> bool) -> Accepting {
    for _ in 0..most {
        match sys::accept(listener.fd.as_fd()) {
            Ok(connection) => {
                reserve.restore();
                if !accepted(connection) {
                    return Accepting::More;
                }
            }
            Err(errno) if errno == -libc::EAGAIN => {
                return Accepting::Drained;
            }
            // The peer gave up while it waited: the next one may be fine.
            Err(errno) if errno == -libc::ECONNABORTED || errno == -libc::EPROTO => {}
            Err(errno) if errno == -libc::EMFILE || errno == -libc::ENFILE => {
                return match reserve.shed(listener.fd.as_fd(), TURN_ACCEPTS) {
                    (0, false) => Accepting::Failed,
                    (count, drained) => Accepting::Shed { count, drained },
                };
            }
            Err(_) => return Accepting::Failed,
        }
    }
    Accepting::More
}
