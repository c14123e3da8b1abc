//! Streams that the loop watches itself, and turns in rounds around them: when they become so, and what brings them back.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use common::{Bench, CLOSE, LAYERS, Over, Peer, READ_START, READ_STOP, WRITE, Watched};
use tsloop_core::command::{NOTIFY, OPEN_STREAM};
use tsloop_core::event::Op;
use tsloop_core::limits::{DIRECT_AFTER, DIRECT_STREAMS};
use tsloop_core::table::Id;

impl Bench {
    /// A stream that talks until the loop watches it, its peer, and where it is watched.
    fn talk_until_direct(&mut self, watched: &Watched, over: Over) -> (Id, Peer<UnixStream>, usize) {
        let (ours, peer) = common::pair();
        let (fd, mut peer) = (ours.as_raw_fd(), Peer::new(peer, over));
        let id = self.open(OPEN_STREAM, ours);
        if let Some(toy) = over.toy() {
            self.put_layer(id, toy);
        }
        self.ask(READ_START, id, 0, 0, &[]);
        let mut turns = 0;
        while !watched.get().contains(&Some(fd)) {
            peer.write_all(b"x").expect("room");
            assert_eq!(self.inline_turn(true), [(Op::Data as i32, id, 0)]);
            turns += 1;
            assert!(turns < DIRECT_AFTER * 4, "watched by the loop");
        }
        assert!(turns >= DIRECT_AFTER, "not before it has had so many turns for itself");
        let place = watched.get().iter().position(|watched| *watched == Some(fd)).expect("watched by the loop");
        (id, peer, place)
    }
}

#[test]
fn a_stream_that_is_alone_in_turn_after_turn_is_watched_by_the_loop_itself() {
    let _alone = common::alone();
    for over in LAYERS {
        let (mut bench, watched) = (Bench::new(), Watched::default());
        bench.reactor.watch_with(Box::new(watched.clone()), false);
        let (id, mut peer, place) = bench.talk_until_direct(&watched, over);
        peer.write_all(b"x").expect("room");
        assert_eq!(bench.inline_turn(true), [], "the kernel is not asked about it any more");
        assert!(bench.reactor.heard(place, false), "nothing else is to be done");
        assert_eq!(bench.inline_turn(false), [(Op::Data as i32, id, 0)]);
        assert!(!bench.reactor.heard(DIRECT_STREAMS, false), "no such place");

        // Its end is told by the readiness set, with the bytes before it.
        peer.write_all(b"last").expect("room");
        drop(peer);
        assert!(!bench.reactor.heard(place, true));
        assert_eq!(watched.get(), [None; DIRECT_STREAMS]);
        assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0), (Op::ReadEnd as i32, id, 0)]);
        bench.ask(CLOSE, id, 0, 0, &[]);
    }
}

#[test]
fn what_happens_to_a_direct_stream_brings_it_back() {
    let _alone = common::alone();
    let before = common::descriptors();
    LAYERS.into_iter().for_each(bring_back);
    common::assert_descriptors(before);
}

