//! UDP sockets on the caller's thread: made, bound, connected, tuned, as libuv 1.51 `src/unix/udp.c` does.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use super::address::{parse_v4, parse_v6};
use super::tcp::Slot;
use crate::sys::{self, Errno, errno_of};

/// `UV_UDP_IPV6ONLY`.
pub const IPV6_ONLY: u32 = 1;
/// `UV_UDP_REUSEADDR`.
pub const REUSE_ADDRESS: u32 = 4;
/// `UV_UDP_LINUX_RECVERR`.
pub const ICMP_ERRORS: u32 = 32;
/// `UV_UDP_REUSEPORT`.
pub const REUSE_PORT: u32 = 64;

/// `struct group_source_req`, which the libc crate lacks: an interface, the group, one of its sources.
#[repr(C)]
struct GroupSource {
    interface: u32,
    group: libc::sockaddr_storage,
    source: libc::sockaddr_storage,
}

/// `MCAST_JOIN_SOURCE_GROUP` of `linux/in.h`.
const JOIN_SOURCE: libc::c_int = 46;
/// `MCAST_LEAVE_SOURCE_GROUP`.
const LEAVE_SOURCE: libc::c_int = 47;

fn or_errno<T>(result: std::io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| errno_of(&error))
}

/// Binds; makes the socket if need be.
///
/// # Errors
/// The negative errno, `EADDRINUSE` at once.
pub fn bind(slot: &mut Slot, address: SocketAddr, flags: u32) -> Result<(), Errno> {
    if flags & !(IPV6_ONLY | REUSE_ADDRESS | ICMP_ERRORS | REUSE_PORT) != 0 || (flags & IPV6_ONLY != 0 && !address.is_ipv6()) {
        return Err(-libc::EINVAL);
    }
    if slot.0.is_none() {
        let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        slot.0 = Some(OwnedFd::from(or_errno(Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP)))?));
    }
    let fd = slot.0.as_ref().expect("made above").as_fd();
    let socket = SockRef::from(&fd);
    if flags & ICMP_ERRORS != 0 {
        let (level, name) = if address.is_ipv6() { (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) } else { (libc::IPPROTO_IP, libc::IP_RECVERR) };
        sys::set_option(fd, level, name, 1)?;
    }
    if flags & REUSE_ADDRESS != 0 {
        or_errno(socket.set_reuse_address(true))?;
    }
    if flags & REUSE_PORT != 0 {
        or_errno(socket.set_reuse_port(true))?;
    }
    if flags & IPV6_ONLY != 0 {
        or_errno(socket.set_only_v6(true))?;
    }
    or_errno(socket.bind(&address.into())).map_err(|errno| if errno == -libc::EAFNOSUPPORT { -libc::EINVAL } else { errno })
}

/// Binds to any address and port of a family unless there is a socket already.
///
/// # Errors
/// As [`bind`].
pub fn bind_if_new(slot: &mut Slot, v6: bool, flags: u32) -> Result<(), Errno> {
    if slot.0.is_some() {
        return Ok(());
    }
    let any: SocketAddr = if v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    bind(slot, any, flags)
}

/// Connects; binds first if need be. A socket of a number that is not open answers `EBADF`.
///
/// # Errors
/// The negative errno.
pub fn connect(slot: &mut Slot, address: SocketAddr) -> Result<(), Errno> {
    bind_if_new(slot, address.is_ipv6(), 0)?;
    or_errno(SockRef::from(slot.0.as_ref().expect("made above")).connect(&address.into()))
}

/// Forgets the peer, and the refusal of it that a message sent with others may have left behind: it would pass for the
/// answer to the next one.
///
/// # Errors
/// The negative errno.
pub fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let _ = sys::socket_error(fd);
    sys::disconnect(fd)
}

/// Takes over a descriptor, which may then share its address (libuv does so for every one it opens).
///
/// # Errors
/// The negative errno.
pub fn open(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    or_errno(SockRef::from(&fd).set_reuse_address(true))
}

/// Options that are one small number, under Node's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// `setBroadcast`.
    Broadcast,
    /// `setTTL`.
    TimeToLive,
    /// `setMulticastTTL`.
    MulticastTimeToLive,
    /// `setMulticastLoopback`.
    MulticastLoopback,
}

/// Sets one. `v6` says that the socket was bound to an IPv6 address.
///
/// # Errors
/// `EINVAL` outside its bounds, the negative errno otherwise.
pub fn set_number(fd: BorrowedFd<'_>, v6: bool, which: Number, value: i32) -> Result<(), Errno> {
    let (name4, name6) = match which {
        Number::Broadcast => return sys::set_option(fd, libc::SOL_SOCKET, libc::SO_BROADCAST, value),
        Number::TimeToLive => (libc::IP_TTL, libc::IPV6_UNICAST_HOPS),
        Number::MulticastTimeToLive => (libc::IP_MULTICAST_TTL, libc::IPV6_MULTICAST_HOPS),
        Number::MulticastLoopback => (libc::IP_MULTICAST_LOOP, libc::IPV6_MULTICAST_LOOP),
    };
    if v6 { sys::set_option(fd, libc::IPPROTO_IPV6, name6, value) } else { sys::set_option(fd, libc::IPPROTO_IP, name4, value) }
}

