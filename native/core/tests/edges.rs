//! What the kernel is asked to tell: readiness to write while something waits, and no sooner.

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use common::{Bench, CLOSE, READ_START, WRITE};
use tsloop_core::command::{NOTIFY, OPEN_STREAM};
use tsloop_core::event::Op;

/// Whether the readiness set tells of a descriptor that it can be written to.
fn asks_for_writing(bench: &Bench, fd: BorrowedFd<'_>) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", bench.reactor.descriptor())).expect("linux");
    let of = |line: &str| line.split_whitespace().nth(1).and_then(|number| number.parse().ok()) == Some(fd.as_raw_fd());
    let line = info.lines().find(|line| line.starts_with("tfd:") && of(line)).expect("in the set");
    let events = line.split_whitespace().nth(3).and_then(|word| u32::from_str_radix(word, 16).ok()).expect("a mask");
    events & libc::EPOLLOUT.cast_unsigned() != 0
}

#[test]
fn a_message_that_the_kernel_takes_whole_brings_no_readiness() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (id, mut peer) = bench.reader();
    assert!(!bench.rings(), "a new connection that says nothing is no reason for a turn");
    for _ in 0..5 {
        peer.write_all(b"ping").expect("room");
        assert_eq!(bench.inline_turn(true), [(Op::Data as i32, id, 0)]);
        assert_eq!(bench.ask(WRITE, id, 4, 0, b"pong"), 0);
        peer.read_exact(&mut [0; 4]).expect("it was sent");
        assert!(!bench.rings(), "the peer has read, which is none of our business");
    }
    bench.ask(CLOSE, id, 0, 0, &[]);
    let (ours, _peer) = common::connected();
    let id = bench.open(OPEN_STREAM, ours);
    bench.ask(READ_START, id, 0, 0, &[]);
    assert!(!bench.rings(), "nor is one over TCP");
}

#[test]
fn readiness_to_write_is_asked_for_while_something_waits_and_a_little_longer() {
    let _alone = common::alone();
    let mut bench = Bench::new();
    let (ours, mut peer) = common::pair();
    peer.set_nonblocking(true).expect("a flag");
    let raw = ours.as_raw_fd();
    // SAFETY: the reactor has it until the end of the test.
    let watched = unsafe { BorrowedFd::borrow_raw(raw) };
    let id = bench.open(OPEN_STREAM, ours);
    bench.ask(READ_START, id, 0, 0, &[]);
    assert!(!asks_for_writing(&bench, watched));
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..3 {
        while bench.ask(WRITE, id, 64 * 1024, NOTIFY, &[7; 64 * 1024]) == 0 {}
        assert!(asks_for_writing(&bench, watched));
        let mut told = Vec::new();
        while told.is_empty() {
            let _ = peer.read(&mut buffer);
            told = bench.inline_turn(true);
        }
        assert_eq!(told, [(Op::WriteDone as i32, id, 0)]);
        assert!(asks_for_writing(&bench, watched), "who is under pressure will be so again");
    }
    while peer.read(&mut buffer).is_ok_and(|count| count > 0) {}
    bench.inline_turn(true);
    for _ in 0..4 {
        assert_eq!(bench.ask(WRITE, id, 4, 0, b"pong"), 0);
        assert_eq!(peer.read(&mut buffer).expect("it was sent"), 4);
        bench.inline_turn(true);
    }
    assert!(!asks_for_writing(&bench, watched), "it was told for nothing");
    bench.ask(CLOSE, id, 0, 0, &[]);
}
