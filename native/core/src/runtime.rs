//! tokio: the offload driver. One runtime per process, started when the first seat passes to it.
//!
//! The driver's task awaits the reactor's descriptor and runs turns while there is something to do. Its registration
//! with tokio lives exactly as long as its term: while JavaScript has the seat the runtime does not wake for sockets.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use crate::env::{Environment, Next};
use crate::limits::{GATHER_MICROS, TURNS_IN_A_ROW, UNWATCHED_MS};

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
static THREADS: AtomicUsize = AtomicUsize::new(1);

/// Sets the number of worker threads; without effect once the runtime runs.
pub fn configure(threads: usize) {
    THREADS.store(threads.max(1), Ordering::Relaxed);
}

fn runtime() -> Option<&'static Runtime> {
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread().worker_threads(THREADS.load(Ordering::Relaxed)).thread_name("tsloop-driver").enable_io().enable_time().build().ok()
        })
        .as_ref()
}

/// True if the runtime runs or can be started; false when the system refuses threads or descriptors.
#[must_use]
pub fn is_available() -> bool {
    runtime().is_some()
}

/// The descriptor of an environment, kept open by keeping the environment.
#[derive(Debug)]
struct Watched(Arc<Environment>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.descriptor()
    }
}

/// Starts the offload driver for one term. The caller has seen [`is_available`].
pub(crate) fn drive(environment: Arc<Environment>, term: u32) {
    if let Some(runtime) = runtime() {
        runtime.spawn(run(environment, term));
    }
}

async fn run(environment: Arc<Environment>, term: u32) {
    let mut requests = VecDeque::new();
    let watched = loop {
        // SAFETY: the descriptor stays open for as long as its environment, which the registration itself keeps.
        if let Ok(watched) = unsafe { AsyncFd::register_with_interest(Watched(Arc::clone(&environment)), Interest::READABLE) } {
            break watched;
        }
        // The term before this one has not let go of the descriptor yet, as the runtime was busy when the seat passed twice; or
        // there is no memory. Without readiness the driver asks, now and then: it must not take a processor for that.
        if turn(&environment, term, &mut requests) == Next::Stop {
            return;
        }
        // For that term: what was to tell it that it is over, our turn may have taken.
        environment.wake_runtime();
        tokio::time::sleep(Duration::from_millis(UNWATCHED_MS)).await;
    };
    let mut in_a_row = 0;
    loop {
        match turn(&environment, term, &mut requests) {
            Next::Stop => return,
            Next::Again => {
                in_a_row += 1;
                if in_a_row % TURNS_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
            next @ (Next::Sleep | Next::Gather) => {
                let Ok(mut ready) = watched.readable().await else { return };
                // The turn that follows takes everything from the descriptor, so what comes after it is a new edge.
                ready.clear_ready();
                if next == Next::Gather {
                    // The thread itself sleeps: no timer of the runtime is as short.
                    std::thread::sleep(Duration::from_micros(GATHER_MICROS));
                }
            }
        }
    }
}

/// A panic in a turn is ours, not the peer's: it is counted, the turn is lost, the next one goes on.
fn turn(environment: &Environment, term: u32, requests: &mut VecDeque<crate::env::Request>) -> Next {
    catch_unwind(AssertUnwindSafe(|| environment.offload_turn(term, requests))).unwrap_or_else(|_| {
        environment.count_panic();
        Next::Again
    })
}
