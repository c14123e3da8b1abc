//! Writes that counted as written when they were handed over, applied for a caller that waits: the inline driver's, where the
//! answers of a delivery gather. Nobody asks what became of each, so whatever else than "sent" became of it is told.

mod common;

use std::io::Read;
use std::os::unix::net::UnixStream;

use common::{Bench, CLOSE, WRITE};
use tsloop_core::command::OPEN_STREAM;
use tsloop_core::event::{FULL, Op};

/// What a turn told of one kind, as the events' first argument.
fn told(bench: &mut Bench, op: Op) -> Vec<i32> {
    bench.batch.clear();
    bench.reactor.turn(Some(&mut bench.batch));
    (0..bench.batch.len()).map(|index| bench.batch.record(index)).filter(|record| record[0] == op as i32).map(|record| record[3]).collect()
}

#[test]
fn a_full_buffer_is_told_and_so_is_its_relief() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    peer.set_nonblocking(true).expect("a flag");
    let id = bench.open(OPEN_STREAM, ours);
    let chunk = [7_u8; 16 * 1024];
    let mut handed = 0;
    let pressed = loop {
        bench.ask(WRITE, id, i32::try_from(chunk.len()).expect("small"), 0, &chunk);
        handed += chunk.len();
        let told = told(&mut bench, Op::Pressure);
        if !told.is_empty() {
            break told;
        }
        assert!(handed < 1 << 26, "a kernel's buffer has an end");
    };
    assert_eq!(pressed, [FULL]);
    let mut got = 0;
    let mut relieved = Vec::new();
    let mut room = vec![0; 1 << 16];
    while relieved.is_empty() {
        while let Ok(count) = peer.read(&mut room) {
            got += count;
        }
        relieved = told(&mut bench, Op::Pressure);
        assert!(got < 1 << 27);
    }
    assert_eq!(relieved, [0]);
    while let Ok(count) = peer.read(&mut room) {
        got += count;
    }
    assert_eq!(got, handed, "nothing is lost");
    bench.ask(CLOSE, id, 0, 0, &[]);
}

#[test]
fn a_peer_that_is_gone_is_told_of() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, peer) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    let id = bench.open(OPEN_STREAM, ours);
    drop(peer);
    bench.ask(WRITE, id, 6, 0, b"answer");
    assert_eq!(told(&mut bench, Op::WriteFailed), [-libc::EPIPE]);
    bench.ask(CLOSE, id, 0, 0, &[]);
}
