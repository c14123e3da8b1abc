//! The only conversion between addresses as Node writes them and `sockaddr`s.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use socket2::SockAddr;

use crate::sys::{self, Errno};

/// Parses an IPv4 literal.
///
/// # Errors
/// `EINVAL`.
pub fn parse_v4(host: &str, port: u16) -> Result<SocketAddr, Errno> {
    let ip: Ipv4Addr = host.parse().map_err(|_| -libc::EINVAL)?;
    Ok(SocketAddr::V4(SocketAddrV4::new(ip, port)))
}

/// Parses an IPv6 literal with an optional `%zone`, a name or a number of an interface.
///
/// # Errors
/// `EINVAL`. An unknown zone is index 0, as `uv_ip6_addr` has it.
pub fn parse_v6(host: &str, port: u16) -> Result<SocketAddr, Errno> {
    let (literal, zone) = host.split_once('%').unwrap_or((host, ""));
    let ip: Ipv6Addr = literal.parse().map_err(|_| -libc::EINVAL)?;
    let scope = if zone.is_empty() { 0 } else { CString::new(zone).map_or(0, |name| sys::interface_index(&name)) };
    Ok(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)))
}

/// An address as `getsockname` reports it.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// The literal, with `%zone` for link-local IPv6.
    pub address: String,
    /// True for IPv6.
    pub v6: bool,
    /// The port.
    pub port: u16,
}

/// Formats a socket's address.
///
/// # Errors
/// `EINVAL` for a socket that is not of the internet family.
pub fn name(address: &SockAddr) -> Result<Name, Errno> {
    let address = address.as_socket().ok_or(-libc::EINVAL)?;
    let text = match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            let zone = sys::interface_name(v6.scope_id()).unwrap_or_else(|| v6.scope_id().to_string());
            format!("{}%{zone}", v6.ip())
        }
        _ => match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => ip.to_string(),
        },
    };
    Ok(Name { address: text, v6: address.is_ipv6(), port: address.port() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel for an interface")]
    fn literals_round_trip() {
        let v4 = parse_v4("127.0.0.1", 80).expect("a literal");
        assert_eq!(name(&v4.into()).expect("a name"), Name { address: "127.0.0.1".into(), v6: false, port: 80 });
        let mapped = parse_v6("::ffff:10.0.0.1", 1).expect("a literal");
        assert_eq!(name(&mapped.into()).expect("a name").address, "::ffff:10.0.0.1");
        let local = parse_v6("fe80::1%lo", 1).expect("a literal");
        assert_eq!(name(&local.into()).expect("a name").address, "fe80::1%lo");
    }

    #[test]
    fn what_is_no_literal_is_einval() {
        for host in ["localhost", "", "1.2.3", "::1"] {
            assert_eq!(parse_v4(host, 1), Err(-libc::EINVAL));
        }
        for host in ["127.0.0.1", "", "fe80::zz"] {
            assert_eq!(parse_v6(host, 1), Err(-libc::EINVAL));
        }
    }
}
