//! A datagram socket in the reactor: one receive loop, one send loop, and what waits on either side of them.
//!
//! Nothing here waits. What JavaScript has not taken waits in a bounded queue ([`receive`]); what the kernel has not
//! taken waits in order ([`send`]).

pub mod receive;
pub mod send;

use std::os::fd::OwnedFd;

use crate::flags::Flags;
use crate::sys::Errno;
use receive::Arrived;
use send::Outbound;

/// JavaScript wants messages.
pub(crate) const RECEIVING: u16 = 1;
/// The kernel may have messages.
pub(crate) const READABLE: u16 = 1 << 1;
/// The kernel reported an error: it is fetched by reading on until there is nothing.
pub(crate) const ERRED: u16 = 1 << 2;
/// The kernel takes messages.
pub(crate) const WRITABLE: u16 = 1 << 3;
/// JavaScript knows that messages wait.
pub(crate) const PRESSED: u16 = 1 << 7;
/// Datagrams came in a crowd, and the kernel was asked for what helps then.
pub(crate) const CROWDED: u16 = 1 << 8;
/// The program has said how much the kernel holds for it.
pub(crate) const OWN_BUFFER: u16 = 1 << 9;
/// Other processes may read from the descriptor: whoever knows nothing of joined datagrams must not meet one, and what this
/// process has no time for is theirs.
pub(crate) const SHARED: u16 = 1 << 10;

/// Given up by JavaScript; messages that count as sent still wait.
pub(crate) const LINGERING: u16 = 1 << 11;

/// See the module.
#[derive(Debug)]
pub struct Datagram {
    pub(crate) fd: OwnedFd,
    pub(crate) flags: Flags,
    pub(crate) arrived: Arrived,
    /// An error of receiving that JavaScript has not been told of, 0 without: the newest of a storm, as the kernel
    /// keeps one.
    pub(crate) failure: Errno,
    pub(crate) outbound: Outbound,
    /// Messages that the kernel had dropped at it when the counters were set back.
    pub(crate) dropped_before: u32,
}

impl Datagram {
    /// A socket that nothing is known of.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, flags: Flags::new(WRITABLE), arrived: Arrived::default(), failure: 0, outbound: Outbound::default(), dropped_before: 0 }
    }

    /// Messages or an error for JavaScript are here or may be in the kernel.
    pub(crate) fn wants_to_deliver(&self) -> bool {
        self.flags.has(RECEIVING) && (self.flags.has(READABLE) || self.failure != 0 || !self.arrived.is_empty())
    }

    /// The kernel does not take what waits.
    pub(crate) fn waits_to_send(&self) -> bool {
        !self.flags.has(WRITABLE) && !self.outbound.is_empty()
    }

    /// The kernel may take what waits.
    pub(crate) fn wants_to_send(&self) -> bool {
        self.flags.has(WRITABLE) && !self.outbound.is_empty()
    }
}
