//! Datagram sockets in the reactor, turn by turn: what waits, in which order, what is counted.

mod common;

use std::net::UdpSocket;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::{Bench, CLOSE, READ_START, encode};
use tsloop_core::command::op::{SEND, SHARE};
use tsloop_core::command::{NOTIFY, SHARED};
use tsloop_core::env::Caller;
use tsloop_core::event::Op;
use tsloop_core::limits::{CLOSE_FLUSH_MS, DATAGRAM_QUEUE_BYTES, RECEIVE_MESSAGES};
use tsloop_core::table::Id;

const OPEN: i32 = 9;

impl Bench {
    /// Messages in one hand-over, to the connected peer.
    fn send(&mut self, id: Id, messages: &[Vec<u8>], flags: i32) {
        let mut stream = Vec::new();
        for message in messages {
            encode(&mut stream, SEND, id, i32::try_from(message.len()).expect("small"), flags, message);
        }
        self.reactor.apply(&stream, Caller::Waits);
    }

    /// A socket in the reactor and its connected peer outside.
    fn pair(&mut self) -> (Id, UdpSocket) {
        self.pair_with(0)
    }

    fn pair_with(&mut self, flags: i32) -> (Id, UdpSocket) {
        let bound = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (ours, peer) = (bound(), bound());
        ours.connect(peer.local_addr().expect("bound")).expect("loopback");
        peer.connect(ours.local_addr().expect("bound")).expect("loopback");
        let id = self.ids.allocate();
        self.ask(OPEN, id, ours.into_raw_fd(), flags, &[]);
        (id, peer)
    }

    /// A turn with a batch: what it told as (op, a, message).
    fn turn(&mut self) -> Vec<(i32, i32, Vec<u8>)> {
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        (0..self.batch.len())
            .map(|index| {
                let [op, _, _, a, b, _] = self.batch.record(index);
                let (at, length) = (usize::try_from(a).unwrap_or(0), (b & 0xffff) as usize);
                let bytes = if op == Op::Datagram4 as i32 { self.batch.bytes()[at..at + length].to_vec() } else { Vec::new() };
                (op, a, bytes)
            })
            .collect()
    }

    /// Everything that turns bring until they bring nothing.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let told = self.turn();
            if told.is_empty() {
                return all;
            }
            all.extend(told.into_iter().filter(|(op, ..)| *op == Op::Datagram4 as i32).map(|(.., message)| message));
        }
    }
}

impl Bench {
    /// A socket with messages that count as sent and of which its peer has taken none yet; how many.
    fn stuck(&mut self) -> (Id, UnixDatagram, usize) {
        let (ours, peer) = UnixDatagram::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a flag");
        let id = self.open(OPEN, ours);
        let (mut count, before) = (0, self.reactor.datagrams_waiting().outbound);
        while self.reactor.datagrams_waiting().outbound == before || count % 50 != 0 {
            self.send(id, &[u32::try_from(count).expect("few").to_ne_bytes().to_vec()], 0);
            count += 1;
        }
        // JavaScript still waits for this one, and cancels it with the close.
        self.send(id, &[b"never".to_vec()], NOTIFY);
        (id, peer, count)
    }

    /// What the reactor's descriptor says within a time.
    fn rings_within(&self, within: Duration) -> bool {
        let mut entry = libc::pollfd { fd: self.reactor.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry of ours.
        unsafe { libc::poll(&raw mut entry, 1, i32::try_from(within.as_millis()).expect("short")) == 1 }
    }
}

#[test]
fn to_close_what_cannot_leave_waits_for_nobody_and_ends_in_time() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let stuck: Vec<_> = (0..5).map(|_| bench.stuck()).collect();
    let left = bench.reactor.datagrams_waiting().outbound;
    let before = common::descriptors();
    let start = Instant::now();
    let mut commands = Vec::new();
    for (id, ..) in &stuck {
        encode(&mut commands, CLOSE, *id, 0, 0, &[]);
    }
    bench.reactor.apply(&commands, Caller::Waits);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(CLOSE_FLUSH_MS / 2), "{took:?} for five");
    assert_eq!((bench.reactor.lingering(), bench.reactor.stats().datagrams_failed), (5, 0));
    while bench.reactor.lingering() > 0 {
        assert!(bench.rings_within(common::PATIENCE), "the end is nobody's to come for");
        bench.turn();
    }
    assert!(start.elapsed() >= Duration::from_millis(CLOSE_FLUSH_MS));
    assert_eq!(bench.reactor.stats().datagrams_failed as usize * 4, left - 5 * 5, "what was left behind is counted");
    assert_eq!(common::descriptors(), before - 5 + 1, "theirs are closed, and there is a timer");
    assert!(!bench.rings_within(Duration::ZERO));
}

