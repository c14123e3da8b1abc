//! How far the offload driver has come, where JavaScript can see it.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

/// Three words of JavaScript's memory in which the offload driver says how far it has come, all wrapping: requests applied,
/// bytes of requests applied, and how often it has told of a full send buffer until then. What is applied waits in a queue if
/// the buffer is full; JavaScript knows that the kernel has it when it has heard of all those full buffers besides.
#[derive(Debug)]
pub struct Applied(NonNull<i32>);

// SAFETY: the words are only written, through atomics; their validity does not depend on a thread.
unsafe impl Send for Applied {}
// SAFETY: see above.
unsafe impl Sync for Applied {}

impl Applied {
    /// # Safety
    /// Three words, aligned, valid for writes until [`super::Environment::end`] has returned.
    #[must_use]
    pub unsafe fn new(words: NonNull<i32>) -> Self {
        Self(words)
    }

    pub(super) fn add(&self, requests: i32, bytes: i32, pressures: i32) {
        // SAFETY: valid and aligned by `new`; nobody writes but us, under the reactor's lock.
        let word = |at: usize| unsafe { AtomicI32::from_ptr(self.0.as_ptr().add(at)) };
        // Before the requests: whoever sees one of them applied sees the full buffers that it met.
        word(2).store(pressures, Ordering::Release);
        word(0).fetch_add(requests, Ordering::Release);
        word(1).fetch_add(bytes, Ordering::Release);
    }
}
