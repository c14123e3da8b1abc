//! When the seat passes: by load whether the other driver is worth a trial, by a trial which one serves this load better
//! on this machine.
//!
//! The policy is a function of what turns looked like and of the time it is shown, so that it can be tested with numbers.

use std::time::Duration;

use super::seat::{Choice, Driver};
use super::trial::Trial;
pub use super::trial::{Clock, System};

/// Load per turn, in sixteenths, from which on the offload driver is tried.
const BUSY: u32 = 5 * 16;
/// Load per delivery, in sixteenths, below which the inline driver takes over again, without a trial.
const QUIET: u32 = 3 * 16;
/// Bytes that weigh as much as a socket: about what the kernel copies in the time that one small read takes.
const BYTES_PER_UNIT: u32 = 16 * 1024;
/// What a datagram weighs more than a socket: several at a time come only at a rate at which the kernel's small buffer
/// overflows as soon as JavaScript is busy for a moment.
const PER_DATAGRAM: u32 = 2;
/// More than this weighs no more: the average must come down soon after a rush.
const HEAVIEST: u32 = 64;
/// Turns in a row that must agree before anything happens.
const AGREE: u32 = 64;

/// Bytes that are as much work as one event, for a program that reads them.
const BYTES_PER_EVENT: f64 = 4096.0;
/// How long a verdict holds at first, while JavaScript may still be young; twice as long with each trial that confirms it.
const HOLD: Duration = Duration::from_millis(250);
/// How long it holds at least, by how long its trial took.
const HOLD_PER_TRIAL: u32 = 5;
/// How long it holds whatever becomes of the load.
const SHORTEST_HOLD: Duration = Duration::from_secs(1);
/// How long it holds at most.
const LONGEST_HOLD: Duration = Duration::from_secs(64);

/// What one turn or one delivery amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Sockets, datagrams and bytes, by what moving them to a thread of their own may save.
    weight: u32,
    /// The same without the bytes: these alone are no reason to move. What is read in rounds goes through the program out of
    /// the cache, and a trial's milliseconds only show how fast the kernel's buffers can be emptied.
    many: u32,
    /// Most of it are datagrams.
    datagrams: bool,
    /// What a program gets done with it: the same for the same work, whoever has the seat.
    work: f64,
}

impl Load {
    /// Sockets served (or events delivered), datagrams among them, events delivered, bytes received.
    #[must_use]
    pub fn new(sockets: u32, datagrams: u32, events: u32, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let bulk = bytes / BYTES_PER_UNIT;
        let many = sockets.saturating_add(datagrams.saturating_mul(PER_DATAGRAM));
        Self {
            weight: many.saturating_sub(bulk / 2).saturating_add(bulk).min(HEAVIEST),
            many: many.min(HEAVIEST),
            datagrams: datagrams > sockets / 2,
            work: f64::from(events) + f64::from(bytes) / BYTES_PER_EVENT,
        }
    }

    /// The load of two rounds of a turn.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |one: u32, other: u32| one.saturating_add(other).min(HEAVIEST);
        Self {
            weight: sum(self.weight, other.weight),
            many: sum(self.many, other.many),
            datagrams: self.datagrams | other.datagrams,
            work: self.work + other.work,
        }
    }

    /// True if nothing happened.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What the last trial said. It outlasts a time without load: what comes back is known.
#[derive(Debug)]
struct Verdict {
    winner: Driver,
    at: Duration,
    holds: Duration,
    /// The load under each driver that it was said about, in sixteenths.
    levels: [u32; 2],
}

impl Verdict {
    /// True when it is time for another trial: the verdict is old, or the load another one.
    fn is_due(&self, now: Driver, average: u32, wall: Duration) -> bool {
        let age = wall.saturating_sub(self.at);
        let level = self.levels[now as usize];
        age >= self.holds || (age >= SHORTEST_HOLD && (average >= level * 2 || average * 2 <= level))
    }
}

/// Watches turns and says when to pass the seat.
#[derive(Debug)]
pub struct Policy {
    choice: Choice,
    /// Exponential average of the load's weight over about 16 turns, in sixteenths.
    average: u32,
    /// The same of `Load::many`.
    many: u32,
    quiet: u32,
    busy: u32,
    trial: Option<Trial>,
    verdict: Option<Verdict>,
}

