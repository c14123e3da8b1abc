//! A turn: what the kernel has to tell, and what follows from it for each socket.
//!
//! The offload driver does a turn in one go. The inline driver does it in rounds, which end where JavaScript has enough to
//! do, and between which it does that: a chunk goes through the program while it is in the cache, and the same stream is
//! read on without asking the kernel what else is ready, as libuv reads it.

use std::time::{Duration, Instant};

use mio::event::Event as Readiness;

use super::direct::FEW;
use super::{Entry, Reactor, Told, WAKER, datagrams, id_of};
use crate::event::{Batch, DEAD};
use crate::limits::{CHUNK_BYTES, POLL_EVENTS, TURN_BYTES, TURN_ROUNDS};
use crate::stream::{
    self,
    read::{Progress, Share},
};
use crate::table::Id;

/// What a turn, or a round of one, did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Sockets that had something to deliver.
    pub sockets: u32,
    /// Datagrams among that: each counts as a socket.
    pub datagrams: u32,
    /// Something is left to do without waiting for readiness.
    pub more: bool,
    /// What is left needs room in a batch.
    pub starved: bool,
    /// What is left needs a block.
    pub blocked: bool,
    /// The turn is not over: there are more rounds.
    pub goes_on: bool,
}

/// How far a turn has come.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// How many of the sockets at the front of `ready` are part of it.
    due: usize,
    /// It began with so few sockets that each is a round: what JavaScript does at the first is done before the second is read, as
    /// with libuv. Two ends of one conversation are two sockets of such a turn.
    one_by_one: bool,
    /// The kernel may have more to tell.
    saturated: bool,
    /// Chunks that JavaScript has got in rounds of their own.
    rounds: u32,
    /// Sockets served, and the last stream among them.
    served: u32,
    last: Option<Id>,
}

/// How much is done before JavaScript takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Turn,
    Round,
}

impl Reactor {
    /// One turn: takes readiness, reads, writes, accepts, and puts what happened into the batch. Without a batch it
    /// only does what needs none.
    pub fn turn(&mut self, batch: Option<&mut Batch>) -> Turn {
        self.begin(true);
        self.serve(batch, Pace::Turn)
    }

    /// The first round of a turn. `asks` the kernel what is ready, unless the loop has told of all there is.
    pub fn first_round(&mut self, batch: &mut Batch, asks: bool) -> Turn {
        self.begin(asks);
        self.serve(Some(batch), Pace::Round)
    }

