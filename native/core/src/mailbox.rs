//! The only way between threads: batches from whoever drives to JavaScript, and to whoever drives what JavaScript asks for and what the
//! pool has done. Each with a flag that makes one wake-up do for any number of posts, whoever posts.
//!
//! The flags follow one rule (Dekker's): the sleeper raises its flag and then looks once more; the poster posts and
//! then takes the flag down. One of the two sees the other. `tests/loom.rs` checks all interleavings.

use std::collections::VecDeque;

use crate::event::Batch;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, Ordering};

/// A queue with a sleeper on one end.
#[derive(Debug)]
pub struct Tray<T> {
    items: Mutex<VecDeque<T>>,
    /// Raised by the receiver before it sleeps, taken down by whoever wakes it. Sequentially consistent: the
    /// receiver's raise and look must not be reordered against the sender's post and take-down.
    asleep: AtomicBool,
}

impl<T> Default for Tray<T> {
    fn default() -> Self {
        Self { items: Mutex::new(VecDeque::new()), asleep: AtomicBool::new(true) }
    }
}

impl<T> Tray<T> {
    fn with<R>(&self, f: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        // Nothing that runs under this lock can panic half-way: a poisoned queue is still whole.
        f(&mut self.items.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Posts; true when the receiver sleeps and the caller has to wake it.
    #[must_use]
    pub fn post(&self, item: T) -> bool {
        self.with(|items| items.push_back(item));
        self.asleep.swap(false, Ordering::SeqCst)
    }

    /// Puts an item there without waking anybody: a [`Tray::post`] follows.
    pub fn leave(&self, item: T) {
        self.with(|items| items.push_back(item));
    }

    /// Takes the oldest.
    pub fn take(&self) -> Option<T> {
        self.with(VecDeque::pop_front)
    }

    /// Takes everything into `into`.
    pub fn take_all(&self, into: &mut VecDeque<T>) {
        self.with(|items| std::mem::swap(items, into));
    }

    /// Takes the newest back, if the receiver has not got it yet.
    pub fn take_back(&self) -> Option<T> {
        self.with(VecDeque::pop_back)
    }

    /// Looks at the newest.
    pub fn newest<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.with(|items| items.back().map(look))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.with(|items| items.len())
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The receiver is asleep, whatever it was: the next post wakes it. It looks once more after this.
    pub fn lie_down(&self) {
        self.asleep.swap(true, Ordering::SeqCst);
    }

    /// A receiver that is always asleep looks whether it was woken, and is asleep again: true if something may be there. Exact
    /// where whoever woke it was seen to; a post that was not yet brings its wake-up.
    #[must_use]
    pub fn was_woken(&self) -> bool {
        // A look costs nothing to speak of, and nearly always the answer is no.
        if self.asleep.load(Ordering::SeqCst) {
            return false;
        }
        self.lie_down();
        true
    }

    /// The receiver is about to sleep: true if it may, false if something was posted meanwhile.
    #[must_use]
    pub fn fall_asleep(&self) -> bool {
        // A swap, not a store: it costs the same, and as every change of the flag reads the one before it, all of them
        // stand in one order, which loom can follow.
        self.asleep.swap(true, Ordering::SeqCst);
        if self.is_empty() {
            return true;
        }
        // Posted between the last take and the flag. If the poster has taken the flag down it also wakes us: a
        // wake-up too many, which is harmless.
        self.asleep.swap(false, Ordering::SeqCst);
        false
    }
}

/// Both directions of one environment.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Filled batches, for JavaScript.
    pub full: Tray<Batch>,
    /// Empty batches, for the reactor.
    pub empty: Tray<Batch>,
}
