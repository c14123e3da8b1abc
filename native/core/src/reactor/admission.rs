//! How many connections a turn accepts: as many as the program has time for.
//!
//! libuv accepts one in each turn of the loop, so whoever comes while a program is busy waits in the kernel's queue and costs those who
//! are served nothing. To accept many at once spares turns, which is what counts while a connection costs little; where each
//! costs the program a millisecond (a TLS handshake), it makes turns of thirty, and everything else waits for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::limits::TURN_ACCEPTS;

/// A delivery that took JavaScript longer is a reason to accept half as many.
const LONG: Duration = Duration::from_micros(400);
/// One that took it less, twice as many.
const SHORT: Duration = Duration::from_micros(200);

/// The share of a listener in a turn. Written by JavaScript's thread alone, read by whoever drives.
#[derive(Debug)]
pub struct Admission(AtomicUsize);

impl Default for Admission {
    fn default() -> Self {
        Self(AtomicUsize::new(TURN_ACCEPTS))
    }
}

impl Admission {
    /// Connections that a turn accepts from one listener.
    #[must_use]
    pub fn share(&self) -> usize {
        // Relaxed: a turn that goes by the number before this one is as good.
        self.0.load(Ordering::Relaxed)
    }

    /// JavaScript thread: it had a delivery, which took it so long.
    pub fn took(&self, delivery: Duration) {
        let share = self.share();
        let next = if delivery > LONG {
            (share / 2).max(1)
        } else if delivery < SHORT {
            (share * 2).min(TURN_ACCEPTS)
        } else {
            share
        };
        if next != share {
            self.0.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program's deliveries bring the share to, where each connection that a turn accepts costs it so long.
    fn settled(each: Duration) -> usize {
        let admission = Admission::default();
        for _ in 0..100 {
            admission.took(each * u32::try_from(admission.share()).expect("small"));
        }
        admission.share()
    }

    #[test]
    fn connections_that_cost_little_are_accepted_together_and_others_one_by_one() {
        assert_eq!(settled(Duration::from_micros(1)), TURN_ACCEPTS);
        assert!((8..=64).contains(&settled(Duration::from_micros(20))));
        assert_eq!(settled(Duration::from_millis(2)), 1);
    }

    #[test]
    fn a_slow_spell_is_forgotten() {
        let admission = Admission::default();
        for _ in 0..20 {
            admission.took(Duration::from_millis(5));
        }
        assert_eq!(admission.share(), 1);
        for _ in 0..6 {
            admission.took(Duration::from_micros(40));
        }
        assert_eq!(admission.share(), TURN_ACCEPTS);
    }
}
