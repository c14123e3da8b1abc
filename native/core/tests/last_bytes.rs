//! What a peer said before it went, and what is told of its going: against writes that wait, and against bytes that nobody
//! came to read.

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use common::{Bench, CLOSE, LAYERS, Over, Peer, READ_START, WRITE};
use tsloop_core::command::{COUNTED, HEADER, NOTIFY, OPEN_STREAM};
use tsloop_core::env::Caller;
use tsloop_core::event::{Op, UV_EOF};
use tsloop_core::sys;
use tsloop_core::table::Id;

const DATA: i32 = Op::Data as i32;
const END: i32 = Op::ReadEnd as i32;
const WRITTEN: i32 = Op::WriteDone as i32;
const RESET: i32 = -libc::ECONNRESET;

impl Bench {
    /// A turn with a batch of its own; what it told, the state of connections aside.
    fn hears(&mut self) -> Vec<(i32, Id, i32)> {
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        self.told().into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).collect()
    }

    /// As [`Bench::ask`], by somebody who does not wait for the outcome.
    fn leave(&mut self, op: i32, id: Id, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("small");
        let mut stream = Vec::with_capacity(HEADER + bytes.len());
        for word in [op, id.slot.cast_signed(), id.generation.cast_signed(), length, NOTIFY] {
            stream.extend(word.to_ne_bytes());
        }
        stream.extend(bytes);
        stream.resize(stream.len().next_multiple_of(4), 0);
        self.reactor.apply(&stream, Caller::Gone);
    }

    /// A stream that reads, and its peer.
    fn talking(&mut self, over: Over) -> (Id, Peer<TcpStream>) {
        let (ours, peer) = common::connected();
        let id = self.open(OPEN_STREAM, ours);
        if let Some(toy) = over.toy() {
            self.put_layer(id, toy);
        }
        self.ask(READ_START, id, 0, 0, &[]);
        (id, Peer::new(peer, over))
    }

    /// A stream that reads, with a write that waits for its peer.
    fn uploading(&mut self, over: Over) -> (Id, Peer<TcpStream>) {
        let (id, peer) = self.talking(over);
        while self.ask(WRITE, id, 64 * 1024, NOTIFY, &[7; 64 * 1024]) == 0 {}
        assert_eq!(self.hears(), []);
        (id, peer)
    }
}

/// Over each layer, with an end at `EPOLLHUP` and without.
fn both() -> impl Iterator<Item = (Over, bool)> {
    LAYERS.into_iter().flat_map(|over| [(over, true), (over, false)])
}

/// Goes with bytes unread, which resets.
fn answer_and_go(mut peer: Peer<TcpStream>, answer: &[u8]) {
    peer.write_all(answer).expect("to send");
    drop(peer);
}

