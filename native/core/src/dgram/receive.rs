//! The only receive loop of datagrams, and the queue of those that JavaScript has not taken.
//!
//! Messages go from the kernel straight into the batch while there is one with room, and otherwise into the queue, so
//! that the kernel's small buffer is emptied while JavaScript is busy. A full queue stops the reading: then the
//! kernel's buffer fills, the newest are dropped, and it counts them. Of a descriptor that other processes read from as well
//! nothing is taken that JavaScript has no batch for: one of them may have the time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::{CROWDED, Datagram, ERRED, OWN_BUFFER, READABLE, SHARED};
use crate::event::{Batch, Event, Op};
use crate::limits::{DATAGRAM_OVERHEAD, DATAGRAM_QUEUE_BYTES, DATAGRAMS_QUEUE_BYTES, KERNEL_BUFFER_BYTES, RECEIVE_MESSAGES, TURN_BYTES, TURN_DATAGRAMS};
use crate::sys;
use crate::sys::datagram::{self, Receiver};
use crate::table::Id;

/// Bytes before the message of an IPv6 peer: its address and scope.
const V6_HEADER: usize = 20;

/// Messages that wait for JavaScript, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    messages: VecDeque<(SocketAddr, u32)>,
    bytes: VecDeque<u8>,
}

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// What it weighs against the caps.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.messages.len() * DATAGRAM_OVERHEAD
    }

    fn push(&mut self, peer: SocketAddr, bytes: &[u8]) {
        self.messages.push_back((peer, u32::try_from(bytes.len()).expect("a datagram")));
        self.bytes.extend(bytes);
    }

    /// Moves the oldest messages, up to a share of so many bytes, into a batch while there is room; how many.
    fn drain_into(&mut self, id: Id, batch: &mut Batch, share: &mut usize) -> u32 {
        let mut count = 0;
        while let Some((peer, length)) = self.messages.front().copied() {
            let length = length as usize;
            if *share == 0 {
                break;
            }
            let (first, second) = self.bytes.as_slices();
            let head = &first[..first.len().min(length)];
            if !place(batch, id, peer, head, &second[..length - head.len()]) {
                break;
            }
            self.bytes.drain(..length);
            self.messages.pop_front();
            *share = share.saturating_sub(length.max(1));
            count += 1;
        }
        if self.messages.is_empty() {
            // A burst's memory goes back at once: there may be ten thousand sockets.
            *self = Self::default();
        }
        count
    }
}

/// Puts a message, in two parts, into a batch; false without room.
fn place(batch: &mut Batch, id: Id, peer: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
    let length = head.len() + tail.len();
    let header = if peer.is_ipv6() { V6_HEADER } else { 0 };
    // Aligned, as JavaScript reads an IPv6 address by words.
    let taken = (header + length).next_multiple_of(4);
    if !batch.has_room() || batch.room() < taken {
        return false;
    }
    let room = batch.tail();
    let (op, address) = match peer {
        SocketAddr::V4(v4) => (Op::Datagram4, i32::from_ne_bytes(v4.ip().octets())),
        SocketAddr::V6(v6) => {
            room[..16].copy_from_slice(&v6.ip().octets());
            room[16..V6_HEADER].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (Op::Datagram6, 0)
        }
    };
    room[header..header + head.len()].copy_from_slice(head);
    room[header + head.len()..header + length].copy_from_slice(tail);
    let at = batch.advance(taken);
    batch.count_datagram(taken);
    let length = u32::try_from(length).expect("a datagram");
    let sizes = (u32::from(peer.port()) << 16 | length).cast_signed();
    batch.push(Event { op, id, a: i32::try_from(at).expect("inside a batch"), b: sizes, c: address });
    true
}

/// What a turn of receiving did.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Messages that came from the kernel.
    pub(crate) messages: u32,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Messages handed to JavaScript.
    pub(crate) delivered: u32,
    /// There is more to do, and it needs room in a batch.
    pub(crate) starved: bool,
}

