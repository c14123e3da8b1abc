//! All interleavings of JavaScript's thread, the driver's and one of the pool over the mailbox and the passing of the seat:
//! `npm run verify -- loom`.
//!
//! What is modelled is the code that production calls ([`Tray`], [`Seat`]) with loom's primitives under it; only what
//! waits and wakes is a stand-in: an eventfd in a readiness set is loom's `Notify`, which remembers one wake-up, and
//! so is `uv_async`. A wake-up that is lost is a thread that waits for ever, which loom reports as a deadlock.
#![cfg(tsloop_loom)]

use std::collections::VecDeque;

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex, Notify};
use loom::thread;
use tsloop_core::mailbox::Tray;
use tsloop_core::reactor::passing::Seat;

/// Switches of thread in the middle of an operation that are explored in the larger models. Real orderings need few:
/// every fault that was planted to try these models out was found with two.
const PREEMPTIONS: usize = 3;

fn bounded(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// Takes `count` items, sleeping whenever there is none.
fn receive(tray: &Tray<u32>, wake_up: &Notify, count: usize) -> Vec<u32> {
    let mut received = Vec::new();
    while received.len() < count {
        if let Some(item) = tray.take() {
            received.push(item);
        } else if tray.fall_asleep() {
            wake_up.wait();
        }
    }
    received
}

#[test]
fn a_tray_loses_no_wake_up_and_keeps_the_order() {
    loom::model(|| {
        let tray = Arc::new(Tray::default());
        let wake_up = Arc::new(Notify::new());
        let poster = {
            let (tray, wake_up) = (Arc::clone(&tray), Arc::clone(&wake_up));
            thread::spawn(move || {
                for item in [1, 2] {
                    if tray.post(item) {
                        wake_up.notify();
                    }
                }
            })
        };
        assert_eq!(receive(&tray, &wake_up, 2), [1, 2]);
        poster.join().expect("the poster ends");
        assert!(tray.is_empty());
    });
}

/// Batches as `Environment` moves them: the reactor takes its newest filled one back to go on filling it, falls
/// asleep when there is none to fill, and JavaScript gives back what it took.
#[test]
fn batches_go_round_without_a_lost_wake_up() {
    const EVENTS: u32 = 3;
    bounded(|| {
        let full = Arc::new(Tray::<Vec<u32>>::default());
        let empty = Arc::new(Tray::<Vec<u32>>::default());
        let (javascript, runtime) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let _ = empty.post(Vec::new());
        let filler = {
            let (full, empty, javascript, runtime) = (Arc::clone(&full), Arc::clone(&empty), Arc::clone(&javascript), Arc::clone(&runtime));
            thread::spawn(move || {
                let mut event = 1;
                while event <= EVENTS {
                    if let Some(mut batch) = full.take_back().or_else(|| empty.take()) {
                        batch.push(event);
                        event += 1;
                        if full.post(batch) {
                            javascript.notify();
                        }
                    } else if empty.fall_asleep() {
                        runtime.wait();
                    }
                }
            })
        };
        let mut seen = Vec::new();
        while seen.len() < EVENTS as usize {
            if let Some(mut batch) = full.take() {
                assert!(!batch.is_empty(), "nobody is woken for nothing");
                seen.append(&mut batch);
                if empty.post(batch) {
                    runtime.notify();
                }
            } else if full.fall_asleep() {
                javascript.wait();
            }
        }
        filler.join().expect("the filler ends");
        assert_eq!(seen, [1, 2, 3]);
        assert!(full.is_empty(), "the only batch is empty again");
        assert_eq!(empty.len(), 1);
    });
}

/// A reactor that only notes what it was asked, with whoever watches over the two threads.
#[derive(Clone)]
struct World {
    seat: Arc<Seat<Vec<u32>, u32>>,
    /// One per term: whatever wakes the runtime reaches every driver that still watches.
    drivers: [Arc<Notify>; 2],
    /// The last term that JavaScript has ended.
    ended: Arc<AtomicU32>,
    /// How many requests the offload driver has seen applied, and who waits to hear of it.
    applied: Arc<Notify>,
}

fn seat() -> Seat<Vec<u32>, u32> {
    Seat::new(Vec::new(), std::sync::Arc::default())
}

fn note(log: &mut Vec<u32>, asked: &mut VecDeque<u32>) {
    log.extend(asked.drain(..));
}

impl World {
    fn new() -> Self {
        let notify = || Arc::new(Notify::new());
        Self { seat: Arc::new(seat()), drivers: [notify(), notify()], ended: Arc::new(AtomicU32::new(0)), applied: notify() }
    }

    fn wake(&self) {
        for driver in &self.drivers {
            driver.notify();
        }
    }

    fn post(&self, request: u32) {
        if self.seat.post(request) {
            self.wake();
        }
    }

    /// A driver for one term: turns until there is nothing to do, then sleep; stop when the term is over. `tell` is
    /// applied requests after which somebody waits to be told.
    fn drive(&self, term: u32, tell: Option<usize>) -> thread::JoinHandle<()> {
        let world = self.clone();
        let wake_up = Arc::clone(&world.drivers[term as usize / 2]);
        thread::spawn(move || {
            let mut scratch = VecDeque::new();
            while let Some(log) = world.seat.enter(term, &mut scratch, note) {
                assert!(world.ended.load(Ordering::Relaxed) < term, "a driver of an ended term entered");
                if tell.is_some_and(|count| log.len() >= count) {
                    world.applied.notify();
                }
                let sleeps = world.seat.may_sleep(&log);
                drop(log);
                if sleeps {
                    wake_up.wait();
                }
            }
        })
    }

    fn take_back(&self, term: u32) {
        self.seat.pass_to_inline(note);
        self.ended.store(term, Ordering::Relaxed);
        self.wake();
    }

    fn end(&self, term: u32) -> Vec<u32> {
        let log = self.seat.retire(note).clone();
        self.ended.store(term, Ordering::Relaxed);
        self.wake();
        log
    }
}

#[test]
fn a_posted_request_is_applied_without_anyone_passing_the_seat() {
    bounded(|| {
        let world = World::new();
        let term = world.seat.pass_to_offload();
        let driver = world.drive(term, Some(2));
        world.post(1);
        world.post(2);
        world.applied.wait();
        assert_eq!(world.end(term), [1, 2]);
        driver.join().expect("the driver stops");
    });
}

#[test]
fn requests_around_a_pass_are_applied_once_and_in_order() {
    bounded(|| {
        let world = World::new();
        world.seat.lock().push(1);
        let term = world.seat.pass_to_offload();
        let driver = world.drive(term, None);
        world.post(2);
        world.post(3);
        world.take_back(term);
        world.seat.lock().push(4);
        assert_eq!(*world.seat.lock(), [1, 2, 3, 4]);
        driver.join().expect("the driver stops");
        assert_eq!(world.end(term), [1, 2, 3, 4]);
    });
}

#[test]
fn a_driver_of_an_ended_term_leaves_the_next_one_alone() {
    bounded(|| {
        let world = World::new();
        let first = world.seat.pass_to_offload();
        let old = world.drive(first, None);
        world.post(1);
        world.take_back(first);
        let second = world.seat.pass_to_offload();
        let new = world.drive(second, Some(2));
        world.post(2);
        world.applied.wait();
        assert_eq!(world.end(second), [1, 2]);
        old.join().expect("the first driver stops");
        new.join().expect("the second driver stops");
    });
}

/// A readiness set: who waits for it takes nothing, and whoever turns takes all there is.
#[derive(Default)]
struct Readiness {
    is_there: Mutex<bool>,
    changed: Condvar,
}

impl Readiness {
    fn wake(&self) {
        *self.is_there.lock().expect("nobody panics") = true;
        self.changed.notify_all();
    }

    fn take(&self) {
        *self.is_there.lock().expect("nobody panics") = false;
    }

    fn wait(&self) {
        let mut is_there = self.is_there.lock().expect("nobody panics");
        while !*is_there {
            is_there = self.changed.wait(is_there).expect("nobody panics");
        }
    }
}

/// As `env::thread`: one thread through all terms, parked between them. Whatever told it that a term is over an inline turn may have
/// taken, so that it still waits when the next one has begun.
#[test]
fn one_thread_drives_every_term_and_ends() {
    bounded(|| {
        let seat = Arc::new(seat());
        let readiness = Arc::new(Readiness::default());
        let (unparked, applied) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let driver = {
            let (seat, readiness, unparked, applied, ended) =
                (Arc::clone(&seat), Arc::clone(&readiness), Arc::clone(&unparked), Arc::clone(&applied), Arc::clone(&ended));
            thread::spawn(move || {
                let mut scratch = VecDeque::new();
                while !ended.load(Ordering::Acquire) {
                    let Some(term) = seat.offload_term() else {
                        unparked.wait();
                        continue;
                    };
                    while let Some(log) = seat.enter(term, &mut scratch, note) {
                        readiness.take();
                        if log.contains(&1) {
                            applied.notify();
                        }
                        let sleeps = seat.may_sleep(&log);
                        drop(log);
                        if sleeps {
                            readiness.wait();
                        }
                    }
                }
            })
        };
        let pass = || {
            seat.pass_to_offload();
            unparked.notify();
            readiness.wake();
        };
        pass();
        seat.pass_to_inline(note);
        readiness.wake();
        // A turn of JavaScript's.
        seat.lock().push(1);
        readiness.take();
        // What is due in the reactor then brings no readiness of its own.
        pass();
        applied.wait();
        if seat.post(2) {
            readiness.wake();
        }
        assert_eq!(*seat.retire(note), [1, 2]);
        ended.store(true, Ordering::Release);
        readiness.wake();
        unparked.notify();
        driver.join().expect("it ends");
    });
}

/// `flush` and `settle` apply what waits while the offload driver keeps the seat.
#[test]
fn settling_races_the_driver_without_losing_the_order() {
    bounded(|| {
        let world = World::new();
        let term = world.seat.pass_to_offload();
        let driver = world.drive(term, None);
        world.post(1);
        world.post(2);
        assert_eq!(*world.seat.settle(&mut VecDeque::new(), note), [1, 2]);
        world.post(3);
        assert_eq!(world.end(term), [1, 2, 3]);
        driver.join().expect("the driver stops");
    });
}

/// The pool beside JavaScript's thread and the driver's: it posts to the inbox whoever has the seat, and wakes the reactor's descriptor
/// if it is told to. Nobody but whoever turns takes what the descriptor has to tell.
struct Poster {
    inbox: std::sync::Arc<Tray<u32>>,
    readiness: Arc<Readiness>,
}

impl Poster {
    fn world() -> (Arc<Seat<Vec<u32>, u32>>, Arc<Readiness>, Self) {
        let inbox = std::sync::Arc::new(Tray::default());
        let readiness = Arc::new(Readiness::default());
        let seat = Arc::new(Seat::new(Vec::new(), std::sync::Arc::clone(&inbox)));
        (seat, Arc::clone(&readiness), Self { inbox, readiness })
    }

    fn post(&self, item: u32) {
        if self.inbox.post(item) {
            self.readiness.wake();
        }
    }
}

/// Inline turns, as `Environment::inline_turn`: a look before the kernel is asked, and one behind that. Until so many have come.
fn turn_inline(seat: &Seat<Vec<u32>, u32>, readiness: &Readiness, count: usize) {
    loop {
        let mut log = seat.lock();
        seat.look(&mut log, note);
        readiness.take();
        seat.look(&mut log, note);
        if log.len() >= count {
            return;
        }
        drop(log);
        readiness.wait();
    }
}

/// One term of the offload driver, as `env::thread` and `DriverSide::turn`.
fn drive_term(seat: &Seat<Vec<u32>, u32>, readiness: &Readiness, term: u32, seen: impl Fn(&[u32])) {
    let mut scratch = VecDeque::new();
    while let Some(log) = seat.enter(term, &mut scratch, note) {
        readiness.take();
        seen(&log);
        let sleeps = seat.may_sleep(&log);
        drop(log);
        if sleeps {
            readiness.wait();
        }
    }
}

#[test]
fn others_post_to_whoever_turns_inline() {
    bounded(|| {
        let (seat, readiness, poster) = Poster::world();
        let poster = Arc::new(poster);
        let posts = |items: &'static [u32]| {
            let poster = Arc::clone(&poster);
            thread::spawn(move || items.iter().for_each(|item| poster.post(*item)))
        };
        let posting = [posts(&[1, 2]), posts(&[3])];
        turn_inline(&seat, &readiness, 3);
        for thread in posting {
            thread.join().expect("it posts");
        }
        let mut log = seat.lock().clone();
        assert!(log.iter().position(|item| *item == 1) < log.iter().position(|item| *item == 2), "each in its order");
        log.sort_unstable();
        assert_eq!(log, [1, 2, 3], "each once");
    });
}

