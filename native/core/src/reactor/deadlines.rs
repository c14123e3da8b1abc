//! What is to happen at a time if nothing happens before: one ordered list for all of an environment's sockets.
//!
//! A timer in the readiness set rings at the earliest of them, so whoever waits for readiness waits for it as well, and a turn
//! without deadlines asks for no time. A deadline that is put off, as most are, leaves the timer as it is: it rings early then,
//! once. Should there be no timer to have, the turns look.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::sys::timer::Timer;
use crate::table::Id;
use std::os::fd::AsRawFd;

/// Readiness of the timer rather than of a socket.
pub(super) const TIMER: Token = Token(usize::MAX - 1);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Due {
    /// JavaScript gave it up long enough ago: what still waits to leave it is dropped.
    End,
    /// The kernel may take more, and will not say so.
    Retry,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeSet<(Instant, Id, Due)>,
    of: HashMap<(Id, Due), Instant>,
    ends: u32,
    timer: Option<Timer>,
    /// When the timer rings.
    rings: Option<Instant>,
}

impl Deadlines {
    /// How many sockets have an end to come: those that linger.
    pub(super) fn ends(&self) -> u32 {
        self.ends
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// The earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, ..)| *at)
    }

    /// Sets or moves one.
    pub(super) fn set(&mut self, id: Id, due: Due, at: Instant, registry: &Registry) {
        match self.of.insert((id, due), at) {
            Some(before) => drop(self.by_time.remove(&(before, id, due))),
            None => self.ends += u32::from(due == Due::End),
        }
        self.by_time.insert((at, id, due));
        self.ring(registry);
    }

    /// Forgets all of a socket's.
    pub(super) fn forget(&mut self, id: Id) {
        for due in [Due::End, Due::Retry] {
            self.take(id, due);
        }
    }

    fn take(&mut self, id: Id, due: Due) {
        if let Some(at) = self.of.remove(&(id, due)) {
            self.by_time.remove(&(at, id, due));
            self.ends -= u32::from(due == Due::End);
        }
    }

    /// Takes the earliest off the list if its time has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(Id, Due)> {
        let (_, id, due) = *self.by_time.first().filter(|(at, ..)| *at <= now)?;
        self.take(id, due);
        Some((id, due))
    }

    /// The timer has rung.
    pub(super) fn rung(&mut self) {
        self.rings = None;
    }

    /// Sets the timer if it would ring too late.
    pub(super) fn ring(&mut self, registry: &Registry) {
        let Some(next) = self.next() else { return };
        if self.rings.is_some_and(|rings| rings <= next) {
            return;
        }
        if self.timer.is_none() {
            let made = Timer::new().ok();
            self.timer = made.filter(|timer| registry.register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE).is_ok());
        }
        if let Some(timer) = &self.timer
            && timer.set(next.saturating_duration_since(Instant::now())).is_ok()
        {
            self.rings = Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn deadlines_come_in_order_once_and_where_they_were_moved_to() {
        let mut poll = mio::Poll::new().expect("a descriptor");
        let mut deadlines = Deadlines::default();
        let id = |slot| Id { slot, generation: 1 };
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        for (slot, millis) in [(1, 30), (2, 10), (3, 20)] {
            deadlines.set(id(slot), Due::End, after(millis), poll.registry());
        }
        deadlines.set(id(2), Due::Retry, after(5), poll.registry());
        deadlines.set(id(1), Due::End, after(15), poll.registry());
        deadlines.set(id(2), Due::End, after(50), poll.registry());
        deadlines.forget(id(3));
        assert_eq!((deadlines.ends(), deadlines.next()), (2, Some(after(5))));
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(10))).expect("a poll");
        assert_eq!(events.iter().map(mio::event::Event::token).collect::<Vec<_>>(), [TIMER]);
        assert!(now.elapsed() >= Duration::from_millis(5));
        deadlines.rung();
        assert_eq!(deadlines.expired(after(4)), None);
        let all: Vec<_> = std::iter::from_fn(|| deadlines.expired(after(50))).collect();
        assert_eq!(all, [(id(2), Due::Retry), (id(1), Due::End), (id(2), Due::End)]);
        assert!(deadlines.is_empty() && deadlines.ends() == 0);
    }
}
