//! Calls on UDP sockets that act at once: made, bound, connected, tuned, and a message sent while its caller waits.
//!
//! Each returns 0 or a negative errno unless said otherwise; the descriptor after the call lies in the control word `OUT`.

use tsloop_core::command::{Command, Reader};
use tsloop_core::net::address;
use tsloop_core::net::tcp::Slot;
use tsloop_core::net::udp::{self, Number};
use tsloop_core::sys::Errno;
use tsloop_core::sys::datagram::{self, Outgoing};

use crate::convert::Call;
use crate::env::State;
use crate::sockets::{borrowed, give_back, parse, slot, status, with_fd};
use crate::{function, outbox};

/// A call that may make the socket.
fn with_slot(state: &State, call: &Call, act: impl FnOnce(&mut Slot) -> Result<(), Errno>) -> i32 {
    let mut slot = slot(call.int(0));
    let result = act(&mut slot);
    give_back(state, call.int(0), slot);
    status(result)
}

fn text(call: &Call, index: usize) -> Result<String, Errno> {
    String::from_utf8(call.string(index)).map_err(|_| -libc::EINVAL)
}

/// An interface, or none when the argument is no string.
fn interface(call: &Call, index: usize) -> Result<Option<String>, Errno> {
    if call.is_string(index) { text(call, index).map(Some) } else { Ok(None) }
}

function!(bind_udp, |state, call| {
    let address = parse(call);
    call.return_int(with_slot(state, call, |slot| address.and_then(|address| udp::bind(slot, address, call.uint(4)))))
});

function!(connect_udp, |state, call| {
    let address = parse(call);
    call.return_int(with_slot(state, call, |slot| address.and_then(|address| udp::connect(slot, address))))
});

function!(bind_any_udp, |state, call| { call.return_int(with_slot(state, call, |slot| udp::bind_if_new(slot, call.bool(1), 0))) });

function!(disconnect_udp, |_state, call| { call.return_int(with_fd(call, udp::disconnect)) });

function!(open_udp, |_state, call| { call.return_int(with_fd(call, udp::open)) });

function!(send_udp, |state, call| {
    let Some(fd) = borrowed(call.int(0)) else { return call.return_int(-libc::EBADF) };
    let Some(Ok((_, Command::Send(peer, bytes, _)))) = Reader::new(outbox(state, call, 1)).next() else { return call.return_int(-libc::EINVAL) };
    let result = datagram::send(fd, &[Outgoing { bytes, peer, segment: None }]);
    // libuv takes both for a full buffer.
    call.return_int(match result {
        Err(errno) if errno == -libc::ENOBUFS => -libc::EAGAIN,
        other => status(other.map(drop)),
    })
});

function!(set_udp_number, |_state, call| {
    let which = match call.int(2) {
        0 => Number::Broadcast,
        1 => Number::TimeToLive,
        2 => Number::MulticastTimeToLive,
        _ => Number::MulticastLoopback,
    };
    call.return_int(with_fd(call, |fd| udp::set_number(fd, call.bool(1), which, call.int(3))))
});

function!(set_multicast_interface, |_state, call| {
    // No literal is told before no socket.
    let set = |interface| with_fd(call, |fd| udp::set_multicast_interface(fd, interface));
    call.return_int(text(call, 1).and_then(|text| udp::parse_interface(&text)).map_or_else(|errno| errno, set))
});

function!(set_membership, |state, call| {
    call.return_int(with_slot(state, call, |slot| udp::set_membership(slot, call.bool(1), &text(call, 2)?, interface(call, 3)?.as_deref())))
});

function!(set_source_membership, |state, call| {
    call.return_int(with_slot(state, call, |slot| {
        udp::set_source_membership(slot, call.bool(1), &text(call, 2)?, &text(call, 3)?, interface(call, 4)?.as_deref())
    }))
});

function!(buffer_size, |_state, call| {
    let size = borrowed(call.int(0)).ok_or(-libc::EBADF).and_then(|fd| udp::buffer_size(fd, call.int(1), call.bool(2)));
    call.return_int(size.unwrap_or_else(|errno| errno))
});

/// `peerText(word0, word1, word2, word3, scope)`: an IPv6 address as `name` would have it.
fn v6_text(call: &Call) -> String {
    let mut octets = [0; 16];
    for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&call.int(index).to_ne_bytes());
    }
    let peer = std::net::SocketAddrV6::new(octets.into(), 0, 0, call.uint(4));
    address::name(&std::net::SocketAddr::V6(peer).into()).map_or_else(|_| peer.ip().to_string(), |name| name.address)
}

function!(peer_text, |_state, call| { call.return_string(&v6_text(call)) });

/// `parseV6(host, into)`: address and scope, 20 bytes, into a Uint8Array.
fn parse_into(call: &Call) -> Result<(), Errno> {
    let std::net::SocketAddr::V6(peer) = address::parse_v6(&text(call, 0)?, 0)? else { return Err(-libc::EINVAL) };
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&peer.ip().octets());
    bytes[16..].copy_from_slice(&peer.scope_id().to_ne_bytes());
    let Some((memory, length)) = call.bytes(1) else { return Err(-libc::EINVAL) };
    if length < bytes.len() {
        return Err(-libc::EINVAL);
    }
    // SAFETY: a Uint8Array's memory of at least that length; JavaScript does not run during the call.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len()) };
    Ok(())
}

function!(parse_v6, |_state, call| { call.return_int(status(parse_into(call))) });

function!(datagram_offers, |_state, call| {
    let offers = datagram::offers();
    call.return_int(i32::from(offers.batches) | i32::from(offers.cuts) << 1 | i32::from(offers.joins) << 2)
});
