//! The offload driver's thread, one for each environment that has ever let it drive: what keeps it busy is that environment's own
//! affair, and so is what it waits for.
//!
//! While the driver has the seat the thread runs turns, and waits for readiness of the reactor's descriptor between them. While
//! JavaScript has it the thread is parked, and the descriptor none of its business. It holds no descriptor of its own and nothing
//! has to be registered for it, so to pass the seat cannot fail once it is there.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::os::unix::thread::JoinHandleExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use super::offload::{DriverSide, Next};
use super::{Environment, Posted};
use crate::limits::{GATHER_MICROS, IDLE_PAUSE_MS, IDLE_TURNS};
use crate::sys;

/// The name that tools show; the kernel keeps 15 bytes.
const NAME: &str = "tsloop-driver";

/// The thread of an environment, if it has come to that, and the clock of its processor time.
#[derive(Debug, Default)]
pub(super) struct DriverThread(OnceLock<Option<(Thread, Option<libc::clockid_t>)>>);

impl DriverThread {
    /// Starts it, once. False where the system refuses threads: it is not asked again.
    pub(super) fn is_there(&self, environment: &Arc<Environment>) -> bool {
        let start = || {
            let side = DriverSide(Arc::clone(environment));
            // What is sent to the process is for the threads of Node's, which have handlers and know what may be interrupted.
            let spawned = sys::with_signals_blocked(|| thread::Builder::new().name(NAME.into()).spawn(move || run(&side)));
            spawned.ok().map(|handle| {
                #[allow(clippy::unnecessary_cast, reason = "a number to the standard library everywhere, to musl a pointer")]
                let number = handle.as_pthread_t() as libc::pthread_t;
                (handle.thread().clone(), sys::thread_clock(number))
            })
        };
        self.0.get_or_init(start).is_some()
    }

    /// The clock of the processor time that it has used; none before there is such a thread.
    pub(super) fn clock(&self) -> Option<libc::clockid_t> {
        self.0.get().and_then(Option::as_ref).and_then(|(_, clock)| *clock)
    }

    /// The seat has passed to it, or the environment has ended: it looks again.
    pub(super) fn unpark(&self) {
        if let Some(Some((thread, _))) = self.0.get() {
            thread.unpark();
        }
    }
}

fn run(side: &DriverSide) {
    let mut requests = VecDeque::new();
    while !side.is_over() {
        match side.term() {
            Some(term) => drive(side, term, &mut requests),
            // Whoever passes the seat, or ends, unparks behind that: if it was after we looked, this returns at once.
            None => thread::park(),
        }
    }
}

/// One term of the driver: turns while there is something to do, and sleep while there is not. The sleep is over when the kernel
/// has something to tell, which the turn takes; so a driver that wakes again and again without getting anything done is one that
/// something is wrong with (a call that the kernel refuses, a turn that panics), and it must not take a processor for it.
fn drive(side: &DriverSide, term: u32, requests: &mut VecDeque<Posted>) {
    let mut idle = 0;
    loop {
        let (next, worked) = turn(side, term, requests);
        idle = if worked { 0 } else { idle + 1 };
        if idle > IDLE_TURNS {
            thread::sleep(Duration::from_millis(IDLE_PAUSE_MS));
        }
        match next {
            Next::Stop => return,
            Next::Again => {}
            Next::Sleep => wait(side.descriptor()),
            Next::Gather => {
                wait(side.descriptor());
                thread::sleep(Duration::from_micros(GATHER_MICROS));
            }
        }
    }
}

/// A panic in a turn is ours, not the peer's: it is counted, the turn is lost, the next one goes on.
fn turn(side: &DriverSide, term: u32, requests: &mut VecDeque<Posted>) -> (Next, bool) {
    catch_unwind(AssertUnwindSafe(|| side.turn(term, requests))).unwrap_or_else(|_| {
        side.count_panic();
        (Next::Again, false)
    })
}

/// Until the reactor's descriptor has something to tell. Asked about, not read from: what there is stays there for whoever turns
/// next, JavaScript's thread included. A wait that fails is over at once, and the turn behind it finds nothing.
///
/// First whoever wants the processor gets it, once: JavaScript, woken by this turn, asks for more before we sleep, and spares itself the
/// waking of us. On a machine with more threads than processors that is most of what a thread for each environment costs.
fn wait(descriptor: RawFd) {
    thread::yield_now();
    let mut entry = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    let _ = sys::wait_any(std::slice::from_mut(&mut entry), None);
}
