//! tokio: the pool for work that is long by nature and belongs to no turn. One per process, bounded, started with its first job.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};

use crate::sys;

static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
static THREADS: AtomicUsize = AtomicUsize::new(1);

/// Sets the number of threads; without effect once there are some.
pub fn configure(threads: usize) {
    // Relaxed: the number alone is passed on, and `POOL` makes one reader of many.
    THREADS.store(threads.max(1), Ordering::Relaxed);
}

/// Has one of the pool's threads do this. A panic ends the job alone.
///
/// # Errors
/// The job, undone, where the system refuses threads.
pub fn run<J: FnOnce() + Send + 'static>(job: J) -> Result<(), J> {
    let pool = POOL.get_or_init(|| {
        let threads = THREADS.load(Ordering::Relaxed);
        // Its threads are told which signals are theirs as they are made.
        sys::with_signals_blocked(|| Builder::new_multi_thread().worker_threads(threads).thread_name("tsloop-pool").build().ok())
    });
    let Some(pool) = pool else { return Err(job) };
    drop(pool.spawn(async move { job() }));
    Ok(())
}
