//! The counters, for this thread and for all: as doubles, in the order of `lib/native/counters.ts`.
//!
//! An environment's counters are read under its reactor's lock, for as long as a copy takes, by whichever thread asks: so one thread
//! can tell of the Workers too, also of those whose JavaScript is busy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use napi_sys as napi;
use tsloop_core::env::{Environment, Waiting};

use crate::convert::Call;
use crate::function;

/// Numbers of one environment.
const VALUES: usize = 27;

/// One environment, by the order in which it was opened among those of its kind: the main thread's is 0.
struct Known {
    number: u32,
    core: Weak<Environment>,
}

/// All that are open, and how many Workers there have been. Locked while one comes and while the list is copied.
struct Registry {
    known: Vec<Known>,
    workers: u32,
}

static ALL: Mutex<Registry> = Mutex::new(Registry { known: Vec::new(), workers: 0 });

/// An environment has been opened on this thread.
pub(crate) fn register(core: &Arc<Environment>) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.known.retain(|one| one.core.strong_count() > 0);
    // SAFETY: both calls only answer. The thread that has the process's number is the main one.
    let number = if unsafe { libc::getpid() == libc::gettid() } {
        0
    } else {
        all.workers += 1;
        all.workers
    };
    all.known.push(Known { number, core: Arc::downgrade(core) });
}

/// What an environment has counted, and what there is of it now.
#[allow(clippy::cast_precision_loss, reason = "JavaScript has no wider number")]
fn values(core: &Environment) -> [f64; VALUES] {
    let (counters, present) = core.stats();
    let (requests, batches) = core.depths();
    // Each datagram socket is asked for what the kernel dropped: where there is none, nothing is.
    let waiting = if present.datagrams > 0 { core.datagrams_waiting() } else { Waiting::default() };
    let whole = [
        counters.accepted,
        counters.connected,
        counters.received,
        counters.sent,
        counters.inline_turns,
        counters.offload_turns,
        counters.direct_turns,
        counters.shed,
        counters.accept_failures,
        counters.read_stalls,
        counters.panics,
        counters.spawned,
        counters.seat_changes,
        counters.datagrams_received,
        counters.datagrams_sent,
        counters.datagrams_failed,
        counters.datagrams_dropped + waiting.dropped,
        present.streams as u64,
        present.datagrams as u64,
        present.children as u64,
        present.queued as u64,
        u64::from(present.lingering),
        requests as u64,
        batches as u64,
        waiting.arrived as u64,
        waiting.outbound as u64,
    ];
    let mut values = [core.driver_time().as_secs_f64(); VALUES];
    for (value, whole) in values.iter_mut().zip(whole) {
        *value = whole as f64;
    }
    values
}

/// Copies doubles into the buffer of the first argument; how many, or a negative errno if there is no room.
fn fill(call: &Call, numbers: &[f64]) -> i32 {
    let Some((memory, length)) = call.array_buffer(call.value(0)) else { return -libc::EINVAL };
    if length < size_of_val(numbers) {
        return -libc::ENOBUFS;
    }
    // SAFETY: the buffer has room; an ArrayBuffer is aligned for doubles.
    unsafe { ptr::copy_nonoverlapping(numbers.as_ptr(), memory.cast(), numbers.len()) };
    i32::try_from(numbers.len()).unwrap_or(i32::MAX)
}

function!(stats, |state, call| { call.return_int(fill(call, &values(&state.core))) });

/// `counters(into)`, of the addon and no environment's: for every one that is open its number and its values. How many numbers
/// that are, or a negative errno.
pub(crate) unsafe extern "C" fn counters(env: napi::napi_env, info: napi::napi_callback_info) -> napi::napi_value {
    // SAFETY: Node-API passes both, for this call.
    let call = unsafe { Call::new(env, info) };
    call.return_int(catch_unwind(AssertUnwindSafe(|| fill(&call, &all()))).unwrap_or(-libc::EINVAL))
}

fn all() -> Vec<f64> {
    let open: Vec<_> = {
        let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.known.iter().filter_map(|one| Some((one.number, one.core.upgrade()?))).collect()
    };
    let mut numbers = Vec::with_capacity(open.len() * (VALUES + 1));
    for (number, core) in open {
        numbers.push(f64::from(number));
        numbers.extend_from_slice(&values(&core));
    }
    numbers
}
