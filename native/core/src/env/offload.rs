//! The offload driver's side of an environment: its turns, the batches that it fills, and when it may sleep.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Environment, Posted, guarded, lack};
use crate::event::Batch;
use crate::limits::{CHUNK_BYTES, READ_AHEAD};
use crate::reactor::seat::Driver;

/// What the offload driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn.
    Again,
    /// Wait for readiness of the reactor's descriptor.
    Sleep,
    /// The same, and then let datagrams gather for a moment.
    Gather,
    /// The seat has passed: stop.
    Stop,
}

/// True while a batch takes more.
fn is_open(batch: &Batch) -> bool {
    !batch.is_sealed() && batch.received() < READ_AHEAD && batch.has_room() && batch.room() >= CHUNK_BYTES / 2
}

/// An environment as its driver's thread has it: all that this thread may do. Whatever else an [`Environment`] offers is for
/// JavaScript's.
#[derive(Debug)]
pub(super) struct DriverSide(pub(super) Arc<Environment>);

impl DriverSide {
    /// True once the environment has ended: then there is nothing to drive, ever.
    pub(super) fn is_over(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// The descriptor that says when a turn is due.
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.descriptor
    }

    /// A panic that was caught.
    pub(super) fn count_panic(&self) {
        self.0.count_panic();
    }

    /// The term of this driver, if it has the seat.
    pub(super) fn term(&self) -> Option<u32> {
        self.0.seat.offload_term()
    }

    /// One turn of a term; what is next, and whether anything got done.
    pub(super) fn turn(&self, term: u32, scratch: &mut VecDeque<Posted>) -> (Next, bool) {
        let environment = &*self.0;
        let mut was_asked = false;
        let entered = environment.seat.enter(term, scratch, |reactor, asked| {
            was_asked = true;
            environment.apply(reactor, asked);
        });
        let Some(mut reactor) = entered else { return (Next::Stop, true) };
        let mut batch = environment.open_batch();
        let before = batch.as_ref().map_or(0, Batch::len);
        let turn = guarded(&mut reactor, |reactor| reactor.turn(batch.as_mut()));
        environment.note_blocks(&reactor);
        reactor.stats().offload_turns += 1;
        let had_batch = batch.is_some();
        let told = batch.as_ref().map_or(0, Batch::len);
        if let Some(batch) = batch {
            environment.publish(batch);
        }
        let worked = was_asked || told != before || turn.sockets > 0;
        let gathers = reactor.gathers(&turn, was_asked);
        // Whatever is left can be gone on with at once, unless it needs a block or room in a batch and there is none: then
        // only JavaScript can help. What the kernel has not told yet brings no new edge, so it must not wait for one.
        let helpless = ((turn.starved && !had_batch) || (turn.blocked && told == before)) && !reactor.is_saturated();
        if turn.more && !helpless {
            return (Next::Again, worked);
        }
        if helpless {
            // Dekker's rule again: say what is lacking, then look once more; JavaScript helps, then looks. Blocks come
            // through the inbox, which `may_sleep` looks into.
            let lacks = if turn.starved { lack::ROOM } else { lack::BLOCK };
            environment.reader_lacks.store(lacks, Ordering::SeqCst);
            if turn.starved && environment.can_fill() {
                environment.reader_lacks.store(lack::NOTHING, Ordering::SeqCst);
                return (Next::Again, worked);
            }
        }
        let next = match (environment.seat.may_sleep(&reactor), gathers) {
            (true, true) => Next::Gather,
            (true, false) => Next::Sleep,
            (false, _) => Next::Again,
        };
        (next, worked)
    }
}

impl Environment {
    /// Carries out what was asked for and, if that was anything, asks the kernel what came of it, into the
    /// batch that JavaScript takes next. So what it closed is closed, and a reset that it sent itself to another socket here
    /// is found with the bytes before it, as on one thread.
    pub fn catch_up(&self) {
        // The inline driver has done so in the call; what the other had taken before waits still.
        let inline = self.driver() == Driver::Inline;
        if inline && self.mailbox.full.is_empty() {
            return;
        }
        let mut was_asked = inline;
        let mut reactor = self.seat.settle(&mut VecDeque::new(), |reactor, asked| {
            was_asked = true;
            self.apply(reactor, asked);
        });
        if !was_asked {
            // The driver has done so, in one go.
            return;
        }
        let mut batch = self.open_batch();
        let _ = guarded(&mut reactor, |reactor| reactor.turn(batch.as_mut()));
        if inline {
            self.seat.look(&mut reactor, |reactor, posted| self.apply(reactor, posted));
        }
        self.note_blocks(&reactor);
        if let Some(batch) = batch {
            self.publish(batch);
        }
        drop(reactor);
        // Whatever was to wake the driver, this turn may have taken it from the kernel.
        if !inline {
            self.wake_driver();
        }
    }

    /// The batch to fill: the newest one that JavaScript has not taken, or an empty one. None while enough waits.
    fn open_batch(&self) -> Option<Batch> {
        let Some(open) = self.mailbox.full.take_back() else { return self.mailbox.empty.take() };
        if is_open(&open) {
            return Some(open);
        }
        let enough = open.received() >= READ_AHEAD;
        self.publish(open);
        if enough { None } else { self.mailbox.empty.take() }
    }

    /// True when [`Environment::open_batch`] would find one.
    fn can_fill(&self) -> bool {
        let waiting = self.mailbox.full.newest(|batch| (is_open(batch), batch.received() >= READ_AHEAD));
        match waiting {
            Some((true, _)) => true,
            Some((false, true)) => false,
            Some((false, false)) | None => !self.mailbox.empty.is_empty(),
        }
    }

    /// Called under the reactor's lock, so that [`Environment::end`] knows that no wake-up is under way.
    fn publish(&self, batch: Batch) {
        if batch.is_empty() {
            let _ = self.mailbox.empty.post(batch);
        } else if self.mailbox.full.post(batch) {
            (self.wake_javascript)();
        }
    }
}
