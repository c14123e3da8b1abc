//! Many streams that always have bytes share what is scarce: room in a batch, and blocks.

mod common;

use std::io::Write;
use std::ptr::NonNull;

use common::{Bench, CLOSE, READ_START};
use proptest::prelude::*;
use tsloop_core::command::OPEN_STREAM;
use tsloop_core::env::{Caller, Request};
use tsloop_core::event::Op;
use tsloop_core::limits::{BLOCKS, CHUNK_BYTES};
use tsloop_core::reactor::blocks::Block;

/// Turns in which everybody's share must show.
const TURNS: usize = 60;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn of_so_many_streams_none_gets_less_than_half_its_share(count in 2_usize..14, lends in any::<bool>(), in_rounds in any::<bool>()) {
        let _alone = common::alone();
        let mut bench = Bench::new();
        let streams: Vec<_> = (0..count).map(|_| common::pair()).map(|(ours, peer)| {
            peer.set_nonblocking(true).expect("a flag");
            let id = bench.open(OPEN_STREAM, ours);
            bench.ask(READ_START, id, 0, 0, &[]);
            (id, peer)
        }).collect();
        let mut memory = vec![0_u8; BLOCKS * CHUNK_BYTES];
        let mut lend = |bench: &mut Bench, index: u32| {
            let place = NonNull::new(memory.as_mut_ptr().wrapping_add(index as usize * CHUNK_BYTES)).expect("a vector's");
            // SAFETY: the vector outlives the bench's last turn, and nobody reads it.
            bench.reactor.request(Request::LendBlock(unsafe { Block::new(index, place) }), Caller::Waits);
        };
        if lends {
            for index in 0..u32::try_from(BLOCKS).expect("few") {
                lend(&mut bench, index);
            }
        }
        let mut got = vec![0_usize; count];
        for _ in 0..TURNS {
            for (_, peer) in &streams {
                while (&*peer).write(&[5; CHUNK_BYTES]).is_ok() {}
            }
            let mut first = true;
            while first || (in_rounds && bench.reactor.goes_on()) {
                bench.batch.clear();
                match (in_rounds, std::mem::take(&mut first)) {
                    (false, _) => bench.reactor.turn(Some(&mut bench.batch)),
                    (true, true) => bench.reactor.first_round(&mut bench.batch, true),
                    (true, false) => bench.reactor.next_round(&mut bench.batch),
                };
                for index in 0..bench.batch.len() {
                    let [op, slot, _, block, length, _] = bench.batch.record(index);
                    if op == Op::Block as i32 {
                        lend(&mut bench, block.cast_unsigned());
                    }
                    let at = streams.iter().position(|(id, _)| id.slot == slot.cast_unsigned()).expect("one of ours");
                    got[at] += usize::try_from(length).expect("positive");
                }
            }
        }
        let all: usize = got.iter().sum();
        let least = *got.iter().min().expect("some");
        prop_assert!(least * 2 * count >= all, "{:?}", got);
        for (id, _) in &streams {
            bench.ask(CLOSE, *id, 0, 0, &[]);
        }
    }
}
