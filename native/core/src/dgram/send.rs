//! The only send loop of datagrams: what JavaScript handed over leaves in order, many to a call.
//!
//! Neighbours of one length to one peer leave as a group that the kernel cuts apart (`UDP_SEGMENT`), where it can: one
//! pass through the network stack for up to 64 of them. A route or a device that cannot is noticed by its answer, and
//! the same messages leave one by one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::{Datagram, WRITABLE};
use crate::limits::{GROUP_BYTES, GROUP_DATAGRAM_BYTES, GROUP_DATAGRAMS, SEND_MESSAGES};
use crate::sys::Errno;
use crate::sys::datagram::{self, Outgoing};

/// Capacity that an empty queue keeps: a burst's worth.
const KEPT_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
struct Message {
    peer: Option<SocketAddr>,
    length: usize,
    /// JavaScript waits to be told.
    notify: bool,
}

/// Whether groups can be sent: asked of the kernel by the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Groups {
    #[default]
    Unknown,
    Work,
    Fail,
}

/// Messages for the kernel, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    messages: VecDeque<Message>,
    /// Their bytes, from `start` on.
    bytes: Vec<u8>,
    start: usize,
    groups: Groups,
}

/// What a flush did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Messages that the kernel took.
    pub(crate) sent: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The outcome of each request that asked for notice, in order.
    pub(crate) told: Vec<Errno>,
    /// The newest failure of a message that counted as sent; 0 without.
    pub(crate) failure: Errno,
    /// How many of those failed.
    pub(crate) failures: u64,
    /// The kernel takes no more and will not say when it does.
    pub(crate) refused: bool,
}

impl Outbound {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn push(&mut self, peer: Option<SocketAddr>, bytes: &[u8], notify: bool) {
        self.messages.push_back(Message { peer, length: bytes.len(), notify });
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first request that waits for notice and all after it: JavaScript cancels them.
    pub(crate) fn keep_acknowledged(&mut self) {
        let kept = self.messages.iter().position(|message| message.notify).unwrap_or(self.messages.len());
        self.messages.truncate(kept);
        let length: usize = self.messages.iter().map(|message| message.length).sum();
        self.bytes.truncate(self.start + length);
    }

    /// How many messages from `at` on can leave as one group.
    fn group(&self, at: usize) -> usize {
        let first = self.messages[at];
        if self.groups == Groups::Fail || first.length == 0 || first.length > GROUP_DATAGRAM_BYTES || first.peer.is_some_and(|peer| is_many(&peer)) {
            return 1;
        }
        let most = (GROUP_BYTES / first.length).min(GROUP_DATAGRAMS);
        let mut count = 1;
        for message in self.messages.range(at + 1..).take(most - 1) {
            if message.peer != first.peer || message.length > first.length || message.length == 0 {
                break;
            }
            count += 1;
            // Only the last may be shorter.
            if message.length < first.length {
                break;
            }
        }
        count
    }