#[test]
fn what_counts_as_sent_leaves_after_the_close_in_order() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer, count) = bench.stuck();
    peer.set_read_timeout(Some(common::PATIENCE)).expect("a time");
    bench.ask(CLOSE, id, 0, 0, &[]);
    let mut buffer = [0; 16];
    for expected in 0..count {
        assert_eq!(peer.recv(&mut buffer).expect("it was sent"), 4);
        assert_eq!(buffer[..4], u32::try_from(expected).expect("few").to_ne_bytes());
        bench.turn();
    }
    assert_eq!((bench.reactor.lingering(), bench.reactor.next_deadline()), (0, None));
    peer.set_nonblocking(true).expect("a flag");
    assert!(peer.recv(&mut buffer).is_err(), "what JavaScript waited for was cancelled");
}

/// Messages that differ, in runs of one length.
fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| format!("{index:0width$}", width = 4 + index / 10 % 5 * 8).into_bytes()).collect()
}

#[test]
fn what_comes_while_nobody_takes_waits_in_order() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair();
    bench.ask(READ_START, id, 0, 0, &[]);
    let sent = messages(3000);
    for chunk in sent.chunks(100) {
        for message in chunk {
            peer.send(message).expect("loopback");
        }
        // No batch, as when JavaScript is busy.
        bench.reactor.turn(None);
    }
    assert_eq!(bench.reactor.datagrams_waiting().arrived, 3000);
    assert_eq!(bench.drain(), sent);
    let waiting = bench.reactor.datagrams_waiting();
    assert_eq!((waiting.arrived, waiting.dropped, bench.reactor.stats().datagrams_received), (0, 0, 3000));
}

#[test]
fn a_full_queue_leaves_the_rest_to_the_kernel_which_counts_what_it_drops() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair();
    bench.ask(READ_START, id, 0, 0, &[]);
    let message = vec![7; 60_000];
    let count = DATAGRAM_QUEUE_BYTES / message.len() * 2;
    for _ in 0..count {
        peer.send(&message).expect("loopback");
        bench.reactor.turn(None);
    }
    let waiting = bench.reactor.datagrams_waiting();
    // One call may overshoot the cap.
    assert!(waiting.arrived * message.len() <= DATAGRAM_QUEUE_BYTES + RECEIVE_MESSAGES * message.len(), "{waiting:?}");
    let got = bench.drain();
    assert!(got.iter().all(|one| *one == message));
    let dropped = bench.reactor.datagrams_waiting().dropped;
    assert_eq!(got.len() as u64 + dropped, count as u64, "every message arrived or was counted");
    assert!(dropped > 0);
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert_eq!(bench.reactor.stats().datagrams_dropped, dropped, "a closed socket's are remembered");
}

#[test]
fn what_was_dropped_before_the_counters_were_set_back_counts_no_more() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair();
    // Nobody reads.
    let flood = || (0..50).for_each(|_| drop(peer.send(&[7; 60_000])));
    flood();
    let before = bench.reactor.datagrams_waiting().dropped;
    assert!(before > 0);
    bench.reactor.reset_stats();
    assert_eq!(bench.reactor.datagrams_waiting().dropped, 0);
    flood();
    let since = bench.reactor.datagrams_waiting().dropped;
    assert_eq!(since, 50);
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert_eq!((bench.reactor.datagrams_waiting().dropped, bench.reactor.stats().datagrams_dropped), (0, since));
}

