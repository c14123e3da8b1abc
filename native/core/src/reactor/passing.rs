//! The passing of the seat: the lock, the term and the inbox, and the order in which they are touched.
//!
//! Generic over what the lock guards and what is posted to it, so that `tests/loom.rs` runs this very code through all
//! interleavings of the threads: JavaScript's, the offload driver's, and any other that posts. Four rules carry it:
//! 1. The inbox is only emptied under the lock, and all of it is applied before the lock is given up. So what is posted
//!    is applied once, and in order as far as one thread posted it, whoever does it.
//! 2. The term changes under the lock, and after the inbox was emptied when the seat comes back to JavaScript: what
//!    JavaScript then applies directly comes after everything that it posted.
//! 3. A driver looks at the term under the lock before it touches anything.
//! 4. While the inline driver has the seat the inbox's owner counts as asleep, so that others who post bring readiness, and
//!    a turn that took readiness looks into the inbox behind that.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::seat::Driver;
use crate::mailbox::Tray;
use crate::sys::sync::atomic::{AtomicU32, Ordering};
use crate::sys::sync::{Mutex, MutexGuard};

/// What both threads share: `S` is whatever turns are run on, `Q` what JavaScript asks of it.
#[derive(Debug)]
pub struct Seat<S, Q> {
    state: Mutex<S>,
    /// Shared with others who post, and who may outlive us.
    inbox: Arc<Tray<Q>>,
    /// Incremented, under the lock and by the JavaScript thread alone, whenever the seat passes: an offload driver of
    /// an earlier term stops. Odd while the offload driver has the seat.
    term: AtomicU32,
}

impl<S, Q> Seat<S, Q> {
    /// The seat with the inline driver. The inbox is for JavaScript and whoever else has been given it; who posts there and hears that
    /// the owner is asleep wakes it.
    #[must_use]
    pub fn new(state: S, inbox: Arc<Tray<Q>>) -> Self {
        Self { state: Mutex::new(state), inbox, term: AtomicU32::new(0) }
    }

    /// The lock, whatever became of its last holder: a turn that panicked is caught where it ran, and what it left
    /// is whole (every operation on the table replaces an entry in one step).
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who holds the seat. Exact on the JavaScript thread, which alone passes it.
    #[must_use]
    pub fn driver(&self) -> Driver {
        if self.term.load(Ordering::Acquire) % 2 == 1 { Driver::Offload } else { Driver::Inline }
    }

    /// The term of the offload driver that has the seat.
    #[must_use]
    pub fn offload_term(&self) -> Option<u32> {
        // Acquire, as a driver looks before its first turn; it looks again, under the lock, in each.
        let term = self.term.load(Ordering::Acquire);
        (term % 2 == 1).then_some(term)
    }

    /// Puts a request there without waking anybody: a [`Self::post`] follows.
    pub fn leave(&self, request: Q) {
        self.inbox.leave(request);
    }

    /// JavaScript thread, while the offload driver has the seat: asks; true when the driver sleeps and has to be
    /// woken.
    #[must_use]
    pub fn post(&self, request: Q) -> bool {
        self.inbox.post(request)
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }

    /// The lock, after everything that was asked so far has been applied.
    pub fn settle(&self, scratch: &mut VecDeque<Q>, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) -> MutexGuard<'_, S> {
        let mut state = self.lock();
        self.empty_inbox(&mut state, scratch, apply);
        state
    }

    /// Offload driver: as [`Seat::settle`], for a turn of one term; none when that term is over.
    pub fn enter(&self, term: u32, scratch: &mut VecDeque<Q>, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) -> Option<MutexGuard<'_, S>> {
        let mut state = self.lock();
        if self.term.load(Ordering::Acquire) != term {
            return None;
        }
        self.empty_inbox(&mut state, scratch, apply);
        Some(state)
    }

    /// Offload driver, inside its turn: true if it may sleep until it is woken.
    #[must_use]
    pub fn may_sleep(&self, _inside: &MutexGuard<'_, S>) -> bool {
        self.inbox.fall_asleep()
    }

    /// JavaScript thread: the seat goes to the offload driver, for the term that is returned.
    pub fn pass_to_offload(&self) -> u32 {
        let _state = self.lock();
        self.term.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// JavaScript thread: the seat comes back. The driver of the term that ended is to be woken so that it stops.
    pub fn pass_to_inline(&self, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) {
        let mut state = self.lock();
        // Before the last look, so that who posts from here on wakes whoever turns inline; and under the lock, as a driver that is about to
        // sleep there may find that it must not.
        self.inbox.lie_down();
        self.empty_inbox(&mut state, &mut VecDeque::new(), apply);
        self.term.fetch_add(1, Ordering::AcqRel);
    }

    /// JavaScript thread, while the inline driver has the seat, and behind any look at what is ready: what others have posted.
    pub fn look(&self, state: &mut MutexGuard<'_, S>, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) {
        if self.inbox.was_woken() {
            self.empty_inbox(state, &mut VecDeque::new(), apply);
        }
    }

    /// JavaScript thread: as [`Seat::settle`], and no driver enters any more.
    pub fn retire(&self, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) -> MutexGuard<'_, S> {
        let state = self.settle(&mut VecDeque::new(), apply);
        let term = self.term.load(Ordering::Acquire);
        self.term.fetch_add(2 - term % 2, Ordering::AcqRel);
        state
    }

    fn empty_inbox(&self, state: &mut S, scratch: &mut VecDeque<Q>, apply: impl FnOnce(&mut S, &mut VecDeque<Q>)) {
        self.inbox.take_all(scratch);
        if !scratch.is_empty() {
            apply(state, scratch);
        }
    }
}