/// What `setMulticastInterface` names: an IPv4 address, or an IPv6 one for its scope.
///
/// # Errors
/// `EINVAL` for no literal.
pub fn parse_interface(interface: &str) -> Result<SocketAddr, Errno> {
    parse_v4(interface, 0).or_else(|_| parse_v6(interface, 0))
}

/// `setMulticastInterface`.
///
/// # Errors
/// The negative errno.
pub fn set_multicast_interface(fd: BorrowedFd<'_>, interface: SocketAddr) -> Result<(), Errno> {
    let socket = SockRef::from(&fd);
    match interface {
        SocketAddr::V4(v4) => or_errno(socket.set_multicast_if_v4(v4.ip())),
        SocketAddr::V6(v6) => or_errno(socket.set_multicast_if_v6(v6.scope_id())),
    }
}

/// The group of a membership and the interface that goes with its family.
enum Group {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, u32),
}

fn group(slot: &mut Slot, literal: &str, interface: Option<&str>) -> Result<Group, Errno> {
    let address = parse_v4(literal, 0).or_else(|_| parse_v6(literal, 0))?;
    bind_if_new(slot, address.is_ipv6(), REUSE_ADDRESS)?;
    match address {
        SocketAddr::V4(v4) => {
            let interface = interface.map_or(Ok(Ipv4Addr::UNSPECIFIED), |text| text.parse().map_err(|_| -libc::EINVAL))?;
            Ok(Group::V4(*v4.ip(), interface))
        }
        SocketAddr::V6(v6) => {
            let scope = match interface.map(|text| parse_v6(text, 0)).transpose()? {
                Some(SocketAddr::V6(interface)) => interface.scope_id(),
                _ => 0,
            };
            Ok(Group::V6(*v6.ip(), scope))
        }
    }
}

/// `addMembership` and `dropMembership`; binds first if need be.
///
/// # Errors
/// `EINVAL` for no literal, the negative errno otherwise.
pub fn set_membership(slot: &mut Slot, join: bool, literal: &str, interface: Option<&str>) -> Result<(), Errno> {
    let group = group(slot, literal, interface)?;
    let socket = SockRef::from(slot.0.as_ref().expect("bound above"));
    or_errno(match (group, join) {
        (Group::V4(group, interface), true) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Address(interface)),
        (Group::V4(group, interface), false) => socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Address(interface)),
        (Group::V6(group, scope), true) => socket.join_multicast_v6(&group, scope),
        (Group::V6(group, scope), false) => socket.leave_multicast_v6(&group, scope),
    })
}

/// `addSourceSpecificMembership` and its opposite; binds first if need be.
///
/// # Errors
/// As [`set_membership`].
pub fn set_source_membership(slot: &mut Slot, join: bool, source: &str, literal: &str, interface: Option<&str>) -> Result<(), Errno> {
    // Both literals are looked at before there is a socket.
    let v6 = parse_v4(literal, 0).is_err();
    let source = if v6 { parse_v6(literal, 0).and_then(|_| parse_v6(source, 0))? } else { parse_v4(source, 0)? };
    let group = group(slot, literal, interface)?;
    let fd = slot.0.as_ref().expect("bound above").as_fd();
    match (group, source) {
        (Group::V4(group, interface), SocketAddr::V4(source)) => {
            let socket = SockRef::from(&fd);
            or_errno(if join { socket.join_ssm_v4(source.ip(), &group, &interface) } else { socket.leave_ssm_v4(source.ip(), &group, &interface) })
        }
        (Group::V6(group, scope), source) => {
            let request = GroupSource { interface: scope, group: storage((group, 0).into()), source: storage(source) };
            sys::set_option_value(fd, libc::IPPROTO_IPV6, if join { JOIN_SOURCE } else { LEAVE_SOURCE }, &request)
        }
        (Group::V4(..), SocketAddr::V6(_)) => Err(-libc::EINVAL),
    }
}

fn storage(address: SocketAddr) -> libc::sockaddr_storage {
    let mut storage = socket2::SockAddr::from(address).as_storage();
    // SAFETY: the same type under two names.
    unsafe { *storage.view_as::<libc::sockaddr_storage>() }
}

/// `SO_RCVBUF` or `SO_SNDBUF`: sets it unless `size` is 0, and tells it.
///
/// # Errors
/// The negative errno.
pub fn buffer_size(fd: BorrowedFd<'_>, size: i32, receiving: bool) -> Result<i32, Errno> {
    let name = if receiving { libc::SO_RCVBUF } else { libc::SO_SNDBUF };
    if size == 0 {
        return sys::option(fd, libc::SOL_SOCKET, name);
    }
    sys::set_option(fd, libc::SOL_SOCKET, name, size).map(|()| size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_second_bind_and_a_taken_port_are_refused_at_once() {
        let mut first = Slot(None);
        bind(&mut first, "127.0.0.1:0".parse().expect("a literal"), 0).expect("a port");
        assert_eq!(bind(&mut first, "127.0.0.1:0".parse().expect("a literal"), 0), Err(-libc::EINVAL));
        let taken = SockRef::from(first.0.as_ref().expect("bound")).local_addr().expect("bound").as_socket().expect("udp");
        assert_eq!(bind(&mut Slot(None), taken, 0), Err(-libc::EADDRINUSE));
        assert_eq!(bind(&mut Slot(None), taken, 2), Err(-libc::EINVAL));
        assert_eq!(bind(&mut Slot(None), taken, IPV6_ONLY), Err(-libc::EINVAL));
    }
}