fn bring_back(over: Over) {
    let (mut bench, watched) = (Bench::new(), Watched::default());
    bench.reactor.watch_with(Box::new(watched.clone()), false);

    // Nobody reads it.
    let (id, mut peer, place) = bench.talk_until_direct(&watched, over);
    bench.ask(READ_STOP, id, 0, 0, &[]);
    peer.write_all(b"x").expect("room");
    assert!(!bench.reactor.heard(place, false));
    assert_eq!((bench.inline_turn(true), watched.get()[place]), (vec![], None));
    bench.ask(READ_START, id, 0, 0, &[]);
    assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0)]);
    bench.ask(CLOSE, id, 0, 0, &[]);

    // The kernel's buffer is full, and has room again.
    let (id, mut peer, place) = bench.talk_until_direct(&watched, over);
    let large = vec![7_u8; 4 * 1024 * 1024];
    assert_eq!(bench.ask(WRITE, id, i32::try_from(large.len()).expect("small"), NOTIFY, &large), 1);
    assert_eq!(watched.get()[place], None);
    let mut received = vec![0; large.len()];
    let reader = std::thread::spawn(move || {
        peer.read_exact(&mut received).expect("all of it");
        (peer, received)
    });
    let mut told = Vec::new();
    while told.is_empty() {
        told = bench.inline_turn(true);
    }
    assert_eq!(told, [(Op::WriteDone as i32, id, 0)]);
    assert!(reader.join().expect("no panic").1 == large);
    bench.ask(CLOSE, id, 0, 0, &[]);

    // Turns serve many.
    let (id, mut peer, place) = bench.talk_until_direct(&watched, over);
    let mut others: Vec<_> = (0..3).map(|_| common::pair()).map(|(ours, peer)| (bench.open(OPEN_STREAM, ours), peer)).collect();
    for (other, peer) in &mut others {
        bench.ask(READ_START, *other, 0, 0, &[]);
        peer.write_all(b"x").expect("room");
    }
    assert_eq!(bench.inline_turn(true).len(), 3);
    assert_eq!(watched.get()[place], None);
    peer.write_all(b"x").expect("room");
    assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0)]);

    // The seat passes: what came meanwhile is told to whoever has it.
    let (id, mut peer, _) = bench.talk_until_direct(&watched, over);
    peer.write_all(b"x").expect("room");
    bench.reactor.take_all_back();
    bench.batch.clear();
    bench.reactor.turn(Some(&mut bench.batch));
    assert_eq!((bench.told(), watched.get()), (vec![(Op::Data as i32, id, 0)], [None; DIRECT_STREAMS]));

    // It closes; everything does.
    let (id, ..) = bench.talk_until_direct(&watched, over);
    bench.ask(CLOSE, id, 0, 0, &[]);
    assert_eq!(watched.get(), [None; DIRECT_STREAMS]);
    let _open = bench.talk_until_direct(&watched, over);
    bench.reactor.clear();
    assert_eq!(watched.get(), [None; DIRECT_STREAMS]);
}

#[test]
fn of_many_that_talk_none_is_watched_directly_and_one_that_fell_silent_makes_room() {
    let _alone = common::alone();
    for over in LAYERS {
        let (mut bench, watched) = (Bench::new(), Watched::default());
        bench.reactor.watch_with(Box::new(watched.clone()), false);
        let mut many: Vec<_> = (0..50).map(|_| common::pair()).map(|(ours, peer)| (ours.as_raw_fd(), bench.open(OPEN_STREAM, ours), peer)).collect();
        for (_, id, _) in &many {
            bench.ask(READ_START, *id, 0, 0, &[]);
        }
        for _ in 0..DIRECT_AFTER * 2 {
            for (_, id, peer) in &mut many {
                peer.write_all(b"x").expect("room");
                assert_eq!(bench.inline_turn(true), [(Op::Data as i32, *id, 0)]);
            }
        }
        assert_eq!(watched.get(), [None; DIRECT_STREAMS]);

        let mut silent: Vec<_> = (0..DIRECT_STREAMS).map(|_| bench.talk_until_direct(&watched, over)).collect();
        let (fd, id, peer) = &mut many[0];
        let mut asked = 0;
        while !watched.get().contains(&Some(*fd)) {
            peer.write_all(b"x").expect("room");
            assert_eq!(bench.inline_turn(true), [(Op::Data as i32, *id, 0)]);
            asked += 1;
            assert!(asked <= DIRECT_AFTER * 4, "one that fell silent makes room");
        }
        assert_eq!(watched.get().iter().flatten().count(), DIRECT_STREAMS);
        for (silent, peer, _) in &mut silent {
            peer.write_all(b"x").expect("room");
            let place = (0..DIRECT_STREAMS).find(|place| watched.get()[*place] != Some(*fd) && watched.get()[*place].is_some());
            let told = bench.inline_turn(true);
            if told.is_empty() {
                assert!(bench.reactor.heard(place.expect("the other place"), false));
                assert_eq!(bench.inline_turn(false), [(Op::Data as i32, *silent, 0)]);
            } else {
                assert_eq!(told, [(Op::Data as i32, *silent, 0)]);
            }
        }
    }
}