/// Receives. `waiting` is the weight of all queues of the environment.
pub(crate) fn receive(socket: &mut Datagram, id: Id, mut batch: Option<&mut Batch>, receiver: &mut Receiver, waiting: &mut usize) -> Received {
    let mut done = Received::default();
    let before = socket.arrived.weight();
    let others = waiting.saturating_sub(before);
    // As a stream's: otherwise one socket would fill the batches that others need.
    let mut share = TURN_BYTES;
    if let Some(batch) = batch.as_deref_mut() {
        done.delivered += socket.arrived.drain_into(id, batch, &mut share);
        if socket.failure != 0 && batch.has_room() {
            batch.push(Event::new(Op::DatagramError, id, socket.failure));
            socket.failure = 0;
        }
    }
    let mut leaves = false;
    while socket.flags.has(READABLE) && (done.messages as usize) < TURN_DATAGRAMS {
        leaves = socket.flags.has(SHARED) && (!socket.arrived.is_empty() || batch.as_deref().is_none_or(|batch| !batch.has_room()));
        if leaves {
            break;
        }
        let weight = socket.arrived.weight();
        if weight >= DATAGRAM_QUEUE_BYTES || others + weight >= DATAGRAMS_QUEUE_BYTES {
            break;
        }
        match receiver.receive(socket.fd.as_fd()) {
            Ok(count) => {
                for index in 0..count {
                    let Some(message) = receiver.take(index) else { continue };
                    for bytes in message.datagrams() {
                        done.messages += 1;
                        done.bytes += bytes.len();
                        let direct =
                            share > 0 && socket.arrived.is_empty() && batch.as_deref_mut().is_some_and(|batch| place(batch, id, message.peer, bytes, &[]));
                        if direct {
                            done.delivered += 1;
                            share = share.saturating_sub(bytes.len().max(1));
                        } else {
                            socket.arrived.push(message.peer, bytes);
                        }
                    }
                }
                if count == RECEIVE_MESSAGES && !socket.flags.has(CROWDED | SHARED) {
                    meet_crowd(socket);
                }
                // Fewer than asked for: nothing is left, and what comes is a new edge. An error may still lie behind.
                if count < RECEIVE_MESSAGES && !socket.flags.has(ERRED) {
                    socket.flags.clear(READABLE);
                }
            }
            Err(errno) if errno == -libc::EAGAIN => socket.flags.clear(READABLE | ERRED),
            Err(errno) => {
                done.messages += 1;
                match batch.as_deref_mut().filter(|batch| batch.has_room()) {
                    Some(batch) => batch.push(Event::new(Op::DatagramError, id, errno)),
                    None => socket.failure = errno,
                }
            }
        }
    }
    let after = socket.arrived.weight();
    *waiting = others + after;
    done.starved = (after > 0 && share > 0) || socket.failure != 0 || leaves;
    done
}

/// The first crowd: from here on the kernel joins what it can (an older one refuses, and nothing is lost), and may hold
/// more while neither of our threads runs, unless the program has said how much.
fn meet_crowd(socket: &mut Datagram) {
    socket.flags.set(CROWDED);
    let fd = socket.fd.as_fd();
    let _ = datagram::set_joining(fd, true);
    let present = sys::option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap_or(i32::MAX);
    if !socket.flags.has(OWN_BUFFER) && present < KERNEL_BUFFER_BYTES {
        let _ = sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, KERNEL_BUFFER_BYTES);
    }
}

