//! A turn: what the kernel has to tell, and what follows from it for each socket.
//!
//! The offload driver does a turn in one go. The inline driver does it in rounds, which end where JavaScript has enough to
//! do, and between which it does that: a chunk goes through the program while it is in the cache, and the same stream is
//! read on without asking the kernel what else is ready, as libuv reads it.

use std::time::{Duration, Instant};

use mio::event::Event as Readiness;

use super::deadlines::TIMER;
use super::direct::FEW;
use super::line::For;
use super::watching::id_of;
use super::writing::Tells;
use super::{Entry, QUEUED, Reactor, STARVED, WAKER, datagrams};
use crate::event::{Batch, DEAD};
use crate::limits::{CHUNK_BYTES, POLL_EVENTS, TURN_BYTES, TURN_ROUNDS};
use crate::stream::{
    self,
    sink::{Halt, LEAST_ROOM, Share, Sink},
};
use crate::table::Id;

/// What a turn, or a round of one, did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Sockets that had something to deliver.
    pub sockets: u32,
    /// Datagrams among that: each counts as a socket.
    pub datagrams: u32,
    /// Sockets that it looked at: what it cost.
    pub looked_at: u32,
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

/// What the kernel has told last, and how much of it has been looked at.
#[derive(Debug)]
pub(super) struct Polled {
    events: mio::Events,
    marked: usize,
    under_way: bool,
}

impl Default for Polled {
    fn default() -> Self {
        Self { events: mio::Events::with_capacity(POLL_EVENTS), marked: 0, under_way: false }
    }
}

