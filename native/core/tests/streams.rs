//! What must hold of a stream, whatever is done with it in whatever order, over the wire and over a layer.

mod common;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use common::toy::Toy;
use common::{Bench, CLOSE, READ_START, READ_STOP, SHUTDOWN, WRITE};
use proptest::prelude::*;
use tsloop_core::command::{MORE, OPEN_STREAM};
use tsloop_core::env::{Caller, Posted};
use tsloop_core::event::{Op, UV_EOF};
use tsloop_core::limits::{BATCH_BYTES, BLOCKS, CHUNK_BYTES};
use tsloop_core::reactor::blocks::Block;
use tsloop_core::stream::layer::Layer;

const DATA: i32 = Op::Data as i32;
const END: i32 = Op::ReadEnd as i32;

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