    /// Takes the first messages off.
    fn pop(&mut self, count: usize, mut each: impl FnMut(Message)) {
        for message in self.messages.drain(..count) {
            self.start += message.length;
            each(message);
        }
        if self.messages.is_empty() {
            self.start = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

/// A multicast or broadcast address, for which a kernel copies what it sends.
fn is_many(peer: &SocketAddr) -> bool {
    match peer {
        SocketAddr::V4(v4) => v4.ip().is_multicast() || v4.ip().is_broadcast(),
        SocketAddr::V6(v6) => v6.ip().is_multicast(),
    }
}

/// What the kernel answers where a group cannot leave: no offload on the device, frames too small, an older kernel.
fn refuses_groups(errno: Errno) -> bool {
    matches!(-errno, libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
}

/// Sends what waits, until the kernel takes no more.
pub(crate) fn flush(socket: &mut Datagram, into: &mut Flushed) {
    let Datagram { fd, outbound, .. } = socket;
    while !outbound.messages.is_empty() {
        let mut counts = [0_usize; SEND_MESSAGES];
        let result = {
            let mut prepared = [Outgoing { bytes: &[], peer: None, segment: None }; SEND_MESSAGES];
            let (mut at, mut from, mut used) = (0, outbound.start, 0);
            while used < SEND_MESSAGES && at < outbound.messages.len() {
                let mut count = outbound.group(at);
                if count > 1 && outbound.groups == Groups::Unknown {
                    outbound.groups = if datagram::can_cut(fd.as_fd()) { Groups::Work } else { Groups::Fail };
                    count = outbound.group(at);
                }
                let length: usize = outbound.messages.range(at..at + count).map(|message| message.length).sum();
                let segment = (count > 1).then(|| u16::try_from(outbound.messages[at].length).expect("bounded by GROUP_DATAGRAM_BYTES"));
                prepared[used] = Outgoing { bytes: &outbound.bytes[from..from + length], peer: outbound.messages[at].peer, segment };
                counts[used] = count;
                (at, from, used) = (at + count, from + length, used + 1);
            }
            datagram::send(fd.as_fd(), &prepared[..used])
        };
        match result {
            Ok(taken) => {
                let messages = counts[..taken].iter().sum();
                outbound.pop(messages, |message| {
                    into.sent += 1;
                    into.bytes += message.length as u64;
                    if message.notify {
                        into.told.push(0);
                    }
                });
            }
            // libuv takes both for a full buffer.
            Err(errno) if errno == -libc::EAGAIN || errno == -libc::ENOBUFS => {
                // The one is a socket's buffer that is full, the other a device's queue: that empties, and no socket hears of it.
                into.refused = errno == -libc::ENOBUFS;
                socket.flags.clear(WRITABLE);
                return;
            }
            Err(errno) if counts[0] > 1 && refuses_groups(errno) => outbound.groups = Groups::Fail,
            // The kernel speaks of the first; the others are tried again.
            Err(errno) => outbound.pop(1, |message| {
                if message.notify {
                    into.told.push(errno);
                } else {
                    into.failure = errno;
                    into.failures += 1;
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Miri is slow.
    const MOST: usize = if cfg!(miri) { 20 } else { 200 };

    fn messages() -> impl Strategy<Value = Vec<(u16, usize, bool)>> {
        prop::collection::vec((0_u16..3, prop::sample::select(vec![0, 8, 8, 8, 12, 1_200, 1_300]), prop::bool::weighted(0.1)), 0..MOST)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }) })]

        /// A group is what the kernel cuts into the very messages: one peer, one length but for a shorter last, within its
        /// bounds. And taking groups off takes every message once, in order, with its bytes.
        #[test]
        fn groups_are_the_messages_in_order(sent in messages()) {
            let mut outbound = Outbound { groups: Groups::Work, ..Outbound::default() };
            for (index, (port, length, notify)) in sent.iter().enumerate() {
                let peer = (*port > 0).then(|| SocketAddr::from(([127, 0, 0, 1], *port)));
                outbound.push(peer, &vec![u8::try_from(index).expect("at most 200"); *length], *notify);
            }
            let mut seen = Vec::new();
            while !outbound.is_empty() {
                let count = outbound.group(0);
                let group: Vec<Message> = outbound.messages.range(..count).copied().collect();
                let (first, rest) = group.split_first().expect("one at least");
                if let Some((last, middle)) = rest.split_last() {
                    prop_assert!(first.length > 0 && first.length <= GROUP_DATAGRAM_BYTES && count <= GROUP_DATAGRAMS);
                    prop_assert!(group.iter().map(|message| message.length).sum::<usize>() <= GROUP_BYTES);
                    prop_assert!(rest.iter().all(|message| message.peer == first.peer && message.length > 0));
                    prop_assert!(middle.iter().all(|message| message.length == first.length) && last.length <= first.length);
                }
                let mut at = outbound.start;
                for message in &group {
                    let index = u8::try_from(seen.len()).expect("at most 200");
                    prop_assert!(outbound.bytes[at..at + message.length].iter().all(|byte| *byte == index));
                    at += message.length;
                    seen.push((message.peer.map_or(0, |peer| peer.port()), message.length, message.notify));
                }
                outbound.pop(count, |_| ());
            }
            prop_assert_eq!(seen, sent);
            prop_assert_eq!(outbound.bytes(), 0);
        }

        /// Closing cancels what JavaScript waits for and all that came after it, and nothing else.
        #[test]
        fn closing_keeps_what_counts_as_sent(sent in messages()) {
            let mut outbound = Outbound::default();
            for (_, length, notify) in &sent {
                outbound.push(None, &vec![0; *length], *notify);
            }
            outbound.keep_acknowledged();
            let kept: Vec<usize> = sent.iter().take_while(|(.., notify)| !notify).map(|(_, length, _)| *length).collect();
            prop_assert_eq!(outbound.bytes(), kept.iter().sum::<usize>());
            prop_assert_eq!(outbound.messages.iter().map(|message| message.length).collect::<Vec<_>>(), kept);
        }
    }
}
