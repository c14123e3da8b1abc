//! The end: what was acknowledged gets its time to leave, whatever one peer does, and at nobody else's cost.

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Loop, Peer, READ_START, encode};
use tsloop_core::command::OPEN_STREAM;
use tsloop_core::event::Op;
use tsloop_core::limits::EXIT_FLUSH_MS;
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::sys;

const OPEN_DATAGRAM: i32 = 9;
const SEND: i32 = 10;
/// More than a shrunk buffer takes.
const MUCH: usize = 60_000;

/// A stream with acknowledged bytes that the kernel has not taken, and its peer.
fn full(of: &mut Loop) -> Peer<UnixStream> {
    let (ours, peer) = common::pair();
    common::shrink(ours.as_raw_fd());
    let id = of.open(OPEN_STREAM, ours);
    of.dress(id);
    of.write(id, &vec![7; MUCH], 0);
    Peer::new(peer, of.over)
}

/// Reads to the end, beginning so much later; how much that was.
fn reads_after(mut peer: Peer<UnixStream>, delay: Duration) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        thread::sleep(delay);
        peer.quiet = true;
        common::read_all(&mut peer).len()
    })
}

#[test]
fn one_stuck_peer_costs_the_others_nothing() {
    common::over_every_layer(|this, _| {
        let _stuck = full(this);
        // A network that takes a few milliseconds.
        let readers: Vec<_> = (0..20).map(|_| reads_after(full(this), Duration::from_millis(20))).collect();
        let (left, _) = this.core.flush();
        this.core.end();
        let got: usize = readers.into_iter().map(|reader| reader.join().expect("it reads")).sum();
        assert_eq!(got, 20 * MUCH);
        // A layer's frames have heads.
        assert!(left > 0 && left < MUCH + MUCH / 100, "{left} bytes of one");
    });
}

extern "C" fn nothing(_signal: libc::c_int) {}

#[test]
fn a_signal_does_not_end_the_flush() {
    // SAFETY: a handler that does nothing, for a signal that nobody else uses.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
    }
    common::over_every_layer(|this, _| {
        let reader = reads_after(full(this), Duration::from_millis(200));
        // SAFETY: plain calls; this thread outlives the one that it waits for.
        let me = unsafe { libc::pthread_self() } as usize;
        let poker = thread::spawn(move || {
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(30));
                // SAFETY: see above.
                unsafe { libc::pthread_kill(me as libc::pthread_t, libc::SIGUSR1) };
            }
        });
        assert_eq!(this.core.flush().0, 0);
        poker.join().expect("it pokes");
        this.core.end();
        assert_eq!(reader.join().expect("it reads"), MUCH);
    });
}

#[test]
fn messages_that_nobody_takes_cost_time_and_no_processor() {
    common::under_every_driver(|this, _| {
        let (ours, peer) = UnixDatagram::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a flag");
        let id = this.open(OPEN_DATAGRAM, OwnedFd::from(ours));
        let mut messages = Vec::new();
        for _ in 0..600 {
            encode(&mut messages, SEND, id, 8, 0, b"12345678");
        }
        this.core.submit(&messages);
        let before = sys::clock(libc::CLOCK_THREAD_CPUTIME_ID);
        let (left, _) = this.core.flush();
        let used = sys::clock(libc::CLOCK_THREAD_CPUTIME_ID) - before;
        assert!(left > 0 && used < Duration::from_millis(EXIT_FLUSH_MS / 4), "{used:?} for {left} bytes");
        drop(peer);
    });
}

#[test]
fn the_end_of_one_environment_does_not_stall_another() {
    let _alone = common::alone();
    let mut ends = Loop::new(Choice::Fixed(Driver::Offload));
    let _stuck = full(&mut ends);
    let (talks, mut talker) = common::pair();
    let talking = ends.open(OPEN_STREAM, talks);
    ends.ask(READ_START, talking, 0, 0);
    let mut other = Loop::new(Choice::Fixed(Driver::Offload));
    let (ours, mut peer) = common::pair();
    let echo = other.open(OPEN_STREAM, ours);
    other.ask(READ_START, echo, 0, 0);
    let client = thread::spawn(move || {
        peer.set_nonblocking(false).expect("a flag");
        let (mut worst, start) = (Duration::ZERO, Instant::now());
        while start.elapsed() < Duration::from_millis(EXIT_FLUSH_MS * 3 / 2) {
            let asked = Instant::now();
            peer.write_all(b"x").expect("to send");
            peer.read_exact(&mut [0]).expect("an answer");
            worst = worst.max(asked.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        worst
    });
    let poker = thread::spawn(move || {
        // While the end is under way: what can be read there wakes whoever drives.
        thread::sleep(Duration::from_millis(100));
        talker.write_all(b"hello").expect("to send");
        talker
    });
    let core = Arc::clone(&ends.core);
    let ender = thread::spawn(move || {
        let start = Instant::now();
        core.end();
        start.elapsed()
    });
    other.until("the client's end", |other, happened| {
        if happened.is(Op::Data) {
            other.write(echo, &happened.bytes, 0);
        }
        happened.is(Op::ReadEnd)
    });
    drop(poker.join());
    let (worst, took) = (client.join().expect("it asks"), ender.join().expect("it ends"));
    assert!(took > Duration::from_millis(EXIT_FLUSH_MS / 2), "the end waited for what could not leave: {took:?}");
    assert!(worst < Duration::from_millis(EXIT_FLUSH_MS / 3), "an answer of the other took {worst:?}");
}
