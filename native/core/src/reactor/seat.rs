//! Who waits for readiness, libuv or the runtime, and when the seat passes.
//!
//! Nothing here guards data: a turn may run on either side under the reactor's lock. The policy is a pure function of
//! what turns looked like, so that it can be tested with numbers.

/// Who holds the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Driver {
    /// libuv watches the reactor's descriptor; turns run on the JavaScript thread.
    Inline = 0,
    /// The runtime watches it; turns run on its thread.
    Offload = 1,
}

/// How the driver is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By load.
    Auto,
    /// Always this one.
    Fixed(Driver),
    /// At random, to find what depends on timing; the state of the generator.
    Random(u64),
}

/// Load per turn, in sixteenths, from which on the offload driver takes over: measured, the cross-over lies near five
/// small requests at a time.
const BUSY: u32 = 5 * 16;
/// Load per delivery, in sixteenths, below which the inline driver takes over again.
const QUIET: u32 = 3 * 16;
/// Bytes that weigh as much as a socket: about what the kernel copies in the time that one small read takes.
const BYTES_PER_UNIT: usize = 16 * 1024;
/// What a datagram weighs more than a socket: several at a time come only at a rate at which the kernel's small buffer
/// overflows as soon as JavaScript is busy for a moment.
const PER_DATAGRAM: u32 = 2;

/// Turns for which bytes weigh nothing after the offload driver had no processor to itself: about half a minute of
/// them. The try that follows costs less than one percent of that.
const CROWDED_TURNS: u32 = 32 * 1024;

/// What one turn or one delivery amounts to, by what moving it to another thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sockets with little to say, and datagrams: many of them cost less in all when a thread of their own serves them.
    small: u32,
    /// Bytes by weight: the kernel's copying dominates and costs the same on any thread, so moving it relieves
    /// JavaScript and pays only where there is a processor to move it to.
    bulk: u32,
}

impl Load {
    /// Sockets served (or events delivered), datagrams among them, bytes received.
    #[must_use]
    pub fn new(sockets: u32, datagrams: u32, bytes: usize) -> Self {
        let bulk = u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX);
        Self { small: sockets.saturating_add(datagrams.saturating_mul(PER_DATAGRAM)).saturating_sub(bulk / 2), bulk }
    }

    /// True if nothing happened.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Turns in a row that must agree. A seat passes at the earliest after this many, and pays for itself within as many.
const AGREE: u32 = 64;

/// Watches turns and says when to pass the seat.
#[derive(Debug)]
pub struct Policy {
    choice: Choice,
    average: u32,
    agreeing: u32,
    /// Turns for which bytes weigh nothing.
    crowded: u32,
}

impl Policy {
    /// A policy that has seen nothing.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self { choice, average: 0, agreeing: 0, crowded: 0 }
    }

    /// The driver to start with.
    #[must_use]
    pub fn first(&self) -> Driver {
        match self.choice {
            Choice::Fixed(driver) => driver,
            Choice::Auto | Choice::Random(_) => Driver::Inline,
        }
    }

    /// The offload driver found no processor to itself.
    pub fn note_crowded(&mut self) {
        self.crowded = CROWDED_TURNS;
    }

    /// Takes note of one turn (inline) or one delivery (offload), and says who should hold the seat from here on.
    pub fn next(&mut self, now: Driver, load: Load) -> Driver {
        match &mut self.choice {
            Choice::Fixed(driver) => *driver,
            Choice::Random(state) => {
                // xorshift64: any generator does that reaches every pattern.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                if *state % 3 == 0 { now.other() } else { now }
            }
            Choice::Auto => {
                // Exponential average over about 16 turns.
                let bulk = if self.crowded == 0 { load.bulk } else { 0 };
                self.crowded = self.crowded.saturating_sub(1);
                self.average = self.average - self.average / 16 + load.small.saturating_add(bulk).min(64);
                let wanted = match now {
                    Driver::Inline => self.average >= BUSY,
                    Driver::Offload => self.average < QUIET,
                };
                self.agreeing = if wanted { self.agreeing + 1 } else { 0 };
                if self.agreeing < AGREE {
                    return now;
                }
                self.agreeing = 0;
                now.other()
            }
        }
    }
}

