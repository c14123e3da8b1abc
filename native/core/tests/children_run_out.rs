//! Children where something has run out: descriptors at every step of a start, and numbers of processes over time.
//! Descriptors are taken away in a child process of the test's own, whose limit is its own.

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use tsloop_core::process::wait::{Bounds, Use, run};
use tsloop_core::process::{Program, Stdio, spawn};
use tsloop_core::sys::process::{Status, reap};

/// Children of the long run.
const MANY: u32 = 10_000;

const ROLE: &str = "TSLOOP_TEST_FEW";

fn request(stdio: &[Stdio]) -> Program<'_> {
    const ARGUMENTS: &[&std::ffi::CStr] = &[c"true"];
    Program { file: c"/bin/true", arguments: ARGUMENTS, environment: &[], directory: None, stdio, detached: false, user: None, group: None }
}

/// The status of a child that ends by itself, which is waited for.
fn ends_well(stdio: &[Stdio]) -> Result<bool, i32> {
    let child = spawn(&request(stdio)).process?;
    let mut entry = libc::pollfd { fd: child.descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, a local.
    assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 30_000) }, 1, "it ends");
    Ok(reap(child.descriptor.as_fd()).expect("ours").expect("ended").code == 0)
}

fn starve() {
    let pipes = [Stdio::Pipe; 3];
    assert_eq!(ends_well(&pipes), Ok(true));
    let before = common::descriptors();
    // Up to what a start needs: three pairs, and the process itself.
    for spare in 0..=8 {
        limit(with_room_for(spare));
        let result = ends_well(&pipes);
        limit(MOST);
        assert_eq!(result, if spare < 7 { Err(-libc::EMFILE) } else { Ok(true) }, "with {spare} to spare");
        assert_eq!(common::descriptors(), before);
    }
}

const MOST: i32 = 4096;

fn limit(most: i32) {
    let limit = libc::rlimit { rlim_cur: u64::try_from(most).expect("positive"), rlim_max: 4096 };
    // SAFETY: a local of the right type.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// The number below which so many are free.
fn with_room_for(spare: usize) -> i32 {
    // SAFETY: F_GETFD on any number is harmless.
    let mut free = (0..MOST).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } < 0);
    free.nth(spare).expect("as many are free")
}

#[test]
fn a_start_without_descriptors_fails_at_any_step_and_leaves_none() {
    if std::env::var(ROLE).is_ok() {
        return starve();
    }
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "a_start_without_descriptors_fails_at_any_step_and_leaves_none", "--test-threads=1"])
        .env(ROLE, "")
        .status()
        .expect("a child");
    assert!(status.success());
}

/// The kernel answers no question about more descriptors than a process may have.
fn wait_blindly() {
    let child = Program { arguments: &[c"sh", c"-c", c"sleep 0.3; echo; exec sleep 30"], file: c"/bin/sh", ..request(&[Stdio::Ignore, Stdio::Pipe]) };
    let uses = [Use { number: 1, input: None, output: true }];
    let narrower = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(100));
        limit(1);
    });
    let start = Instant::now();
    let waited = run(&child, &uses, Bounds { timeout: None, output: None, signal: libc::SIGTERM });
    limit(MOST);
    narrower.join().expect("it narrows");
    assert_eq!((waited.error, waited.status), (-libc::EINVAL, Some(Status { code: 0, signal: libc::SIGTERM })));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_wait_that_the_kernel_refuses_ends_with_the_child() {
    if std::env::var(ROLE).is_ok() {
        return wait_blindly();
    }
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "a_wait_that_the_kernel_refuses_ends_with_the_child", "--test-threads=1"])
        .env(ROLE, "")
        .status()
        .expect("a child");
    assert!(status.success());
}

#[test]
fn thousands_in_sequence_leave_nothing() {
    let _alone = common::alone();
    let before = common::descriptors();
    for _ in 0..MANY {
        assert_eq!(ends_well(&[Stdio::Ignore, Stdio::Pipe]), Ok(true));
    }
    common::assert_descriptors(before);
    // SAFETY: a null pointer says that the status is not wanted.
    assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1, "no child is left");
}