#[test]
fn others_post_to_the_offload_driver_as_javascript_does() {
    bounded(|| {
        let (seat, readiness, poster) = Poster::world();
        let term = seat.pass_to_offload();
        // Not a `Notify`, which also wakes for no reason.
        let applied = Arc::new(Readiness::default());
        let driver = {
            let (seat, readiness, applied) = (Arc::clone(&seat), Arc::clone(&readiness), Arc::clone(&applied));
            thread::spawn(move || {
                drive_term(&seat, &readiness, term, |log| {
                    if log.len() == 2 {
                        applied.wake();
                    }
                });
            })
        };
        let pool = thread::spawn(move || poster.post(1));
        if seat.post(2) {
            readiness.wake();
        }
        applied.wait();
        let mut log = seat.retire(note).clone();
        readiness.wake();
        log.sort_unstable();
        assert_eq!(log, [1, 2]);
        // As at an environment's end: that its term was over, an inline turn may have taken before it could hear of it.
        readiness.wake();
        driver.join().expect("the driver stops");
        pool.join().expect("it posts");
    });
}

/// The seat goes there and back while the pool posts: whoever has it when the post comes hears of it, and if that is the inline driver, it is
/// woken.
#[test]
fn a_post_across_passes_is_heard_by_whoever_has_the_seat_then() {
    bounded(|| {
        let (seat, readiness, poster) = Poster::world();
        let pool = thread::spawn(move || [1, 3].into_iter().for_each(|item| poster.post(item)));
        let term = seat.pass_to_offload();
        readiness.wake();
        let driver = {
            let (seat, readiness) = (Arc::clone(&seat), Arc::clone(&readiness));
            thread::spawn(move || drive_term(&seat, &readiness, term, |_| ()))
        };
        if seat.post(2) {
            readiness.wake();
        }
        seat.pass_to_inline(note);
        readiness.wake();
        turn_inline(&seat, &readiness, 3);
        let mut log = seat.lock().clone();
        log.sort_unstable();
        assert_eq!(log, [1, 2, 3]);
        // As at an environment's end: that its term was over, an inline turn may have taken before it could hear of it.
        readiness.wake();
        driver.join().expect("the driver stops");
        pool.join().expect("it posts");
    });
}