impl Driver {
    fn other(self) -> Self {
        match self {
            Self::Inline => Self::Offload,
            Self::Offload => Self::Inline,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(policy: &mut Policy, mut now: Driver, sockets: impl IntoIterator<Item = u32>) -> (Driver, u32) {
        let mut passes = 0;
        for count in sockets {
            let next = policy.next(now, Load::new(count, 0, 0));
            passes += u32::from(next != now);
            now = next;
        }
        (now, passes)
    }

    #[test]
    fn a_lonely_request_stays_inline() {
        let mut policy = Policy::new(Choice::Auto);
        assert_eq!(run(&mut policy, Driver::Inline, vec![1; 10_000]), (Driver::Inline, 0));
    }

    #[test]
    fn load_moves_the_seat_once_and_quiet_moves_it_back() {
        let mut policy = Policy::new(Choice::Auto);
        assert_eq!(run(&mut policy, Driver::Inline, vec![30; 1_000]), (Driver::Offload, 1));
        assert_eq!(run(&mut policy, Driver::Offload, vec![1; 1_000]), (Driver::Inline, 1));
    }

    #[test]
    fn a_burst_does_not_move_it() {
        let mut policy = Policy::new(Choice::Auto);
        let bursts = (0..10_000).map(|turn| if turn % 40 < 4 { 20 } else { 1 });
        assert_eq!(run(&mut policy, Driver::Inline, bursts), (Driver::Inline, 0));
    }

    #[test]
    fn bytes_move_it_unless_processors_are_crowded() {
        let bulky = Load::new(4, 0, 512 * 1024);
        let mut policy = Policy::new(Choice::Auto);
        let mut turns = |now: Driver, count: u32, crowded: bool| {
            if crowded {
                policy.note_crowded();
            }
            (0..count).fold(now, |now, _| policy.next(now, bulky))
        };
        assert_eq!(turns(Driver::Inline, 200, false), Driver::Offload);
        assert_eq!(turns(Driver::Offload, 200, true), Driver::Inline);
        assert_eq!(turns(Driver::Inline, CROWDED_TURNS - 200, false), Driver::Inline);
        assert_eq!(turns(Driver::Inline, 200, false), Driver::Offload, "it is tried again");
    }

    #[test]
    fn small_requests_move_it_however_crowded() {
        let mut policy = Policy::new(Choice::Auto);
        policy.note_crowded();
        assert_eq!(run(&mut policy, Driver::Inline, vec![30; 1_000]), (Driver::Offload, 1));
    }

    #[test]
    fn fixed_never_moves_and_random_does() {
        let mut fixed = Policy::new(Choice::Fixed(Driver::Offload));
        assert_eq!(run(&mut fixed, Driver::Offload, vec![1; 500]).1, 0);
        let mut random = Policy::new(Choice::Random(7));
        assert!(run(&mut random, Driver::Inline, vec![1; 500]).1 > 50);
    }
    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }) })]

        /// Hysteresis: whatever the load, two passes are at least as far apart as turns have to agree.
        #[test]
        fn passes_are_rare_whatever_the_load(spells in prop::collection::vec((0_u32..200, 1_usize..100), 0..30)) {
            let mut policy = Policy::new(Choice::Auto);
            let (mut now, mut since) = (policy.first(), 0);
            for load in spells.into_iter().flat_map(|(load, turns)| std::iter::repeat_n(load, turns)) {
                since += 1;
                let next = policy.next(now, Load::new(load, 0, 0));
                if next != now {
                    prop_assert!(since >= AGREE, "passed after {since} turns");
                    (now, since) = (next, 0);
                }
            }
        }
    }
}
