//! What a layer between a stream and its wire asks of the reactor, shown with one that is none of the world's: bytes that lie
//! ready without an edge, output that input asks for, last words, work on other threads, and what goes wrong.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use common::toy::{CUT, NONSENSE, Thinks, Toy};
use common::{Bench, CLOSE, Over, Peer, READ_START, READ_STOP, SHUTDOWN, WRITE, Watched};
use tsloop_core::command::{COUNTED, NOTIFY, OPEN_STREAM, RESET};
use tsloop_core::event::{Op, UV_EOF};
use tsloop_core::limits::{BATCH_BYTES, CHUNK_BYTES, DIRECT_AFTER, SEALED_AHEAD};
use tsloop_core::stream::layer::Layer;
use tsloop_core::table::Id;

const DATA: i32 = Op::Data as i32;
const END: i32 = Op::ReadEnd as i32;
const WRITTEN: i32 = Op::WriteDone as i32;

impl Bench {
    /// A stream with a toy over its wire, and its peer.
    fn layered(&mut self) -> (Id, Peer<UnixStream>) {
        let (ours, peer) = common::pair();
        common::shrink(ours.as_raw_fd());
        let id = self.open(OPEN_STREAM, ours);
        self.put_layer(id, Toy::new());
        (id, Peer::new(peer, Over::Toy))
    }

    fn reading(&mut self) -> (Id, Peer<UnixStream>) {
        let (id, peer) = self.layered();
        self.ask(READ_START, id, 0, 0, &[]);
        (id, peer)
    }

    fn hears(&mut self) -> Vec<(i32, i32)> {
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        self.told().into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).map(|(op, _, a)| (op, a)).collect()
    }

    /// Bytes in the batch, behind those that made it narrow.
    fn bytes(&self, behind: usize) -> &[u8] {
        &self.batch.bytes()[behind..]
    }
}

#[test]
fn what_lies_ready_is_told_without_an_edge() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reading();
    let sent = common::tagged(1, 50_000);
    peer.write_all(&sent).expect("room");
    assert!(bench.reactor.turn(None).starved);
    bench.narrow(5_000);
    assert!(bench.reactor.turn(Some(&mut bench.batch)).more, "the batch is full");
    let mut got = bench.bytes(BATCH_BYTES - 5_000).to_vec();
    assert_eq!(got.len(), 5_000);
    bench.reactor.turn(None);
    assert!(!bench.rings() && bench.reactor.is_due(), "the kernel has nothing to tell any more");

    // Nobody reads: it is nobody's business, and still there.
    bench.ask(READ_STOP, id, 0, 0, &[]);
    assert_eq!(bench.hears(), []);
    assert!(!bench.reactor.is_due());
    bench.ask(READ_START, id, 0, 0, &[]);
    assert!(bench.reactor.is_due());
    assert_eq!(bench.hears(), [(DATA, 0)]);
    got.extend(bench.bytes(0));
    assert!(got == sent);
    assert!(!bench.reactor.is_due());
    bench.ask(CLOSE, id, i32::try_from(sent.len()).expect("small"), COUNTED, &[]);
}