/// Readiness that is being looked at, and goes back where it came from whatever happens: without its memory the kernel tells
/// nothing any more.
struct Taken<'a> {
    reactor: &'a mut Reactor,
    events: mio::Events,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.reactor.polled.events, &mut self.events);
    }
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
        self.line.is_due() && self.backlog.is_empty()
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
        if !self.deadlines.is_empty() {
            self.meet_deadlines(Instant::now());
        }
        let saturated = asks && self.take_readiness();
        let due = self.line.begin();
        self.course = Course { one_by_one: due <= FEW as usize, saturated, ..Course::default() };
    }

    fn serve(&mut self, mut batch: Option<&mut Batch>, pace: Pace) -> Turn {
        let mut turn = Turn::default();
        self.hand_out(&mut batch);
        let mut interrupted = false;
        while let Some((id, waited)) = self.next(batch.as_deref()) {
            turn.looked_at += 1;
            self.work(id, waited, &mut batch, &mut turn, pace);
            self.hand_out(&mut batch);
            let enough = |batch: &Batch| batch.received() >= CHUNK_BYTES || (self.course.one_by_one && !batch.is_empty());
            if pace == Pace::Round && batch.as_deref().is_some_and(enough) {
                interrupted = true;
                break;
            }
        }
        turn.goes_on = interrupted && self.goes_on() && !turn.starved && !turn.blocked;
        self.course.served += turn.sockets;
        let (blocked, out) = (self.line.has(For::Block), self.blocks.are_out());
        turn.blocked |= blocked && out;
        turn.starved |= self.line.has(For::Room) || (blocked && !out);
        if !turn.goes_on {
            self.line.end();
            self.end_children(&mut turn);
            self.hand_out(&mut batch);
            if pace == Pace::Round {
                self.weigh_direct(self.course.served, self.course.last);
            }
        }
        turn.starved |= !self.backlog.is_empty();
        turn.more = !self.line.is_empty() || turn.starved || self.course.saturated;
        turn
    }

    /// Who is next in the turn: nobody is looked at whom it has nothing to give.
    fn next(&mut self, batch: Option<&Batch>) -> Option<(Id, For)> {
        let batch = batch.filter(|batch| self.backlog.is_empty() && !batch.is_sealed() && batch.has_room());
        let room = batch.map(Batch::room);
        let block = room.is_some() && !self.blocks.are_out();
        self.line.next(|reason| match reason {
            For::Block => block,
            For::Room => room.is_some_and(|room| room >= LEAST_ROOM),
            For::Turn => true,
        })
    }

    /// Takes what the kernel has to tell, without waiting; true if it may have more. An interrupted or failed call
    /// is looked at again by the next turn: the descriptor stays readable.
    fn take_readiness(&mut self) -> bool {
        if self.polled.under_way {
            // A panic cut the last turn short. What the kernel has told by then it does not tell again.
            self.mark_polled(Self::mark);
            return true;
        }
        if self.poll.poll(&mut self.polled.events, Some(Duration::ZERO)).is_err() {
            return true;
        }
        self.polled.marked = 0;
        self.mark_polled(Self::mark);
        self.polled.marked == POLL_EVENTS
    }

    fn mark_polled(&mut self, mark: impl Fn(&mut Self, &Readiness)) {
        self.polled.under_way = true;
        let events = std::mem::replace(&mut self.polled.events, mio::Events::with_capacity(0));
        let taken = Taken { reactor: self, events };
        for readiness in taken.events.iter().skip(taken.reactor.polled.marked) {
            taken.reactor.polled.marked += 1;
            mark(taken.reactor, readiness);
        }
        taken.reactor.polled.under_way = false;
    }

    fn mark(&mut self, readiness: &Readiness) {
        match readiness.token() {
            WAKER => return,
            TIMER => {
                self.deadlines.rung();
                return self.meet_deadlines(Instant::now());
            }
            _ => {}
        }
        let id = id_of(readiness.token());
        let hung_up = readiness.is_read_closed() || readiness.is_error() || readiness.is_write_closed();
        let ends_at_hang_up = self.ends_at_hang_up;
        let mut looks = false;
        match self.entry(id) {
            None | Some(Entry::Vacant) => return,
            Some(Entry::Process(_)) => return self.ended.push(id),
            Some(Entry::Connecting(_)) => looks = true,
            Some(Entry::Listener(listener)) => listener.waits = true,
            Some(Entry::Datagram(socket)) => looks = datagrams::mark(socket, readiness),
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
                if (readiness.is_error() || readiness.is_write_closed()) && !stream.flags.has(stream::PRESSED | stream::LINGERING) {
                    stream.flags.set(stream::PRESSED);
                    self.tell_pressure(id, DEAD);
                }
            }
        }
        if looks {
            self.look_at(id);
        } else {
            self.enqueue(id);
        }
        if readiness.is_writable() && !hung_up {
            self.waste(id);
        }
    }

    fn work(&mut self, id: Id, waited: For, batch: &mut Option<&mut Batch>, turn: &mut Turn, pace: Pace) {
        let Some(slot) = self.slot(id) else { return };
        slot.state.clear(if waited == For::Turn { QUEUED } else { STARVED });
        let in_line = slot.state.has(STARVED);
        match &slot.entry {
            Entry::Vacant | Entry::Process(_) => {}
            Entry::Connecting(_) => self.finish_connecting(id, turn),
            Entry::Listener(_) => self.accept(id, batch, turn, waited),
            Entry::Datagram(_) => self.work_datagram(id, batch, turn, waited, in_line),
            Entry::Stream(_) => self.work_stream(id, waited, in_line, batch, turn, pace),
        }
    }

    /// One stream's share of a turn: read first, as libuv does, so that what the peer said comes before what became of our
    /// writes. Whoever uploads to a server that refuses early gets the refusal. `in_line`: its reading waits for its place.
    fn work_stream(&mut self, id: Id, waited: For, in_line: bool, batch: &mut Option<&mut Batch>, turn: &mut Turn, pace: Pace) {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        let (reads, before) = (stream.reads(), stream.taken);
        let halt = match pace {
            _ if in_line => Halt::Full,
            Pace::Turn => self.read(id, batch, turn, Share { bytes: TURN_BYTES, in_rounds: false }),
            Pace::Round => {
                let halt = self.read(id, batch, turn, Share { bytes: CHUNK_BYTES, in_rounds: true });
                if self.has_another_round(id, halt, turn) {
                    return;
                }
                halt
            }
        };
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        let served = stream.taken != before;
        if stream.wants_to_write(in_line) {
            let tells = match halt {
                Halt::Share | Halt::Full | Halt::NoBlock => Tells::Waits,
                Halt::Drained | Halt::EndWaits if reads => Tells::ByReading,
                Halt::Drained | Halt::EndWaits => Tells::Now,
            };
            self.flush(id, tells);
            turn.sockets += 1;
        }
        match halt {
            Halt::Full if !served && !in_line => self.starve(id, For::Room, waited),
            Halt::NoBlock if !served => self.starve(id, For::Block, waited),
            _ => {}
        }
        self.enqueue(id);
    }

    /// After a chunk of a stream: true if it keeps its place, as the kernel has whole ones of it.
    fn has_another_round(&mut self, id: Id, halt: Halt, turn: &mut Turn) -> bool {
        self.course.last = Some(id);
        if halt != Halt::Share {
            return false;
        }
        self.course.rounds += 1;
        if self.course.rounds >= TURN_ROUNDS {
            // Others first, in the next turn.
            self.line.end();
            return false;
        }
        let Some(slot) = self.slot(id).filter(|slot| !slot.state.has(QUEUED)) else { return false };
        slot.state.set(QUEUED);
        self.line.keep_in_turn(id);
        // It counts when it has been read.
        turn.sockets -= 1;
        true
    }

    /// Reads a stream's share, if JavaScript wants it and the kernel may have something.
    fn read(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn, share: Share) -> Halt {
        let Some(slot) = self.table.get_mut(id.slot as usize) else { return Halt::Drained };
        let Entry::Stream(stream) = &mut slot.entry else { return Halt::Drained };
        if !stream.wants_to_read() {
            // What it waits for is JavaScript: until then there is more, and what is told behind it waits as well.
            let waits = !share.in_rounds && stream.is_held() && stream.flags.has(stream::READABLE) && stream.reads();
            return if waits { Halt::Share } else { Halt::Drained };
        }
        let Some(batch) = batch.as_deref_mut().filter(|batch| self.backlog.is_empty() && !batch.is_sealed()) else {
            turn.starved = true;
            return Halt::Full;
        };
        let mut sink = Sink { id, batch, blocks: &mut self.blocks, share };
        let (halt, count) = if stream.layer.is_none() {
            stream::read::straight(stream, &mut sink)
        } else {
            let before = stream.queued();
            let read = stream::read::through(stream, &mut sink, &mut self.wire);
            // What it read may have an answer.
            self.queued = self.queued - before + stream.queued();
            self.look_after_layer(id);
            read
        };
        self.stats.received += count as u64;
        turn.sockets += 1;
        turn.starved |= halt == Halt::Full || (halt == Halt::EndWaits && !share.in_rounds);
        turn.blocked |= halt == Halt::NoBlock;
        self.stats.read_stalls += u64::from(halt == Halt::Full);
        halt
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::stream::Stream;
    use crate::table::Ids;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_panic_while_readiness_is_looked_at_leaves_nobody_deaf() {
        let ids = Arc::new(Ids::default());
        let (mut reactor, _waker) = Reactor::new(Arc::clone(&ids)).expect("descriptors");
        let mut peers = Vec::new();
        for _ in 0..4 {
            let (ours, mut peer) = UnixStream::pair().expect("a pair");
            let id = ids.allocate();
            reactor.place(id, Entry::Stream(Stream::new(ours.into(), true)));
            reactor.watch(id).expect("memory");
            peer.write_all(b"x").expect("room");
            peers.push((id, peer));
        }
        let seen = AtomicUsize::new(0);
        reactor.poll.poll(&mut reactor.polled.events, Some(Duration::ZERO)).expect("four");
        let planted = catch_unwind(AssertUnwindSafe(|| {
            reactor.mark_polled(|_, _| assert!(seen.fetch_add(1, Ordering::Relaxed) < 1, "planted at the second"));
        }));
        assert!(planted.is_err());
        let told = |reactor: &mut Reactor| {
            peers.iter().filter(|(id, _)| matches!(reactor.entry(*id), Some(Entry::Stream(stream)) if stream.flags.has(stream::READABLE))).count()
        };
        reactor.turn(None);
        assert_eq!(told(&mut reactor), 2, "those behind the one that panicked are looked at");
        for (_, peer) in &peers {
            (&*peer).write_all(b"x").expect("room");
        }
        let turn = reactor.turn(None);
        assert_eq!((told(&mut reactor), turn.more), (4, false), "and the kernel is asked on");
    }
}
