//! Streams that JavaScript gave up and whose acknowledged bytes still leave, oldest first.
//!
//! TCP ends a peer that does not read by itself (`TCP_USER_TIMEOUT`); a unix-domain socket has no such option, so every
//! turn looks whether the oldest has had its time. What is on this list holds no process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits::LINGER_MS;
use crate::table::Id;

/// Entries of streams that are gone already are dropped once there are this many more than streams.
const STALE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Lingering {
    since: VecDeque<(Id, Instant)>,
    count: u32,
}

impl Lingering {
    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// One more. `lingers` says whether an earlier one still does.
    pub(super) fn begin(&mut self, id: Id, now: Instant, lingers: impl Fn(Id) -> bool) {
        self.count += 1;
        if self.since.len() > self.count as usize + STALE {
            self.since.retain(|(id, _)| lingers(*id));
        }
        self.since.push_back((id, now));
    }

    /// One less, whichever.
    pub(super) fn end(&mut self) {
        self.count -= 1;
    }

    /// Takes the oldest off the list if it has had its time, or is gone already.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Id> {
        let (id, since) = *self.since.front()?;
        if self.count > 0 && now.duration_since(since) < Duration::from_millis(u64::from(LINGER_MS)) {
            return None;
        }
        self.since.pop_front();
        Some(id)
    }
}
