//! Copies of large writes that count as written, in memory that is used again and again: fresh memory of this size is
//! not there until it is touched, and that costs more than the copy.

use std::ops::Deref;
use std::sync::Arc;

use crate::limits::{CHUNK_BYTES, SPARE_COPIES};
use crate::sys::sync::Mutex;

/// Memory that waits for the next copy. One for each environment: JavaScript's thread takes, whoever drives gives back.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Vec<u8>>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy(self: &Arc<Self>, bytes: &[u8]) -> Copied {
        // Memory of one size only, so that any spare one will do for most writes; what does not fit is freed again.
        let spare = if bytes.len() <= CHUNK_BYTES { self.with(Vec::pop) } else { None };
        let mut memory = spare.unwrap_or_else(|| Vec::with_capacity(bytes.len().max(CHUNK_BYTES)));
        memory.extend_from_slice(bytes);
        Copied { memory, home: Arc::clone(self) }
    }

    /// How many copies' memory waits for the next ones.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.with(|spares| spares.len())
    }

    fn take_back(&self, mut memory: Vec<u8>) {
        memory.clear();
        if memory.capacity() == CHUNK_BYTES {
            self.with(|spares| {
                if spares.len() < SPARE_COPIES {
                    spares.push(memory);
                }
            });
        }
    }
}

/// A copy; its memory goes back where it came from.
#[derive(Debug)]
pub struct Copied {
    memory: Vec<u8>,
    home: Arc<Spares>,
}

impl Deref for Copied {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_only_so_much_is_kept() {
        let spares = Arc::new(Spares::default());
        let first = spares.copy(b"first");
        let address = first.as_ptr();
        assert_eq!(&*first, b"first");
        drop(first);
        let second = spares.copy(&[7; CHUNK_BYTES]);
        assert_eq!((second.as_ptr(), second.len()), (address, CHUNK_BYTES));
        drop(second);
        drop(spares.copy(&[7; CHUNK_BYTES + 1]));
        assert_eq!(spares.waiting(), 1, "a larger one is not kept");
        drop((0..2 * SPARE_COPIES).map(|_| spares.copy(b"many")).collect::<Vec<_>>());
        assert_eq!(spares.waiting(), SPARE_COPIES);
    }
}