#[test]
fn groups_arrive_as_the_messages_they_were() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair();
    peer.set_read_timeout(Some(common::PATIENCE)).expect("a time");
    let mut buffer = [0; 2048];
    for round in 0..5 {
        let mut sent = messages(150);
        sent.insert(round * 20, Vec::new());
        bench.send(id, &sent, 0);
        for message in &sent {
            let length = peer.recv(&mut buffer).expect("it was sent");
            assert_eq!(&buffer[..length], message);
        }
    }
    assert_eq!((bench.reactor.stats().datagrams_sent, bench.reactor.stats().datagrams_failed), (755, 0));
}

#[test]
fn both_ends_in_groups_and_none_after_the_descriptor_is_shared() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, peer) = bench.pair();
    let far = bench.ids.allocate();
    let duplicate = peer.try_clone().expect("a descriptor");
    bench.ask(OPEN, far, peer.into_raw_fd(), 0, &[]);
    bench.ask(READ_START, far, 0, 0, &[]);
    let sent = messages(120);
    // The first crowd makes the kernel join what follows.
    for _ in 0..3 {
        bench.send(ours, &sent, 0);
        assert_eq!(bench.drain(), sent);
    }
    bench.send(ours, &sent, 0);
    bench.ask(SHARE, far, 0, 0, &[]);
    assert_eq!(bench.drain(), sent, "what was joined already came out whole");
    bench.ask(common::READ_START + 1, far, 0, 0, &[]);
    bench.send(ours, &[vec![1; 100], vec![2; 100], vec![3; 100]], 0);
    let mut buffer = [0; 2048];
    for byte in 1..=3 {
        assert_eq!(duplicate.recv(&mut buffer).expect("it was sent"), 100);
        assert_eq!(buffer[0], byte);
    }
}

#[test]
fn refusals_are_told_to_whoever_waits_and_counted_otherwise() {
    let _alone = common::alone();
    let before = common::descriptors();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair();
    drop(peer);
    bench.ask(READ_START, id, 0, 0, &[]);
    for _ in 0..2000 {
        bench.send(id, &[b"anyone?".to_vec()], 0);
        bench.reactor.turn(None);
    }
    let told = bench.turn();
    assert!(told.len() < 2100, "bounded by what was sent: {}", told.len());
    let refused = told.iter().filter(|(op, a, _)| *op == Op::DatagramError as i32 && *a == -libc::ECONNREFUSED).count() as u64;
    assert!(refused + bench.reactor.stats().datagrams_failed > 0);
    bench.send(id, &[b"once".to_vec(), b"more".to_vec()], NOTIFY);
    let told: Vec<_> = bench.turn().into_iter().filter(|(op, ..)| *op == Op::SendDone as i32).collect();
    assert_eq!(told.len(), 2, "each that waits is told of once");
    bench.ask(CLOSE, id, 0, 0, &[]);
    drop(bench);
    common::assert_descriptors(before);
}

#[test]
fn what_others_may_read_is_not_taken_before_its_time_nor_joined() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, peer) = bench.pair_with(SHARED);
    bench.ask(READ_START, id, 0, 0, &[]);
    let sent = messages(200);
    for round in 0..3 {
        for message in &sent {
            peer.send(message).expect("loopback");
        }
        // No batch, as when JavaScript is busy: somebody else may have the time.
        let turn = bench.reactor.turn(None);
        assert!(turn.starved, "told that room is lacking");
        assert_eq!(bench.reactor.datagrams_waiting().arrived, 0, "round {round}");
        assert_eq!(bench.drain(), sent);
    }
    // Crowds have come, and still groups are not joined for those who would not know: who reads meets single messages.
    let (mine, other) = bench.pair();
    bench.ask(READ_START, mine, 0, 0, &[]);
    for message in &sent {
        other.send(message).expect("loopback");
    }
    assert_eq!(bench.drain(), sent);
    bench.ask(SHARE, mine, 0, 0, &[]);
    for message in &sent {
        other.send(message).expect("loopback");
    }
    bench.reactor.turn(None);
    assert_eq!(bench.reactor.datagrams_waiting().arrived, 0, "from the sharing on");
    assert_eq!(bench.drain(), sent);
}
