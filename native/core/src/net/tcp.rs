//! TCP sockets before they reach the reactor: made, bound, listening, connecting, as libuv 1.51 `src/unix/tcp.c` does.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys::{self, Errno, errno_of};

/// `UV_TCP_IPV6ONLY`.
pub const IPV6_ONLY: u32 = 1;
/// `UV_TCP_REUSEPORT`.
pub const REUSE_PORT: u32 = 2;

fn socket(v6: bool) -> Result<OwnedFd, Errno> {
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP)).map(OwnedFd::from).map_err(|error| errno_of(&error))
}

/// What a socket was before a call and is after it: calls make it when it is not there yet.
#[derive(Debug, Default)]
pub struct Slot(pub Option<OwnedFd>);

impl Slot {
    fn get(&mut self, v6: bool) -> Result<BorrowedFd<'_>, Errno> {
        if self.0.is_none() {
            self.0 = Some(socket(v6)?);
        }
        Ok(self.0.as_ref().expect("made above").as_fd())
    }
}

/// Binds; makes the socket if need be.
///
/// # Errors
/// `Err` fails the call. `Ok(EADDRINUSE)` is the delayed error that libuv keeps for `listen` and `connect`.
pub fn bind(slot: &mut Slot, address: SocketAddr, flags: u32) -> Result<Errno, Errno> {
    if flags & IPV6_ONLY != 0 && !address.is_ipv6() {
        return Err(-libc::EINVAL);
    }
    let fd = slot.get(address.is_ipv6())?;
    let socket = SockRef::from(&fd);
    socket.set_reuse_address(true).map_err(|error| errno_of(&error))?;
    if flags & REUSE_PORT != 0 {
        socket.set_reuse_port(true).map_err(|error| errno_of(&error))?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(flags & IPV6_ONLY != 0).map_err(|error| errno_of(&error))?;
    }
    match socket.bind(&address.into()).map_err(|error| errno_of(&error)) {
        Ok(()) => Ok(0),
        Err(errno) if errno == -libc::EADDRINUSE => Ok(errno),
        Err(errno) if errno == -libc::EAFNOSUPPORT => Err(-libc::EINVAL),
        Err(errno) => Err(errno),
    }
}

/// Listens; without a bind before it, on an ephemeral IPv4 port.
///
/// # Errors
/// The negative errno.
pub fn listen(slot: &mut Slot, backlog: i32) -> Result<(), Errno> {
    let fd = slot.get(false)?;
    SockRef::from(&fd).listen(backlog).map_err(|error| errno_of(&error))
}

/// How an attempt to connect began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The reactor will see how it ends.
    Pending,
    /// It ended inside the call; the outcome is still reported later, never inside it.
    Ended(Errno),
}

/// Begins to connect; makes the socket if need be.
///
/// # Errors
/// What `connect` reports at once, refusal excepted, which is an outcome.
pub fn connect(slot: &mut Slot, address: SocketAddr) -> Result<Attempt, Errno> {
    let address = with_scope(address);
    let fd = slot.get(address.is_ipv6())?;
    begin(fd, &address.into())
}

/// The part of connecting that is the same for every family.
pub(super) fn begin(fd: BorrowedFd<'_>, address: &socket2::SockAddr) -> Result<Attempt, Errno> {
    loop {
        return match SockRef::from(&fd).connect(address).map_err(|error| errno_of(&error)) {
            Ok(()) => Ok(Attempt::Ended(0)),
            Err(errno) if errno == -libc::EINPROGRESS => Ok(Attempt::Pending),
            Err(errno) if errno == -libc::ECONNREFUSED => Ok(Attempt::Ended(errno)),
            Err(errno) if errno == -libc::EINTR => continue,
            Err(errno) => Err(errno),
        };
    }
}

/// A link-local peer without a zone gets the first interface that has a link-local address, as libuv does.
fn with_scope(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() => {
            v6.set_scope_id(sys::link_local_scope());
            SocketAddr::V6(v6)
        }
        other => other,
    }
}