#[test]
fn a_stream_that_the_loop_watches_may_hold_bytes_that_the_loop_knows_nothing_of() {
    let _alone = common::alone();
    let (mut bench, watched) = (Bench::new(), Watched::default());
    bench.reactor.watch_with(Box::new(watched.clone()), false);
    let (id, mut peer) = bench.reading();
    let talk = |bench: &mut Bench, peer: &mut Peer<UnixStream>| {
        for _ in 0..DIRECT_AFTER * 4 {
            if let Some(place) = watched.get().iter().position(Option::is_some) {
                return place;
            }
            peer.write_all(b"x").expect("room");
            assert_eq!(bench.inline_turn(true), [(DATA, id, 0)]);
        }
        panic!("watched by the loop");
    };
    let place = talk(&mut bench, &mut peer);
    peer.write_all(&common::tagged(2, 40_000)).expect("room");
    assert!(bench.reactor.heard(place, false));
    bench.narrow(5_000);
    bench.reactor.first_round(&mut bench.batch, false);
    assert!(bench.reactor.is_due() && watched.get()[place].is_some());
    bench.ask(READ_STOP, id, 0, 0, &[]);
    assert_eq!(bench.inline_turn(true), []);
    bench.ask(READ_START, id, 0, 0, &[]);
    assert!(bench.reactor.is_due(), "though the loop tells nothing");
    assert_eq!(bench.inline_turn(false), [(DATA, id, 0)]);
    assert_eq!(bench.bytes(0).len(), 35_000);

    // One that holds bytes is not given to the loop.
    bench.reactor.take_all_back();
    bench.inline_turn(true);
    for _ in 0..DIRECT_AFTER * 4 {
        peer.write_all(&common::tagged(3, 6_000)).expect("room");
        bench.narrow(5_000);
        bench.reactor.first_round(&mut bench.batch, true);
        assert_eq!(watched.get()[place], None);
        bench.inline_turn(true);
        // This one holds none, and may be given.
        bench.reactor.take_all_back();
    }
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn to_close_over_bytes_that_lie_ready_resets() {
    let _alone = common::alone();
    for (room, resets) in [(5_000, true), (BATCH_BYTES, false)] {
        let mut bench = Bench::new();
        let (ours, peer) = common::connected();
        let id = bench.open(OPEN_STREAM, ours);
        bench.put_layer(id, Toy::new());
        bench.ask(READ_START, id, 0, 0, &[]);
        let mut peer = Peer::new(peer, Over::Toy);
        peer.write_all(&[7; 6_000]).expect("room");
        bench.narrow(room);
        bench.reactor.turn(Some(&mut bench.batch));
        let heard = bench.bytes(BATCH_BYTES - room).len();
        bench.ask(CLOSE, id, i32::try_from(heard).expect("small"), COUNTED, &[]);
        match peer.stream.read(&mut [0; 8]) {
            Ok(0) => assert!(!resets),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => assert!(resets),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_input_asks_for_leaves_though_nobody_writes() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reading();
    for _ in 0..3 {
        peer.write_all(b"word").expect("room");
    }
    assert_eq!(bench.hears(), [(DATA, 0)]);
    bench.ask(WRITE, id, 6, 0, b"answer");
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).expect("frames in order");
    assert_eq!((&answer, peer.toy.as_ref().map(|toy| toy.echoed)), (b"answer", Some(3)));
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn a_peer_that_asks_on_and_takes_nothing_is_not_read_on() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reading();
    let toy = peer.toy.as_mut().expect("a toy");
    peer.stream.set_nonblocking(true).expect("a flag");
    let (mut frames, mut heard, mut refused) = (0, 0, 0);
    let mut sealed = Vec::new();
    while refused < 4 {
        while sealed.len() < CHUNK_BYTES {
            toy.seal(&[b"?"], &mut sealed);
            frames += 1;
        }
        match peer.stream.write(&sealed) {
            Ok(count) => {
                sealed.drain(..count);
                refused = 0;
            }
            Err(_) => refused += 1,
        }
        bench.hears();
        heard += bench.bytes(0).len();
        assert!(frames < 1 << 20, "it is held back");
    }
    let waits = bench.reactor.queued_bytes();
    assert!((SEALED_AHEAD / 2..SEALED_AHEAD + CHUNK_BYTES).contains(&waits), "{waits} bytes");
    assert!(!bench.reactor.is_due(), "nothing can be done but to wait");
    // It takes what it asked for, and all of its frames are heard.
    while heard < frames {
        let mut wire = [0; CHUNK_BYTES];
        let count = peer.stream.read(&mut wire).unwrap_or(0);
        peer.toy.as_mut().expect("a toy").open(&mut wire[..count], &mut Vec::new()).expect("frames in order");
        if !sealed.is_empty()
            && let Ok(count) = peer.stream.write(&sealed)
        {
            sealed.drain(..count);
        }
        bench.hears();
        heard += bench.bytes(0).len();
    }
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn last_words_come_behind_all_that_was_written_and_before_the_end() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.layered();
    let sent = common::tagged(4, 300_000);
    assert_eq!(bench.ask(WRITE, id, 300_000, NOTIFY, &sent), 1);
    bench.ask(SHUTDOWN, id, 0, NOTIFY, &[]);
    let (mut last, mut unsent) = (Vec::new(), bench.reactor.unsent(id));
    let reader = std::thread::spawn(move || {
        let received = common::read_all(&mut peer);
        (received, peer)
    });
    while !last.contains(&(Op::ShutdownDone as i32, 0)) {
        last.extend(bench.hears());
        let now = bench.reactor.unsent(id);
        // Eight bytes are the last words'.
        assert!(now <= unsent + 8, "progress is seen: {now} after {unsent}");
        unsent = now;
    }
    assert_eq!(last, [(WRITTEN, 0), (Op::ShutdownDone as i32, 0)]);
    let (received, mut peer) = reader.join().expect("whole frames");
    assert!(received == sent);
    assert!(peer.toy.as_ref().is_some_and(Layer::is_over), "it was said");
    assert_eq!(peer.stream.read(&mut [0]).expect("an end"), 0);
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn what_is_sealed_leaves_after_a_close_and_not_after_a_reset() {
    let _alone = common::alone();
    for flags in [0, RESET] {
        let mut bench = Bench::new();
        let (id, mut peer) = bench.layered();
        let sent = common::tagged(5, 300_000);
        assert_eq!(bench.ask(WRITE, id, 300_000, NOTIFY, &sent), 1);
        let sealed = 300_000 - bench.reactor.queued_bytes();
        bench.ask(CLOSE, id, 0, flags, &[]);
        assert_eq!(bench.reactor.lingering(), u32::from(flags == 0));
        assert!(bench.reactor.queued_bytes() <= SEALED_AHEAD * 9 / 8, "what was not sealed is dropped");
        if flags == RESET {
            assert_eq!((bench.reactor.queued_bytes(), bench.reactor.open_streams()), (0, 0));
            continue;
        }
        peer.quiet = true;
        let reader = std::thread::spawn(move || common::read_all(&mut peer));
        while bench.reactor.lingering() > 0 {
            bench.hears();
        }
        let received = reader.join().expect("whole frames");
        assert!(received.len() >= sealed && received.len() < 300_000 && received == sent[..received.len()]);
    }
}

#[test]
fn last_words_that_wait_leave_after_a_close() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.layered();
    // So that the kernel has no room for them.
    while bench.ask(WRITE, id, 4_000, 0, &[7; 4_000]) == 0 {}
    bench.ask(SHUTDOWN, id, 0, 0, &[]);
    bench.ask(CLOSE, id, 0, 0, &[]);
    peer.quiet = true;
    let reader = std::thread::spawn(move || {
        common::read_all(&mut peer);
        peer
    });
    while bench.reactor.lingering() > 0 {
        bench.hears();
    }
    let peer = reader.join().expect("whole frames");
    assert!(peer.toy.is_some_and(|toy| toy.is_over()), "it was said");
}

#[test]
fn what_breaks_a_layer_is_told_behind_what_it_had_opened_and_ends_what_waits() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reading();
    assert_eq!(bench.ask(WRITE, id, 300_000, NOTIFY, &vec![7; 300_000]), 1);
    peer.write_all(b"good").expect("room");
    peer.stream.write_all(b"no frame of any kind").expect("room");
    // The end has a batch of its own, as behind any last bytes.
    let told: Vec<_> = (0..3).flat_map(|_| bench.hears()).collect();
    assert_eq!(told, [(DATA, 0), (WRITTEN, NONSENSE), (END, NONSENSE)]);
    assert_eq!(bench.ask(WRITE, id, 4, 0, b"more"), NONSENSE);
    bench.ask(CLOSE, id, 0, 0, &[]);
    // Sealed before, it leaves all the same.
    assert_eq!(bench.reactor.lingering(), 1);
    peer.quiet = true;
    let reader = std::thread::spawn(move || common::read_all(&mut peer).len());
    while bench.reactor.lingering() > 0 {
        bench.hears();
    }
    let received = reader.join().expect("whole frames");
    assert!((1..300_000).contains(&received), "{received} bytes");
}

#[test]
fn an_end_means_what_the_layer_says() {
    let _alone = common::alone();
    for (wire, meant) in [(0, UV_EOF), (2, CUT), (7, CUT)] {
        let mut bench = Bench::new();
        let (id, mut peer) = bench.reading();
        let mut sealed = Vec::new();
        peer.toy.as_mut().expect("a toy").seal(&[b"word"], &mut sealed);
        peer.stream.write_all(&sealed[..wire]).expect("room");
        drop(peer);
        assert_eq!([bench.hears(), bench.hears()].concat(), [(END, meant)]);
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
    // Announced, it comes though the wire goes on.
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reading();
    peer.write_all(b"word").expect("room");
    let mut last = Vec::new();
    peer.toy.as_mut().expect("a toy").say_last(&mut last);
    peer.stream.write_all(&last).expect("room");
    assert_eq!([bench.hears(), bench.hears(), bench.hears()].concat(), [(DATA, 0), (END, UV_EOF)]);
    assert!(!bench.reactor.is_due());
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn what_waited_before_there_was_a_layer_leaves_as_it_is() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::pair();
    common::shrink(ours.as_raw_fd());
    let id = bench.open(OPEN_STREAM, ours);
    let plain = common::tagged(6, 100_000);
    assert_eq!(bench.ask(WRITE, id, 100_000, NOTIFY, &plain), 1);
    bench.put_layer(id, Toy::that(Thinks::Well));
    bench.ask(WRITE, id, 6, NOTIFY, b"sealed");
    bench.ask(READ_START, id, 0, 0, &[]);
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; 100_000];
        peer.read_exact(&mut received).expect("as it was");
        let mut peer = Peer::speaking(peer, Toy::that(Thinks::Well));
        let mut sealed = [0; 6];
        peer.read_exact(&mut sealed).expect("frames");
        (received, sealed, peer)
    });
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(bench.hears());
    }
    assert_eq!(told, [(WRITTEN, 0), (WRITTEN, 0)]);
    let (received, sealed, _peer) = reader.join().expect("all of it");
    assert!(received == plain && sealed == *b"sealed");
    bench.ask(CLOSE, id, 0, 0, &[]);
}