#[test]
fn an_answer_is_told_before_the_write_that_fails() {
    let _alone = common::alone();
    for (over, ends_at_hang_up) in both() {
        let mut bench = Bench::new();
        bench.reactor.end_at_hang_up(ends_at_hang_up);
        let (id, peer) = bench.uploading(over);
        answer_and_go(peer, b"answer");
        let mut expected = vec![(DATA, id, 0), (END, id, UV_EOF), (WRITTEN, id, RESET)];
        if !ends_at_hang_up {
            expected.remove(1);
        }
        assert_eq!(bench.hears(), expected, "the end at EPOLLHUP: {ends_at_hang_up}");
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn an_answer_is_told_before_a_write_that_fails_where_nobody_waits() {
    let _alone = common::alone();
    for (over, ends_at_hang_up) in both() {
        let mut bench = Bench::new();
        bench.reactor.end_at_hang_up(ends_at_hang_up);
        let (id, mut peer) = bench.talking(over);
        assert_eq!(bench.ask(WRITE, id, 6, 0, b"unread"), 0);
        std::thread::sleep(std::time::Duration::from_millis(5));
        peer.write_all(b"answer").expect("to send");
        drop(peer);
        // Several are on their way before the next turn, and none knows of the reset.
        for _ in 0..3 {
            bench.leave(WRITE, id, b"more");
        }
        let told: Vec<_> = (0..3).flat_map(|_| bench.hears()).collect();
        assert_eq!(told[0], (DATA, id, 0), "{told:?}");
        let failed: Vec<_> = told.iter().filter(|(op, ..)| *op == WRITTEN).map(|(.., status)| *status).collect();
        assert_eq!(failed, [RESET; 3], "each once: {told:?}");
        assert_eq!(told.iter().filter(|(op, ..)| *op == END).count(), 1, "{told:?}");
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn a_reset_is_told_before_the_write_that_waits() {
    let _alone = common::alone();
    for over in LAYERS {
        let mut bench = Bench::new();
        let (id, peer) = bench.uploading(over);
        sys::reset_on_close(peer.as_fd()).expect("an option");
        drop(peer);
        assert_eq!(bench.hears()[..2], [(END, id, RESET), (WRITTEN, id, -libc::EPIPE)]);
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn without_room_an_answer_waits_and_the_failure_behind_it() {
    let _alone = common::alone();
    for over in LAYERS {
        let mut bench = Bench::new();
        let (id, peer) = bench.uploading(over);
        answer_and_go(peer, b"answer");
        for _ in 0..3 {
            assert!(bench.reactor.turn(None).starved);
        }
        let told: Vec<_> = (0..3).flat_map(|_| bench.hears()).collect();
        let place = |wanted| told.iter().position(|(op, ..)| *op == wanted).expect("told");
        assert!(place(DATA) < place(WRITTEN), "{told:?}");
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn what_is_told_of_a_reset_behind_the_last_bytes() {
    let _alone = common::alone();
    for (over, ends_at_hang_up) in both() {
        let mut bench = Bench::new();
        bench.reactor.end_at_hang_up(ends_at_hang_up);
        let (id, mut peer) = bench.talking(over);
        peer.write_all(b"part").expect("to send");
        sys::reset_on_close(peer.as_fd()).expect("an option");
        drop(peer);
        let (first, second) = (bench.hears(), bench.hears());
        if ends_at_hang_up {
            assert_eq!((first, second), (vec![(DATA, id, 0), (END, id, UV_EOF)], vec![]));
        } else {
            assert_eq!((first, second), (vec![(DATA, id, 0)], vec![(END, id, RESET)]), "the last bytes have a turn for themselves");
        }
        // The same where the bytes were taken a turn before the reset, and JavaScript has not seen them.
        let (id, mut peer) = bench.talking(over);
        peer.write_all(b"part").expect("to send");
        bench.batch.clear();
        bench.reactor.turn(Some(&mut bench.batch));
        sys::reset_on_close(peer.as_fd()).expect("an option");
        drop(peer);
        bench.reactor.turn(Some(&mut bench.batch));
        let ends: Vec<_> = bench.told().into_iter().filter(|(op, ..)| *op == END).collect();
        assert_eq!(ends, if ends_at_hang_up { vec![(END, id, UV_EOF)] } else { vec![] });
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn a_stream_that_closes_over_bytes_that_javascript_was_not_given_resets() {
    let _alone = common::alone();
    let cases = [(4, COUNTED, false), (2, COUNTED, true), (0, COUNTED, true), (0, 0, false)];
    for (over, (heard, flags, resets)) in LAYERS.into_iter().flat_map(|over| cases.map(|case| (over, case))) {
        let mut bench = Bench::new();
        let (id, mut peer) = bench.talking(over);
        peer.write_all(b"four").expect("to send");
        assert_eq!(bench.hears(), [(DATA, id, 0)]);
        bench.ask(CLOSE, id, heard, flags, &[]);
        let end = peer.read(&mut [0; 8]);
        match end {
            Ok(0) => assert!(!resets, "{heard}"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => assert!(resets, "{heard}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_behind_what_ends_a_read_are_told_of() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::connected();
    let id = bench.open(OPEN_STREAM, ours);
    bench.ask(READ_START, id, 0, 0, &[]);
    peer.write_all(b"one").expect("to send");
    // SAFETY: one byte of a literal.
    assert_eq!(unsafe { libc::send(peer.as_raw_fd(), b"X".as_ptr().cast(), 1, libc::MSG_OOB) }, 1);
    peer.write_all(b"two").expect("to send");
    assert_eq!(bench.hears(), [(DATA, id, 0), (DATA, id, 3)], "urgent bytes");
    assert_eq!(bench.batch.bytes(), b"onetwo");

    // Messages that keep their borders, as a pipe of packets has them.
    let mut ends = [0; 2];
    // SAFETY: two descriptors into a local.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_DIRECT | libc::O_NONBLOCK | libc::O_CLOEXEC) }, 0);
    // SAFETY: just made.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    for message in ["one", "two", "three"] {
        (&theirs).write_all(message.as_bytes()).expect("to send");
    }
    let id = bench.open(OPEN_STREAM, ours);
    bench.ask(READ_START, id, 0, 0, &[]);
    assert_eq!(bench.hears(), [(DATA, id, 0), (DATA, id, 3), (DATA, id, 6)], "packets");
}
