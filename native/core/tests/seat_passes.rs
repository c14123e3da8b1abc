//! The seat passes while the runtime's thread is away: what one term leaves behind must not cost the next one anything.

mod common;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use common::{CLOSE, Loop, encode};
use tsloop_core::command::op::{OPEN_DATAGRAM, SEND};
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::runtime;

/// A socket with messages that its peer takes nothing of: to close it keeps whoever drives for a while.
fn stuck(driven: &mut Loop) -> (tsloop_core::table::Id, UnixDatagram) {
    let (ours, peer) = UnixDatagram::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    let id = driven.open(OPEN_DATAGRAM, OwnedFd::from(ours));
    for _ in 0..600 {
        let mut message = Vec::new();
        encode(&mut message, SEND, id, 8, 0, b"12345678");
        driven.core.submit(&message);
    }
    (id, peer)
}

#[test]
fn an_idle_environment_is_quiet_after_its_seat_passed_twice_behind_a_busy_runtime() {
    let _alone = common::alone();
    runtime::configure(1);
    assert!(runtime::is_available());
    let mut busy = Loop::new(Choice::Fixed(Driver::Offload));
    let sockets: Vec<_> = (0..3).map(|_| stuck(&mut busy)).collect();
    std::thread::sleep(Duration::from_millis(50));
    let idle = Loop::new(Choice::Fixed(Driver::Offload));
    std::thread::sleep(Duration::from_millis(50));
    for (id, _) in &sockets {
        busy.command(CLOSE, *id, 0, 0);
    }
    busy.submit();
    std::thread::sleep(Duration::from_millis(20));
    idle.core.pass(Driver::Inline);
    idle.core.pass(Driver::Offload);
    std::thread::sleep(Duration::from_millis(1000));
    let before = idle.core.stats().0.offload_turns;
    std::thread::sleep(Duration::from_millis(500));
    let turns = idle.core.stats().0.offload_turns - before;
    idle.core.pass(Driver::Inline);
    assert!(turns < 10, "{turns} turns in half a second, with nothing to do");
}