    /// True while a turn has another round. What JavaScript's requests left to tell is heard in another turn of the loop, as
    /// with libuv, and ends this one.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.course.due > 0 && self.backlog.is_empty()
    }

    /// True while the kernel may have more to tell than the last turn took.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.course.saturated
    }

    /// The next round of a turn that goes on.
    pub fn next_round(&mut self, batch: &mut Batch) -> Turn {
        self.serve(Some(batch), Pace::Round)
    }

    fn begin(&mut self, asks: bool) {
        if self.lingering.count() > 0 {
            self.end_old_lingering(Instant::now());
        }
        let saturated = asks && self.take_readiness();
        let due = self.ready.len();
        self.course = Course { due, one_by_one: due <= FEW as usize, saturated, ..Course::default() };
    }

    fn serve(&mut self, mut batch: Option<&mut Batch>, pace: Pace) -> Turn {
        let mut turn = Turn::default();
        if let Some(batch) = batch.as_deref_mut() {
            while batch.has_room() {
                let Some(event) = self.backlog.pop_front() else { break };
                batch.push(event);
            }
        }
        while self.course.due > 0 {
            let Some(id) = self.ready.pop_front() else { break };
            self.course.due -= 1;
            self.work(id, &mut batch, &mut turn, pace);
            let enough = |batch: &Batch| batch.received() >= CHUNK_BYTES || (self.course.one_by_one && !batch.is_empty());
            if pace == Pace::Round && batch.as_deref().is_some_and(enough) {
                break;
            }
        }
        // Who got nothing is first in line, before those who were served: otherwise a few that always have bytes would use up
        // every batch and every block.
        while let Some(id) = self.unserved.pop() {
            self.ready.push_front(id);
        }
        turn.goes_on = self.goes_on() && !turn.starved && !turn.blocked;
        self.course.served += turn.sockets;
        if !turn.goes_on {
            self.end_children(&mut batch, &mut turn);
            if pace == Pace::Round {
                self.weigh_direct(self.course.served, self.course.last);
            }
        }
        turn.starved |= !self.backlog.is_empty();
        turn.more = !self.ready.is_empty() || turn.starved || self.course.saturated;
        turn
    }

    /// Takes what the kernel has to tell, without waiting; true if it may have more. An interrupted or failed call
    /// is looked at again by the next turn: the descriptor stays readable.
    fn take_readiness(&mut self) -> bool {
        if self.poll.poll(&mut self.polled, Some(Duration::ZERO)).is_err() {
            return true;
        }
        let polled = std::mem::replace(&mut self.polled, mio::Events::with_capacity(0));
        let mut count = 0;
        for readiness in &polled {
            self.mark(readiness);
            count += 1;
        }
        self.polled = polled;
        count == POLL_EVENTS
    }

    fn mark(&mut self, readiness: &Readiness) {
        if readiness.token() == WAKER {
            return;
        }
        let id = id_of(readiness.token());
        let hung_up = readiness.is_read_closed() || readiness.is_error() || readiness.is_write_closed();
        let mut dead = false;
        let ends_at_hang_up = self.ends_at_hang_up;
        let due = match self.entry(id) {
            None | Some(Entry::Vacant) => false,
            Some(Entry::Process(_)) => {
                self.ended.push(id);
                false
            }
            Some(Entry::Connecting(_)) => true,
            Some(Entry::Listener(listener)) => !std::mem::replace(&mut listener.queued, true),
            Some(Entry::Datagram(socket)) => datagrams::mark(socket, readiness),
            Some(Entry::Stream(stream)) => {
                if readiness.is_readable() || hung_up {
                    stream.flags.set(stream::READABLE);
                }
                if hung_up {
                    stream.flags.set(stream::HUNG_UP);
                }
                if ends_at_hang_up && readiness.is_read_closed() && readiness.is_write_closed() {
                    stream.flags.set(stream::OVER);
                }
                if readiness.is_priority() {
                    stream.flags.set(stream::UNSURE);
                }
                if readiness.is_writable() || readiness.is_error() {
                    stream.flags.set(stream::WRITABLE);
                }
                // Both directions are dead: writes fail from here on, and JavaScript must not count them as written.
                dead = (readiness.is_error() || readiness.is_write_closed()) && !stream.flags.has(stream::PRESSED | stream::LINGERING);
                if dead {
                    stream.flags.set(stream::PRESSED);
                }
                let due = stream.wants_turn() && !stream.flags.has(stream::QUEUED);
                if due {
                    stream.flags.set(stream::QUEUED);
                }
                due
            }
        };
        if dead {
            self.tell_pressure(id, DEAD);
        }
        if due {
            self.ready.push_back(id);
        }
    }

    fn work(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn, pace: Pace) {
        match self.entry(id) {
            None | Some(Entry::Vacant | Entry::Process(_)) => {}
            Some(Entry::Connecting(_)) => self.finish_connecting(id, batch, turn),
            Some(Entry::Listener(_)) => self.accept(id, batch, turn),
            Some(Entry::Datagram(_)) => self.work_datagram(id, batch, turn),
            Some(Entry::Stream(stream)) => {
                stream.flags.clear(stream::QUEUED);
                // As libuv does: what the peer said comes before what became of our writes. Whoever uploads to a server that
                // refuses early gets the refusal.
                let reads = stream.reads();
                let before = stream.taken;
                let progress = match pace {
                    Pace::Turn => self.read(id, batch, turn, Share { bytes: TURN_BYTES, in_rounds: false }),
                    Pace::Round => {
                        let progress = self.read(id, batch, turn, Share { bytes: CHUNK_BYTES, in_rounds: true });
                        if self.has_another_round(id, progress, turn) {
                            return;
                        }
                        progress
                    }
                };
                if let Some(Entry::Stream(stream)) = self.entry(id)
                    && stream.flags.has(stream::WRITABLE)
                    && stream.queue.is_some()
                {
                    let told = match progress {
                        Progress::More | Progress::Full | Progress::NoBlock => Told::Waits,
                        Progress::Drained | Progress::EndWaits if reads => Told::ByReading,
                        Progress::Drained | Progress::EndWaits => Told::Now,
                    };
                    self.flush(id, batch, told);
                    turn.sockets += 1;
                }
                if matches!(progress, Progress::Full | Progress::NoBlock)
                    && let Some(Entry::Stream(stream)) = self.entry(id)
                    && stream.taken == before
                {
                    stream.flags.set(stream::QUEUED);
                    self.unserved.push(id);
                } else {
                    self.enqueue(id);
                }
            }
        }
    }

    /// After a chunk of a stream: true if it keeps its place, as the kernel has whole ones of it.
    fn has_another_round(&mut self, id: Id, progress: Progress, turn: &mut Turn) -> bool {
        self.course.last = Some(id);
        if progress != Progress::More {
            return false;
        }
        self.course.rounds += 1;
        if self.course.rounds >= TURN_ROUNDS {
            // Others first, in the next turn.
            self.course.due = 0;
            return false;
        }
        if let Some(Entry::Stream(stream)) = self.entry(id) {
            stream.flags.set(stream::QUEUED);
            self.ready.push_front(id);
            self.course.due += 1;
            // It counts when it has been read.
            turn.sockets -= 1;
        }
        true
    }

    /// Reads a stream's share, if JavaScript wants it and the kernel may have something.
    fn read(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn, share: Share) -> Progress {
        let Some(slot) = self.table.get_mut(id.slot as usize) else { return Progress::Drained };
        let Entry::Stream(stream) = &mut slot.entry else { return Progress::Drained };
        if !stream.flags.has_only(stream::READING | stream::READABLE | stream::ENDED, stream::READING | stream::READABLE) {
            return Progress::Drained;
        }
        let Some(batch) = batch.as_deref_mut().filter(|batch| self.backlog.is_empty() && !batch.is_sealed()) else {
            turn.starved = true;
            return Progress::Full;
        };
        let (progress, count) = stream::read::read(stream, id, batch, &mut self.blocks, share);
        self.stats.received += count as u64;
        turn.sockets += 1;
        turn.starved |= progress == Progress::Full || (progress == Progress::EndWaits && !share.in_rounds);
        turn.blocked |= progress == Progress::NoBlock;
        self.stats.read_stalls += u64::from(progress == Progress::Full);
        progress
    }
}
