//! The offload driver's threads: one for each environment, quiet when there is nothing to do, gone with it, and nobody else's affair.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Loop, PATIENCE, READ_START};
use tsloop_core::command::OPEN_STREAM;
use tsloop_core::event::Op;
use tsloop_core::limits::IDLE_TURNS;
use tsloop_core::pool;
use tsloop_core::reactor::seat::{Choice, Driver};

/// What the kernel knows of this process's threads of a name.
fn threads(name: &str) -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("linux").filter_map(Result::ok);
    let of_name = tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    of_name.filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).collect()
}

fn assert_threads(name: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while threads(name).len() != count {
        assert!(Instant::now() < deadline, "{} threads, {count} expected", threads(name).len());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Blocked signals, a bit each.
fn blocked(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("the kernel tells");
    u64::from_str_radix(mask.trim(), 16).expect("a mask")
}

fn blocks(status: &str, signal: i32) -> bool {
    blocked(status) & (1 << (signal - 1)) != 0
}

#[test]
fn an_environment_has_a_thread_once_it_needs_one_and_takes_it_along() {
    let _alone = common::alone();
    assert_threads("tsloop-driver", 0);
    let quiet = Loop::new(Choice::Fixed(Driver::Inline));
    assert_threads("tsloop-driver", 0);
    let loops: Vec<Loop> = (0..5).map(|_| Loop::new(Choice::Fixed(Driver::Offload))).collect();
    assert_threads("tsloop-driver", 5);
    for status in threads("tsloop-driver") {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD, libc::SIGUSR1, libc::SIGPROF, libc::SIGALRM, libc::SIGPIPE] {
            assert!(blocks(&status, signal), "signal {signal}");
        }
        assert!(!blocks(&status, libc::SIGSEGV) && !blocks(&status, libc::SIGABRT), "faults of its own are its own");
    }
    assert!(!blocks(&fs::read_to_string("/proc/thread-self/status").expect("linux"), libc::SIGTERM), "who made them takes signals as before");
    // Those that are parked as well.
    for of_two in loops.iter().step_by(2) {
        of_two.core.pass(Driver::Inline);
    }
    drop(loops);
    assert_threads("tsloop-driver", 0);
    drop(quiet);
}

#[test]
fn a_driver_that_is_kept_keeps_no_other() {
    let _alone = common::alone();
    let (kept, is_kept) = mpsc::channel();
    let mut busy = Loop::with(Choice::Fixed(Driver::Offload), move || {
        let _ = kept.send(());
        thread::sleep(Duration::from_millis(700));
    });
    let (ours, mut talker) = common::pair();
    let id = busy.open(OPEN_STREAM, ours);
    busy.ask(READ_START, id, 0, 0);
    talker.write_all(b"hello").expect("to send");
    is_kept.recv_timeout(PATIENCE).expect("its turn is under way");
    let start = Instant::now();
    let mut other = Loop::new(Choice::Fixed(Driver::Offload));
    let (ours, mut peer) = common::pair();
    peer.set_nonblocking(false).expect("a flag");
    let echo = other.open(OPEN_STREAM, ours);
    other.ask(READ_START, echo, 0, 0);
    for _ in 0..10 {
        peer.write_all(b"x").expect("to send");
        other.until("a byte", |other, happened| {
            assert!(happened.is(Op::Data));
            other.write(echo, &happened.bytes, 0);
            true
        });
        peer.read_exact(&mut [0]).expect("an answer");
    }
    other.core.end();
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
}

#[test]
fn a_seat_that_passes_at_any_moment_leaves_nobody_turning_for_nothing() {
    let _alone = common::alone();
    let idle = Loop::new(Choice::Fixed(Driver::Inline));
    for round in 0..300 {
        idle.core.pass(Driver::Offload);
        thread::sleep(Duration::from_micros(round % 60));
        idle.core.pass(Driver::Inline);
        thread::sleep(Duration::from_micros(round % 7));
    }
    for driver in [Driver::Offload, Driver::Inline] {
        assert_eq!(idle.core.pass(driver), driver);
        thread::sleep(Duration::from_millis(50));
        let before = idle.core.stats().0.offload_turns;
        thread::sleep(Duration::from_millis(300));
        assert_eq!(idle.core.stats().0.offload_turns, before, "{driver:?}");
    }
}

#[test]
fn a_driver_whose_turns_come_to_nothing_pauses() {
    let _alone = common::alone();
    let broken = Loop::new(Choice::Fixed(Driver::Offload));
    let null = fs::File::open("/dev/null").expect("linux");
    // Always ready, and never says what for.
    // SAFETY: both are open; the reactor's number names something else from here on, and is closed as that.
    assert!(unsafe { libc::dup2(null.as_raw_fd(), broken.core.descriptor()) } >= 0);
    broken.core.pass(Driver::Inline);
    broken.core.pass(Driver::Offload);
    thread::sleep(Duration::from_millis(500));
    let turns = broken.core.stats().0.offload_turns;
    assert!(turns > u64::from(IDLE_TURNS) && turns < u64::from(IDLE_TURNS) + 1000, "{turns} turns in half a second");
}

#[test]
fn the_pool_does_what_it_is_given_on_threads_that_take_no_signals() {
    let _alone = common::alone();
    pool::configure(2);
    let (done, results) = mpsc::channel();
    for job in 0..20 {
        let done = done.clone();
        let ran = pool::run(move || {
            let status = fs::read_to_string("/proc/thread-self/status").expect("linux");
            assert_ne!(job, 3, "one that panics ends alone");
            done.send(blocks(&status, libc::SIGTERM)).expect("somebody listens");
        });
        assert!(ran.is_ok());
    }
    drop(done);
    let results: Vec<bool> = results.iter().collect();
    assert_eq!(results, [true; 19]);
    assert!(threads("tsloop-pool").len() <= 2);
}
