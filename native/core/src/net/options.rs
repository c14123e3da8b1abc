//! Socket options under the names Node gives them.

use std::os::fd::BorrowedFd;

use crate::sys::{self, Errno};

/// `TCP_NODELAY`.
///
/// # Errors
/// The negative errno.
pub fn set_no_delay(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    sys::set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, i32::from(on))
}

/// `SO_KEEPALIVE` with its three times: seconds idle, seconds between probes, probes.
///
/// # Errors
/// `EINVAL` for a zero while switching on (libuv refuses the same); the negative errno.
pub fn set_keep_alive(fd: BorrowedFd<'_>, on: bool, idle: i32, interval: i32, count: i32) -> Result<(), Errno> {
    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, i32::from(on))?;
    if !on {
        return Ok(());
    }
    if idle < 1 || interval < 1 || count < 1 {
        return Err(-libc::EINVAL);
    }
    sys::set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
    sys::set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, interval)?;
    sys::set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, count)
}

fn is_v6(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(sys::option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)? == libc::AF_INET6)
}

/// `IP_TOS` or `IPV6_TCLASS`, by the socket's family.
///
/// # Errors
/// The negative errno.
pub fn set_type_of_service(fd: BorrowedFd<'_>, value: i32) -> Result<(), Errno> {
    if is_v6(fd)? { sys::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, value) } else { sys::set_option(fd, libc::IPPROTO_IP, libc::IP_TOS, value) }
}

/// The value that [`set_type_of_service`] sets.
///
/// # Errors
/// The negative errno.
pub fn type_of_service(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    if is_v6(fd)? { sys::option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS) } else { sys::option(fd, libc::IPPROTO_IP, libc::IP_TOS) }
}
