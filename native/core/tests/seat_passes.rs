//! The seat passes while the runtime's thread is away: what one term leaves behind must not cost the next one anything.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Loop, READ_START};
use tsloop_core::reactor::seat::{Choice, Driver};
use tsloop_core::runtime;

#[test]
fn an_idle_environment_is_quiet_after_its_seat_passed_twice_behind_a_busy_runtime() {
    let _alone = common::alone();
    runtime::configure(1);
    assert!(runtime::is_available());
    let slow = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&slow);
    let mut busy = Loop::with(Choice::Fixed(Driver::Offload), move || {
        if asked.swap(false, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    let (ours, mut peer) = common::pair();
    let id = busy.open(tsloop_core::command::OPEN_STREAM, ours);
    busy.ask(READ_START, id, 0, 0);
    std::thread::sleep(Duration::from_millis(50));
    let idle = Loop::new(Choice::Fixed(Driver::Offload));
    std::thread::sleep(Duration::from_millis(50));
    slow.store(true, Ordering::Relaxed);
    peer.write_all(b"x").expect("room");
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
