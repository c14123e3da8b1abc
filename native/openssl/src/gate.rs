//! Who ends the process waits for the threads that are inside OpenSSL, and lets no other in.
//!
//! OpenSSL frees its tables in a function of `atexit`, while other threads run on: one that is inside it then reads freed memory (measured
//! without this gate: up to 9 crashes in 25 exits under load; with it none in 160). A function of ours, registered later, runs before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Held for reading by every call off JavaScript's thread, for writing by the end of the process. Rust's lock lets a waiting writer go
/// before new readers, on which this depends: one that did not would keep `process.exit` waiting for as long as there is work.
static INSIDE: RwLock<()> = RwLock::new(());
/// Set before the lock is taken for writing, so that who gets in behind it sees it and turns round.
static SHUT: AtomicBool = AtomicBool::new(false);

/// The right to be inside OpenSSL, for as long as it is kept: one call, never a queue of them, and nothing of this crate is dropped
/// meanwhile. Who has one and asks for another may wait for the end of the process, which waits for the first.
#[derive(Debug)]
pub struct Pass {
    _inside: RwLockReadGuard<'static, ()>,
}

/// Lets a thread in, or answers that the process ends. What was to be done is then not done, and nobody hears of it.
#[must_use]
pub fn enter() -> Option<Pass> {
    // A thread that panicked inside has left no state behind: the lock guards none.
    let inside = INSIDE.read().unwrap_or_else(PoisonError::into_inner);
    // Relaxed: the lock orders it. Who comes in behind the writer has synchronised with it.
    (!SHUT.load(Ordering::Relaxed)).then_some(Pass { _inside: inside })
}

/// Registers the end. False where the C library has no place for it.
pub(crate) fn install() -> bool {
    // SAFETY: the function takes nothing, does not unwind, and stays where it is as long as this library: `atexit` in a shared library is
    // undone, and the function called, when that is unloaded (which tsloop's addon does not let happen).
    unsafe { libc::atexit(shut) == 0 }
}

extern "C" fn shut() {
    // Relaxed: see `enter`.
    SHUT.store(true, Ordering::Relaxed);
    // Waits for those inside. Not kept: who waits behind this would wait for ever, and has something better to do: to see that it is shut.
    drop(INSIDE.write().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// One test, as the gate is one of the process.
    #[test]
    fn the_end_waits_for_those_inside_and_lets_no_other_in() {
        static WORKING: AtomicUsize = AtomicUsize::new(0);
        static ENDED: AtomicBool = AtomicBool::new(false);
        let turned_round = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        while let Some(pass) = enter() {
                            assert!(!ENDED.load(Ordering::SeqCst), "nobody is inside once it has ended");
                            WORKING.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_micros(200));
                            assert!(!ENDED.load(Ordering::SeqCst), "nor was who went in before");
                            drop(pass);
                        }
                        true
                    })
                })
                .collect();
            while WORKING.load(Ordering::SeqCst) < 100 {
                thread::yield_now();
            }
            let from = Instant::now();
            shut();
            ENDED.store(true, Ordering::SeqCst);
            assert!(from.elapsed() < Duration::from_secs(5), "readers that come and go do not starve the end");
            threads.into_iter().all(|thread| thread.join().expect("no assertion failed"))
        });
        assert!(turned_round);
        assert!(enter().is_none());
        shut();
    }
}
