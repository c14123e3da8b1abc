//! One driver against the other, on this machine and with the program's own load.
//!
//! What a thread's wake-up costs and whether there is a processor for a second thread differ between machines by far
//! more than requests do, and change from one minute to the next. So no number of sockets says where the cross-over
//! lies; it is measured, in short windows in which the drivers take turns.

use std::time::Duration;

use super::seat::Driver;
use crate::sys;

/// Windows of a trial, and which of them are the other driver's. In this order what gets faster or slower meanwhile, as
/// JavaScript does while it is compiled, falls on both alike.
const WINDOWS: [bool; 8] = [false, true, true, false, false, true, true, false];
/// Deliveries at the beginning of a window that do not count: the other thread has to warm up.
pub(super) const SETTLE: u32 = 3;
/// Least deliveries that count in a window.
pub(super) const WINDOW_DELIVERIES: u32 = 4;
/// Least events that count in a window.
const WINDOW_WORK: f64 = 100.0;
/// Least time of a window: this share of the time that the verdict before has held, so that trials become as sure as they
/// are rare.
const WINDOW_SHARE: u32 = 80;
/// Least time of the windows of the first trial.
const FIRST_WINDOW: Duration = Duration::from_millis(6);
/// The most that is asked of any.
const LONGEST_WINDOW: Duration = Duration::from_millis(50);
/// Time between two deliveries, beyond what JavaScript's thread worked in it, after which nobody was busy: more of it says
/// nothing about a driver.
const PAUSE: Duration = Duration::from_millis(2);
/// How much better the challenger must be: a trial does not tell less from nothing.
const MARGIN: f64 = 0.05;
/// The least speed for which the offload driver is kept: no relief of JavaScript's thread is worth any. Half of what a trial does
/// not tell from nothing, so that drivers of the same speed do not change places with every trial.
const LEAST_SPEED: f64 = 1.0 - MARGIN / 2.0;

/// Wall time and the time of the two threads that an environment may keep busy, since whenever.
pub trait Clock {
    /// Wall time.
    fn wall(&self) -> Duration;
    /// Processor time of JavaScript's thread and the driver's. Not of the process: what other Workers do meanwhile is no driver's price.
    fn processors(&self) -> Duration;
    /// Processor time of this thread, JavaScript's.
    fn thread(&self) -> Duration;
    /// Processors that this process may use at a time: what its affinity and its control group's quota leave it.
    fn room(&self) -> u32;
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// That of the driver's thread, if there is one.
    pub driver: Option<libc::clockid_t>,
}

impl Clock for System {
    fn wall(&self) -> Duration {
        sys::clock(libc::CLOCK_MONOTONIC)
    }

    fn processors(&self) -> Duration {
        self.thread() + self.driver.map_or(Duration::ZERO, sys::clock)
    }

    fn thread(&self) -> Duration {
        sys::clock(libc::CLOCK_THREAD_CPUTIME_ID)
    }

    fn room(&self) -> u32 {
        std::thread::available_parallelism().map_or(1, |room| u32::try_from(room.get()).unwrap_or(u32::MAX))
    }
}

/// What a driver did in its windows of a trial.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    work: f64,
    wall: Duration,
    processors: Duration,
    thread: Duration,
}

impl Tally {
    /// Seconds that a unit of work takes. A window is shorter than the period of a control group's quota, within which two threads
    /// use it up and then stand still together: so no driver is taken for faster than the processors' time that it needs.
    fn time(&self, room: u32) -> f64 {
        self.wall.as_secs_f64().max(self.processors.as_secs_f64() / f64::from(room.max(1))) / self.work
    }
}

/// One driver against the other.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// Windows that are over.
    windows: usize,
    began: Duration,
    /// Processors that there are for its threads.
    room: u32,
    /// Least time of a window.
    lasts: Duration,
    /// Deliveries of the present window.
    deliveries: u32,
    /// What counts in the present window so far, but for the processors: how far these were at its beginning.
    window: Tally,
    /// When its last delivery came, and how far JavaScript's thread was.
    last: (Duration, Duration),
    tallies: [Tally; 2],
    /// The load that each driver met in its last window, in sixteenths.
    pub(super) levels: [u32; 2],
}

impl Trial {
    /// A trial after a verdict that was to hold so long.
    pub(super) fn after(held: Duration, clock: &impl Clock) -> Self {
        Self { began: clock.wall(), room: clock.room(), lasts: (held / WINDOW_SHARE).clamp(FIRST_WINDOW, LONGEST_WINDOW), ..Self::default() }
    }

    /// When it began.
    pub(super) fn began(&self) -> Duration {
        self.began
    }

    /// Who has the next window, given who has this one; None when this is the last.
    pub(super) fn next(&self, now: Driver) -> Option<Driver> {
        let [this, next] = [self.windows - 1, self.windows].map(|index| WINDOWS.get(index));
        next.map(|next| if Some(next) == this { now } else { now.other() })
    }

    /// False at the beginning of a window: two passes of the seat are never next to each other.
    pub(super) fn may_end(&self) -> bool {
        self.deliveries >= SETTLE + WINDOW_DELIVERIES
    }

    /// Counts a delivery; true when the window is over.
    pub(super) fn count(&mut self, now: Driver, work: f64, clock: &impl Clock) -> bool {
        self.deliveries += 1;
        if self.deliveries < SETTLE {
            return false;
        }
        let (wall, thread) = (clock.wall(), clock.thread());
        if self.deliveries == SETTLE {
            self.window = Tally { processors: clock.processors(), ..Tally::default() };
        } else {
            let worked = thread.saturating_sub(self.last.1);
            self.window.work += work;
            self.window.wall += wall.saturating_sub(self.last.0).min(worked + PAUSE);
            self.window.thread += worked;
        }
        self.last = (wall, thread);
        let enough = self.may_end() && self.window.work >= WINDOW_WORK;
        if !enough || self.window.wall < self.lasts {
            return false;
        }
        let tally = &mut self.tallies[now as usize];
        tally.work += self.window.work;
        tally.wall += self.window.wall;
        tally.processors += clock.processors().saturating_sub(self.window.processors);
        tally.thread += self.window.thread;
        self.windows += 1;
        self.deliveries = 0;
        true
    }

    /// Which driver is better, given which one is thought to be.
    ///
    /// Speed counts whole: it is what users see, but where processors are taken it jumps with whoever takes them. The
    /// price in all threads' time, which does not jump, counts half. What is left on JavaScript's thread, the one that
    /// cannot be multiplied and that the program's own work waits for, counts a quarter. Neither makes up for speed that is lost.
    pub(super) fn verdict(&self, before: Option<Driver>) -> Driver {
        let [inline, offload] = &self.tallies;
        let per_work = |time: fn(&Tally) -> Duration| {
            let of = |tally: &Tally| time(tally).as_secs_f64() / tally.work;
            of(offload) / of(inline)
        };
        let speed = inline.time(self.room) / offload.time(self.room);
        let price = per_work(|tally| tally.processors);
        let left = per_work(|tally| tally.thread);
        let worth = speed / (price.sqrt() * left.sqrt().sqrt());
        let (least, asked) = match before {
            Some(Driver::Inline) => (1.0, 1.0 + MARGIN),
            Some(Driver::Offload) => (LEAST_SPEED, 1.0 - MARGIN),
            None => (1.0, 1.0),
        };
        if speed >= least && worth >= asked { Driver::Offload } else { Driver::Inline }
    }
}