/// The descriptor is about to be used by somebody who knows nothing of joined datagrams: none is joined from here on,
/// and those that are already are taken out of the kernel, caps notwithstanding (its buffer is one). It tells of joined
/// ones only while it may join, so what arrives in between would pass for one long message: that is dropped instead, as a
/// network may, and counted.
pub(crate) fn stop_joining(socket: &mut Datagram, receiver: &mut Receiver) {
    if !socket.flags.has(CROWDED) || socket.flags.has(SHARED) {
        return;
    }
    let Datagram { fd, arrived, .. } = socket;
    let deaf = datagram::set_deaf(fd.as_fd(), true).is_ok();
    for _ in 0..TURN_DATAGRAMS {
        let Ok(count) = receiver.receive(fd.as_fd()) else { break };
        for index in 0..count {
            let Some(message) = receiver.take(index) else { continue };
            for bytes in message.datagrams() {
                arrived.push(message.peer, bytes);
            }
        }
    }
    let _ = datagram::set_joining(fd.as_fd(), false);
    if deaf {
        let _ = datagram::set_deaf(fd.as_fd(), false);
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;

    use proptest::prelude::*;

    use super::*;
    use crate::event::WORDS;

    const EVENTS: usize = 5;
    const BYTES: usize = 400;
    /// Miri is slow.
    const MOST: usize = if cfg!(miri) { 6 } else { 40 };

    /// Messages with peers of both families, from empty ones to some that fill half a batch.
    fn messages() -> impl Strategy<Value = Vec<(SocketAddr, Vec<u8>)>> {
        let peer = (any::<bool>(), any::<[u8; 16]>(), any::<u16>()).prop_map(|(v6, octets, port)| {
            if v6 { SocketAddr::from((octets, port)) } else { SocketAddr::from(([octets[0], octets[1], octets[2], octets[3]], port)) }
        });
        prop::collection::vec((peer, prop::collection::vec(any::<u8>(), 0..200)), 0..MOST)
    }

    /// What JavaScript would read of a batch.
    fn read(batch: &Batch) -> Vec<(SocketAddr, Vec<u8>)> {
        let message = |index| {
            let [op, _, _, a, b, c] = batch.record(index);
            let (at, port) = (usize::try_from(a).expect("an offset"), u16::try_from(b.cast_unsigned() >> 16).expect("half a word"));
            let length = (b & 0xffff) as usize;
            if op == Op::Datagram4 as i32 {
                return (SocketAddr::from((c.to_ne_bytes(), port)), batch.bytes()[at..at + length].to_vec());
            }
            let octets: [u8; 16] = batch.bytes()[at..at + 16].try_into().expect("sixteen");
            (SocketAddr::from((octets, port)), batch.bytes()[at + V6_HEADER..at + V6_HEADER + length].to_vec())
        };
        (0..batch.len()).map(message).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }) })]

        /// Whatever waits comes out whole, in order and with its peer, however little a batch takes; and weighs nothing then.
        #[test]
        fn what_waits_comes_out_as_it_came(rounds in prop::collection::vec(messages(), 1..4)) {
            let (mut words, mut bytes) = (vec![0_i32; EVENTS * WORDS], vec![0_u8; BYTES]);
            // SAFETY: both outlive the batch.
            let mut batch = unsafe { Batch::from_raw(0, NonNull::from(&mut words[..]).cast(), EVENTS * WORDS, NonNull::from(&mut bytes[..]).cast(), BYTES) };
            let (mut arrived, mut out) = (Arrived::default(), Vec::new());
            let id = Id { slot: 1, generation: 1 };
            for (round, sent) in rounds.iter().enumerate() {
                for (peer, message) in sent {
                    arrived.push(*peer, message);
                }
                let weight: usize = sent.iter().map(|(_, message)| message.len() + DATAGRAM_OVERHEAD).sum();
                prop_assert!(arrived.weight() >= weight);
                // The last round takes all, those before it one batch.
                loop {
                    batch.clear();
                    let count = arrived.drain_into(id, &mut batch, &mut usize::MAX.clone());
                    prop_assert_eq!(count as usize, batch.len());
                    out.extend(read(&batch));
                    if count == 0 || round + 1 < rounds.len() {
                        break;
                    }
                }
            }
            prop_assert_eq!(out, rounds.concat());
            prop_assert_eq!((arrived.len(), arrived.weight()), (0, 0));
        }
    }
}
