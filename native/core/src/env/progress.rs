//! How far the offload driver has come, where JavaScript can see it.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

/// Two words of JavaScript's memory in which the offload driver says how far it has come: requests applied and bytes
/// of requests applied, both wrapping. JavaScript reads them to know which acknowledged writes are no longer queued.
#[derive(Debug)]
pub struct Progress(NonNull<i32>);

// SAFETY: the words are only written, through atomics; their validity does not depend on a thread.
unsafe impl Send for Progress {}
// SAFETY: see above.
unsafe impl Sync for Progress {}

impl Progress {
    /// # Safety
    /// Two words, aligned, valid for writes until [`super::Environment::end`] has returned.
    #[must_use]
    pub unsafe fn new(words: NonNull<i32>) -> Self {
        Self(words)
    }

    pub(super) fn add(&self, requests: i32, bytes: i32) {
        // SAFETY: valid and aligned by `new`; nobody writes but us, and readers tolerate any order.
        let (first, second) = unsafe { (AtomicI32::from_ptr(self.0.as_ptr()), AtomicI32::from_ptr(self.0.as_ptr().add(1))) };
        first.fetch_add(requests, Ordering::Release);
        second.fetch_add(bytes, Ordering::Release);
    }
}