impl Policy {
    /// A policy that has seen nothing.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self { choice, average: 0, many: 0, quiet: 0, busy: 0, trial: None, verdict: None }
    }

    /// The driver to start with.
    #[must_use]
    pub fn first(&self) -> Driver {
        match self.choice {
            Choice::Fixed(driver) => driver,
            Choice::Auto | Choice::Random(_) => Driver::Inline,
        }
    }

    /// Takes note of one turn (inline) or one delivery (offload), and says who should hold the seat from here on.
    pub fn next(&mut self, now: Driver, load: Load, clock: &impl Clock) -> Driver {
        match &mut self.choice {
            Choice::Fixed(driver) => *driver,
            Choice::Random(state) => {
                // xorshift64: any generator does that reaches every pattern.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                if *state % 3 == 0 { now.other() } else { now }
            }
            Choice::Auto => self.weigh(now, load, clock),
        }
    }

    fn weigh(&mut self, now: Driver, load: Load, clock: &impl Clock) -> Driver {
        self.average = self.average - self.average / 16 + load.weight;
        self.many = self.many - self.many / 16 + load.many;
        self.quiet = if self.average < QUIET { self.quiet + 1 } else { 0 };
        self.busy = if self.many >= BUSY || now == Driver::Offload { self.busy + 1 } else { 0 };
        if self.quiet >= AGREE && self.trial.as_ref().map_or(now == Driver::Offload, Trial::may_end) {
            self.trial = None;
            (self.quiet, self.busy) = (0, 0);
            return Driver::Inline;
        }
        if let Some(trial) = &mut self.trial {
            if !trial.count(now, load.work, clock) {
                return now;
            }
            trial.levels[now as usize] = self.average;
            return match trial.next(now) {
                Some(next) => next,
                None => {
                    let winner = trial.verdict(self.verdict.as_ref().map(|verdict| verdict.winner));
                    self.settle(winner, clock.wall())
                }
            };
        }
        if self.busy < AGREE {
            return now;
        }
        self.busy = 0;
        if load.datagrams {
            // The kernel drops what nobody takes in time: that there is a thread to take it is worth more than speed.
            return Driver::Offload;
        }
        if let Some(verdict) = self.verdict.as_ref().filter(|verdict| !verdict.is_due(now, self.average, clock.wall())) {
            // Where datagrams brought it, it stays: the next ones would bring it back.
            return if now == Driver::Inline { verdict.winner } else { now };
        }
        let held = self.verdict.as_ref().map_or(Duration::ZERO, |verdict| verdict.holds);
        self.trial = Some(Trial::after(held, clock));
        now
    }

    /// Ends a trial.
    fn settle(&mut self, winner: Driver, wall: Duration) -> Driver {
        let holds = self.verdict.as_ref().map_or(HOLD, |before| if before.winner == winner { (before.holds * 2).min(LONGEST_HOLD) } else { before.holds });
        if let Some(trial) = self.trial.take() {
            // Where deliveries are large or rare a trial is long.
            let holds = holds.max(wall.saturating_sub(trial.began()) * HOLD_PER_TRIAL);
            self.verdict = Some(Verdict { winner, at: wall, holds, levels: trial.levels });
        }
        (self.quiet, self.busy) = (0, 0);
        winner
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reactor::trial::{SETTLE, WINDOW_DELIVERIES};
    use crate::sys;

    /// A machine on which a delivery takes so long under each driver, and so much of the processors' time.
    struct Machine {
        time: Reading,
        policy: Policy,
        now: Driver,
        passes: u32,
        deliveries: [u32; 2],
    }

    /// Microseconds of a delivery: wall time, processors' time, JavaScript's thread's.
    type Costs = [(u64, u64, u64); 2];

    const OFFLOAD_WINS: Costs = [(100, 100, 100), (60, 80, 60)];
    const OFFLOAD_LOSES: Costs = [(100, 100, 100), (130, 110, 80)];
    const OFFLOAD_BURNS: Costs = [(100, 50, 50), (100, 80, 40)];
    const OFFLOAD_RELIEVES: Costs = [(100, 100, 100), (96, 130, 25)];
    const OFFLOAD_RELIEVES_AND_SLOWS: Costs = [(100, 100, 100), (106, 120, 5)];
    /// Faster where there are two processors, and not where there is one, or a quota of one.
    const OFFLOAD_SPENDS: Costs = [(100, 100, 100), (80, 150, 60)];

    #[derive(Clone, Copy, Debug, Default)]
    struct Reading {
        wall: Duration,
        processors: Duration,
        thread: Duration,
        room: u32,
    }

    impl Clock for Reading {
        fn wall(&self) -> Duration {
            self.wall
        }

        fn processors(&self) -> Duration {
            self.processors
        }

        fn thread(&self) -> Duration {
            self.thread
        }

        fn room(&self) -> u32 {
            self.room
        }
    }

    impl Machine {
        fn new(choice: Choice) -> Self {
            let policy = Policy::new(choice);
            let now = policy.first();
            Self { time: Reading { room: 2, ..Reading::default() }, policy, now, passes: 0, deliveries: [0; 2] }
        }

        fn deliver(&mut self, load: Load, costs: Costs) {
            let (wall, processors, thread) = costs[self.now as usize];
            self.time.wall += Duration::from_micros(wall);
            self.time.processors += Duration::from_micros(processors);
            self.time.thread += Duration::from_micros(thread);
            self.deliveries[self.now as usize] += 1;
            let next = self.policy.next(self.now, load, &self.time);
            self.passes += u32::from(next != self.now);
            self.now = next;
        }

        fn run(&mut self, sockets: u32, count: u32, costs: Costs) -> Driver {
            for _ in 0..count {
                self.deliver(Load::new(sockets, 0, sockets, 0), costs);
            }
            self.now
        }
    }

    /// Deliveries of a trial at 100 µs each, and some.
    const TRIAL: u32 = 1_000;

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn a_lonely_request_stays_inline() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(1, 100_000, OFFLOAD_WINS), Driver::Inline);
        assert_eq!(machine.passes, 0);
    }

    #[test]
    fn load_moves_the_seat_where_that_pays_and_quiet_moves_it_back() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(30, TRIAL, OFFLOAD_WINS), Driver::Offload);
        assert_eq!(machine.run(1, 200, OFFLOAD_WINS), Driver::Inline);
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn where_it_does_not_pay_the_seat_stays_however_many_there_are() {
        for costs in [OFFLOAD_LOSES, OFFLOAD_BURNS] {
            let mut machine = Machine::new(Choice::Auto);
            assert_eq!(machine.run(30, 1_000_000, costs), Driver::Inline);
            let share = f64::from(machine.deliveries[1]) / f64::from(machine.deliveries[0]);
            assert!(share < 0.02, "trials took {share} of all deliveries");
        }
    }

    #[test]
    fn no_speed_is_given_for_javascripts_time() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(30, TRIAL, OFFLOAD_RELIEVES), Driver::Offload);
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(30, TRIAL, OFFLOAD_RELIEVES_AND_SLOWS), Driver::Inline);
    }

    /// A quota of one processor: what both threads use up within a period is gone, and both stand still for the rest of it. The
    /// gaps are as wall time shows them, and are longer than any that a trial counts.
    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn a_quota_that_two_threads_use_up_is_seen() {
        const PERIOD: u64 = 100_000;
        for costs in [OFFLOAD_SPENDS, [(100, 100, 100), (80, 130, 50)], [(100, 100, 100), (95, 120, 50)]] {
            let mut machine = Machine::new(Choice::Auto);
            machine.time.room = 1;
            let mut ends = Duration::from_micros(PERIOD);
            let mut spent = Duration::ZERO;
            for _ in 0..400_000 {
                let before = machine.time.processors;
                machine.deliver(Load::new(30, 0, 30, 0), costs);
                spent += machine.time.processors - before;
                if spent >= Duration::from_micros(PERIOD) {
                    machine.time.wall = machine.time.wall.max(ends);
                    spent = Duration::ZERO;
                }
                while machine.time.wall >= ends {
                    ends += Duration::from_micros(PERIOD);
                    spent = Duration::ZERO;
                }
            }
            assert!(machine.deliveries[0] > machine.deliveries[1] * 20, "{:?}", machine.deliveries);
            machine.time.room = 2;
            assert_eq!(machine.run(30, 2_000_000, costs), Driver::Offload, "the quota was lifted");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn a_machine_that_changes_is_noticed() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(30, 100_000, OFFLOAD_WINS), Driver::Offload);
        let longest = u32::try_from(LONGEST_HOLD.as_micros() / 100).expect("small");
        assert_eq!(machine.run(30, longest * 2, OFFLOAD_LOSES), Driver::Inline);
        assert_eq!(machine.run(30, longest * 2, OFFLOAD_WINS), Driver::Offload);
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn another_load_is_tried_without_waiting_for_the_verdict_to_age() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(8, 2_000_000, OFFLOAD_LOSES), Driver::Inline);
        assert_eq!(machine.run(40, TRIAL, OFFLOAD_WINS), Driver::Offload);
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn load_that_comes_back_is_known() {
        let mut machine = Machine::new(Choice::Auto);
        assert_eq!(machine.run(30, 200_000, OFFLOAD_WINS), Driver::Offload);
        for _ in 0..20 {
            assert_eq!(machine.run(1, 300, OFFLOAD_WINS), Driver::Inline);
            let passes = machine.passes;
            assert_eq!(machine.run(30, AGREE * 2, OFFLOAD_WINS), Driver::Offload);
            assert_eq!(machine.passes, passes + 1, "no trial");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn pauses_say_nothing_about_a_driver() {
        let mut machine = Machine::new(Choice::Auto);
        for turn in 0..200_000_u32 {
            // Whoever has the seat in a window that a long pause falls into is not to blame.
            if turn % 97 == 0 {
                machine.time.wall += Duration::from_millis(300);
            }
            machine.deliver(Load::new(30, 0, 30, 0), OFFLOAD_WINS);
        }
        assert!(machine.deliveries[1] > machine.deliveries[0] * 5, "{:?}", machine.deliveries);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel's clocks")]
    fn what_other_threads_of_the_process_do_is_no_drivers_price() {
        let clock = System { driver: None };
        let before = (clock.processors(), sys::clock(libc::CLOCK_PROCESS_CPUTIME_ID));
        std::thread::spawn(|| {
            let since = std::time::Instant::now();
            while since.elapsed() < Duration::from_millis(60) {
                std::hint::spin_loop();
            }
        })
        .join()
        .expect("no panic");
        let spent = (clock.processors() - before.0, sys::clock(libc::CLOCK_PROCESS_CPUTIME_ID) - before.1);
        assert!(spent.0 * 4 < spent.1, "{spent:?}");
    }

    #[test]
    fn bytes_alone_do_not_move_it_and_keep_it() {
        let mut machine = Machine::new(Choice::Auto);
        let run = |machine: &mut Machine, sockets: u32| {
            for _ in 0..TRIAL {
                machine.deliver(Load::new(sockets, 0, sockets, 512 * 1024), OFFLOAD_WINS);
            }
            machine.now
        };
        assert_eq!((run(&mut machine, 4), machine.passes), (Driver::Inline, 0));
        assert_eq!(run(&mut machine, 8), Driver::Offload);
        assert_eq!(run(&mut machine, 1), Driver::Offload, "a delivery that is full is not a quiet one");
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, a million times")]
    fn datagrams_move_it_whatever_it_costs() {
        let mut machine = Machine::new(Choice::Auto);
        for _ in 0..100_000 {
            machine.deliver(Load::new(0, 8, 8, 800), OFFLOAD_LOSES);
        }
        assert_eq!((machine.now, machine.passes), (Driver::Offload, 1));
    }

    #[test]
    fn a_burst_does_not_move_it() {
        let mut machine = Machine::new(Choice::Auto);
        for turn in 0..10_000 {
            machine.run(if turn % 40 < 4 { 20 } else { 1 }, 1, OFFLOAD_WINS);
        }
        assert_eq!(machine.passes, 0);
    }

    #[test]
    fn fixed_never_moves_and_random_does() {
        let mut fixed = Machine::new(Choice::Fixed(Driver::Offload));
        fixed.run(1, 500, OFFLOAD_LOSES);
        assert_eq!(fixed.passes, 0);
        let mut random = Machine::new(Choice::Random(7));
        random.run(1, 500, OFFLOAD_LOSES);
        assert!(random.passes > 50);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }) })]

        /// Hysteresis: whatever the load, two passes are at least a window apart.
        #[test]
        fn passes_are_rare_whatever_the_load(spells in prop::collection::vec((0_u32..200, 1_u32..100), 0..30)) {
            let mut machine = Machine::new(Choice::Auto);
            let (mut since, mut passes) = (0, 0);
            for load in spells.into_iter().flat_map(|(load, turns)| std::iter::repeat_n(load, turns as usize)) {
                since += 1;
                machine.run(load, 1, OFFLOAD_WINS);
                if machine.passes != passes {
                    prop_assert!(since >= SETTLE + WINDOW_DELIVERIES, "passed after {since} turns");
                    (passes, since) = (machine.passes, 0);
                }
            }
        }

        /// The better driver has nearly all of the time, whichever it is and by however much beyond the margin.
        #[test]
        #[cfg_attr(miri, ignore = "arithmetic, a million times")]
        fn the_better_driver_gets_the_time(sockets in 6_u32..60, inline in 20_u64..400, percent in 50_u64..200) {
            prop_assume!(!(90..=110).contains(&percent));
            let offload = inline * percent / 100;
            let mut machine = Machine::new(Choice::Auto);
            machine.run(sockets, 400_000, [(inline, inline, inline), (offload, offload, offload)]);
            let better = usize::from(offload < inline);
            prop_assert!(machine.deliveries[better] > machine.deliveries[1 - better] * 20, "{:?}", machine.deliveries);
        }
    }
}
