//! What a layer between a stream and its wire asks of the reactor, shown with one that is none of the world's: bytes that lie
//! ready without an edge, output that input asks for, last words, work on other threads, and what goes wrong.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use common::toy::{CUT, NONSENSE, Thinks, Toy};
use common::{Bench, CLOSE, Loop, Over, Peer, READ_START, READ_STOP, SHUTDOWN, WRITE, Watched};
use proptest::prelude::*;
use tsloop_core::command::{COUNTED, MORE, NOTIFY, OPEN_STREAM, RESET};
use tsloop_core::env::{Caller, Posted};
use tsloop_core::event::{Op, UV_EOF};
use tsloop_core::limits::{BATCH_BYTES, BLOCKS, CHUNK_BYTES, DIRECT_AFTER, LAYER_JOBS, SEALED_AHEAD};
use tsloop_core::reactor::blocks::Block;
use tsloop_core::reactor::seat::{Choice, Driver};
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

    /// A batch with room for so many bytes.
    fn narrow(&mut self, room: usize) {
        self.batch.clear();
        self.batch.advance(BATCH_BYTES - room);
    }

    fn hears(&mut self) -> Vec<(i32, i32)> {
        self.batch.clear();
        self.reactor.turn(Some(&mut self.batch));
        self.told().into_iter().filter(|(op, ..)| *op != Op::Pressure as i32).map(|(op, _, a)| (op, a)).collect()
    }

    /// What the reactor's descriptor has to tell now.
    fn rings(&self) -> bool {
        let mut entry = libc::pollfd { fd: self.reactor.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry of ours.
        unsafe { libc::poll(&raw mut entry, 1, 0) == 1 }
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

/// Streams whose layers are away until the gate is opened, and their peers.
fn away(this: &mut Loop, gate: &Arc<Mutex<()>>, count: usize) -> Vec<(Id, Peer<UnixStream>)> {
    let open = |_| {
        let (ours, peer) = common::pair();
        let id = this.open(OPEN_STREAM, ours);
        this.put_layer(id, Toy::behind(gate));
        this.ask(READ_START, id, 0, 0);
        (id, Peer::speaking(peer, Toy::that(Thinks::Well)))
    };
    (0..count).map(open).collect()
}

#[test]
fn work_is_done_elsewhere_while_writes_wait_and_nobody_reads() {
    common::under_every_driver(|this, _| {
        let gate = Arc::default();
        let closed = Mutex::lock(&gate).expect("nobody panics with it");
        let mut streams = away(this, &gate, LAYER_JOBS * 2);
        for (id, peer) in &mut streams {
            // It has its hello, and has thought it over.
            peer.meet();
            this.write(*id, b"from the server", NOTIFY);
        }
        let (other, mut others) = common::pair();
        let plain = this.open(OPEN_STREAM, other);
        this.ask(READ_START, plain, 0, 0);
        others.write_all(b"meanwhile").expect("room");
        this.until("others are served", |_, happened| {
            assert!(!happened.is(Op::WriteDone), "nothing is sealed yet");
            happened.is(Op::Data) && happened.id == plain && happened.bytes == b"meanwhile"
        });
        drop(closed);
        for (_, peer) in &mut streams {
            peer.write_all(b"from the client").expect("room");
        }
        let (mut written, mut heard) = (0, 0);
        this.until("each has talked", |_, happened| {
            written += usize::from(happened.is(Op::WriteDone) && happened.a == 0);
            heard += if happened.is(Op::Data) { happened.bytes.len() } else { 0 };
            (written, heard) == (streams.len(), streams.len() * 15)
        });
        for (id, peer) in &mut streams {
            let mut received = [0; 15];
            peer.read_exact(&mut received).expect("frames");
            assert_eq!(&received, b"from the server");
            this.close(*id, 0);
        }
        this.close(plain, 0);
        this.core.settle();
        let (stats, open, queued, lingering) = this.core.stats();
        assert_eq!((open, queued, lingering, stats.panics), (0, 0, 0, 0));
    });
}

#[test]
fn a_layer_that_comes_back_wakes_a_loop_that_sleeps() {
    let _alone = common::alone();
    let mut this = Loop::new(Choice::Fixed(Driver::Inline));
    for _ in 0..200 {
        let gate = Arc::default();
        let closed = Mutex::lock(&gate).expect("nobody panics with it");
        let (id, mut peer) = away(&mut this, &gate, 1).pop().expect("one");
        this.write(id, b"waits", NOTIFY);
        let waits = |ready| {
            let mut entry = libc::pollfd { fd: this.core.descriptor(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry of ours.
            assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 30_000) }, 1, "{ready}");
            let (batch, _) = this.core.inline_turn(true).expect("a batch");
            let told = (0..batch.len()).any(|index| batch.record(index)[0] == WRITTEN);
            this.core.give_back(batch);
            told
        };
        assert!(!waits("its peer's hello"));
        drop(closed);
        // Whatever wakes it, until what waited has left; nothing else than the way back can.
        while !waits("the way back") {}
        let mut received = [0; 5];
        peer.read_exact(&mut received).expect("frames");
        this.core.submit(&{
            let mut commands = Vec::new();
            common::encode(&mut commands, CLOSE, id, 0, 0, &[]);
            commands
        });
    }
}

#[test]
fn work_that_panics_ends_its_stream_and_nothing_else() {
    common::under_every_driver(|this, _| {
        let (ours, peer) = common::pair();
        let id = this.open(OPEN_STREAM, ours);
        this.put_layer(id, Toy::that(Thinks::Badly));
        this.ask(READ_START, id, 0, 0);
        this.write(id, b"waits", NOTIFY);
        let _peer = Peer::speaking(peer, Toy::that(Thinks::Well));
        let mut told = Vec::new();
        this.until("both ends", |_, happened| {
            if happened.is(Op::WriteDone) || happened.is(Op::ReadEnd) {
                told.push((happened.op, happened.a));
            }
            told.len() == 2
        });
        told.sort_unstable();
        assert_eq!(told, [(END, -libc::EIO), (WRITTEN, -libc::EIO)]);
        this.close(id, 0);
    });
}

#[test]
fn a_layer_that_comes_back_to_nobody_is_dropped() {
    common::under_every_driver(|this, _| {
        let gate = Arc::default();
        let closed = Mutex::lock(&gate).expect("nobody panics with it");
        let streams = away(this, &gate, 40);
        this.run_until("all are away, or in line", |_| Arc::strong_count(&gate) == 41);
        for (id, _) in &streams {
            this.write(*id, b"never acknowledged", NOTIFY);
            this.close(*id, 0);
        }
        // Their slots are used again.
        let others: Vec<_> = (0..80).map(|_| common::pair()).map(|(ours, peer)| (this.open(OPEN_STREAM, ours), peer)).collect();
        drop(closed);
        this.run_until("all are gone", |_| Arc::strong_count(&gate) == 1);
        for (id, mut peer) in others {
            this.ask(READ_START, id, 0, 0);
            peer.write_all(b"plain").expect("room");
            this.until("an answer", |_, happened| happened.is(Op::Data) && happened.id == id && happened.bytes == b"plain");
            this.close(id, 0);
        }
    });
}

#[test]
fn an_environment_ends_while_layers_are_away() {
    let gate = Arc::default();
    common::under_every_driver(|this, _| {
        let closed = Mutex::lock(&gate).expect("nobody panics with it");
        let streams = away(this, &gate, 20);
        this.run_until("their hello is there", |this| this.core.stats().2 == 0);
        let start = std::time::Instant::now();
        this.core.end();
        assert!(start.elapsed() < common::PATIENCE / 10, "nobody waits for them");
        drop((closed, streams));
    });
    let deadline = std::time::Instant::now() + common::PATIENCE;
    while Arc::strong_count(&gate) > 1 {
        assert!(std::time::Instant::now() < deadline, "what comes back to nobody is dropped");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What is done with a stream between two turns.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The peer sends so many bytes.
    Sends(usize),
    /// A turn with so much room in its batch; none is no batch.
    Turns(usize),
    Rounds,
    Stops,
    Starts,
    /// JavaScript writes so many bytes.
    Writes(usize),
    /// The peer reads.
    Reads,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = || prop_oneof![1_usize..100, 1_usize..90_000];
    let act = prop_oneof![
        4 => size().prop_map(Act::Sends),
        4 => prop_oneof![Just(0), 0_usize..8_000, Just(BATCH_BYTES)].prop_map(Act::Turns),
        2 => Just(Act::Rounds),
        1 => Just(Act::Stops),
        2 => Just(Act::Starts),
        2 => size().prop_map(Act::Writes),
        2 => Just(Act::Reads),
    ];
    prop::collection::vec(act, 1..60)
}

/// A reactor with one stream, what it was told, and what it was sent.
struct Told {
    bench: Bench,
    blocks: Vec<u8>,
    bytes: Vec<u8>,
    ends: usize,
}

impl Told {
    fn lend(&mut self, index: u32) {
        let place = std::ptr::NonNull::new(self.blocks.as_mut_ptr().wrapping_add(index as usize * CHUNK_BYTES)).expect("a vector's");
        // SAFETY: the vector outlives the bench's last turn, and is read between turns only, after it was filled.
        self.bench.reactor.carry_out(Posted::LendBlock(unsafe { Block::new(index, place) }), Caller::Waits);
    }

    fn hear(&mut self) {
        for index in 0..self.bench.batch.len() {
            let [op, _, _, at, length, _] = self.bench.batch.record(index);
            let (from, length) = (usize::try_from(at).unwrap_or(0), usize::try_from(length).expect("positive"));
            if op == DATA {
                self.bytes.extend(&self.bench.batch.bytes()[from..from + length]);
            } else if op == Op::Block as i32 {
                self.bytes.extend(&self.blocks[from * CHUNK_BYTES..from * CHUNK_BYTES + length]);
                self.lend(at.cast_unsigned());
            }
            self.ends += usize::from(op == END);
            assert!(op != END || at == UV_EOF);
        }
        self.bench.batch.clear();
    }

    fn rounds(&mut self) {
        self.bench.batch.clear();
        self.bench.reactor.first_round(&mut self.bench.batch, true);
        self.hear();
        while self.bench.reactor.goes_on() {
            self.bench.reactor.next_round(&mut self.bench.batch);
            self.hear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    /// Whatever is done in whatever order, each byte is told once and in order, and the end once, behind the last; and nothing waits that
    /// nobody would come back to.
    #[test]
    fn bytes_come_in_order_and_none_is_left_behind(acts in acts(), over_toy in any::<bool>(), lends in any::<bool>(), tcp in any::<bool>()) {
        let _alone = common::alone();
        let mut bench = Bench::new();
        let (ours, theirs): (OwnedFd, OwnedFd) = if tcp {
            let (ours, peer) = common::connected();
            (ours.into(), peer.into())
        } else {
            let (ours, peer) = common::pair();
            (ours, peer.into())
        };
        let mut peer = UnixStream::from(theirs);
        peer.set_nonblocking(true).expect("a flag");
        let id = bench.open(OPEN_STREAM, ours);
        let mut toy = over_toy.then(Toy::new);
        if over_toy {
            bench.put_layer(id, Toy::new());
        }
        bench.ask(READ_START, id, 0, 0, &[]);
        let mut told = Told { bench, blocks: vec![0; BLOCKS * CHUNK_BYTES], bytes: Vec::new(), ends: 0 };
        if lends {
            (0..u32::try_from(BLOCKS).expect("few")).for_each(|index| told.lend(index));
        }
        let (mut sent, mut wire, mut received, mut written) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut reads = true;
        let flush = |peer: &mut UnixStream, wire: &mut Vec<u8>| {
            if let Ok(count) = if wire.is_empty() { Ok(0) } else { peer.write(wire) } {
                wire.drain(..count);
            }
        };
        let take = |peer: &mut UnixStream, toy: &mut Option<Toy>, wire: &mut Vec<u8>, received: &mut Vec<u8>| {
            let mut buffer = vec![0; 100_000];
            let count = peer.read(&mut buffer).unwrap_or(0);
            match toy {
                Some(toy) => {
                    toy.open(&mut buffer[..count], wire).expect("frames in order");
                    let at = received.len();
                    received.resize(at + toy.ready(), 0);
                    toy.take(&mut received[at..]);
                }
                None => received.extend(&buffer[..count]),
            }
        };
        for (at, act) in acts.iter().enumerate() {
            flush(&mut peer, &mut wire);
            match *act {
                Act::Sends(count) if wire.is_empty() => {
                    let bytes = common::tagged(at as u64, count);
                    match &mut toy {
                        Some(toy) => toy.seal(&[&bytes], &mut wire),
                        None => wire.extend(&bytes),
                    }
                    sent.extend(bytes);
                    flush(&mut peer, &mut wire);
                }
                Act::Sends(_) => {}
                Act::Turns(0) => drop(told.bench.reactor.turn(None)),
                Act::Turns(room) => {
                    told.bench.narrow(room);
                    told.bench.reactor.turn(Some(&mut told.bench.batch));
                    told.hear();
                }
                Act::Rounds => told.rounds(),
                Act::Stops | Act::Starts => {
                    reads = matches!(act, Act::Starts);
                    told.bench.ask(if reads { READ_START } else { READ_STOP }, id, 0, 0, &[]);
                }
                Act::Writes(count) => {
                    let bytes = common::tagged(!(at as u64), count);
                    let (first, rest) = bytes.split_at(bytes.len() / 2);
                    told.bench.ask(WRITE, id, i32::try_from(first.len()).expect("small"), MORE, first);
                    told.bench.ask(WRITE, id, i32::try_from(rest.len()).expect("small"), 0, rest);
                    written.extend(bytes);
                }
                Act::Reads => take(&mut peer, &mut toy, &mut wire, &mut received),
            }
        }
        if !reads {
            told.bench.ask(READ_START, id, 0, 0, &[]);
        }
        told.bench.ask(SHUTDOWN, id, 0, 0, &[]);
        let mut says = true;
        for _ in 0..2_000 {
            take(&mut peer, &mut toy, &mut wire, &mut received);
            flush(&mut peer, &mut wire);
            if wire.is_empty() && std::mem::take(&mut says) {
                peer.shutdown(std::net::Shutdown::Write).expect("a socket");
            }
            // Only as a driver would: on readiness, or where something is due.
            if told.bench.rings() || told.bench.reactor.is_due() {
                told.rounds();
            } else if !says && told.ends > 0 && received.len() >= written.len() && told.bench.reactor.queued_bytes() == 0 {
                break;
            }
        }
        prop_assert!(told.bytes == sent, "{} of {} bytes in", told.bytes.len(), sent.len());
        prop_assert!(received == written, "{} of {} bytes out", received.len(), written.len());
        prop_assert_eq!(told.ends, 1);
        prop_assert!(toy.is_none_or(|toy| toy.is_over()));
        told.bench.ask(CLOSE, id, 0, 0, &[]);
    }
}
