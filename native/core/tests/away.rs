//! Layers that are away for work which belongs to no turn: what waits meanwhile, how they come back, and what if there is nobody to
//! come back to. Under every driver.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use common::toy::{Thinks, Toy};
use common::{CLOSE, Loop, Peer, READ_START};
use tsloop_core::command::{NOTIFY, OPEN_STREAM};
use tsloop_core::event::Op;
use tsloop_core::limits::LAYER_JOBS;
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::stats::Present;
use tsloop_core::table::Id;

const END: i32 = Op::ReadEnd as i32;
const WRITTEN: i32 = Op::WriteDone as i32;

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
        let (stats, Present { streams: open, queued, lingering, .. }) = this.core.stats();
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
        this.run_until("their hello is there", |this| this.core.stats().1.queued == 0);
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
