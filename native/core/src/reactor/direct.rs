//! Streams that the loop watches itself while the inline driver has the seat: the few that talk all the time.
//!
//! The reactor's descriptor stands for all its sockets, and to ask it which of them are ready costs every turn a call of its
//! own. A turn that serves many makes up for that, one that serves a single stream cannot. So a stream that is alone in turn
//! after turn leaves the readiness set and is watched by the loop directly, for bytes and nothing else. Whatever else
//! happens to it (its end, a full buffer, nobody who reads) and whatever happens around it (the seat passes, turns serve
//! many) brings it back into the set, which tells everything there is to tell about it from the beginning.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{DIRECT, Entry, REGISTERED, Reactor};
use crate::event::Op;
use crate::limits::{DIRECT_AFTER, DIRECT_STREAMS};
use crate::stream;
use crate::sys;
use crate::table::Id;

/// Sockets in a turn, up to which it is one of those that direct streams are made for, and whose sockets are rounds of their own.
pub(super) const FEW: u32 = 2;

/// The loop, as direct streams see it. Called on the thread that runs the inline driver, and only while that has the seat.
pub trait Watch: Send + fmt::Debug {
    /// Watches a descriptor for bytes, level-triggered; false if that cannot be.
    fn watch(&self, place: usize, fd: RawFd) -> bool;
    /// Stops, before the descriptor is closed.
    fn forget(&self, place: usize);
}

#[derive(Clone, Copy, Debug)]
struct Place {
    id: Id,
    /// Turns of others since it was heard of.
    unheard: u32,
}

/// What turns looked like, and who is watched directly.
#[derive(Debug, Default)]
pub(super) struct Direct {
    watch: Option<Box<dyn Watch>>,
    places: [Option<Place>; DIRECT_STREAMS],
    /// Who was alone in a turn, and how often more than others: whoever is so most of the time comes out on top.
    candidates: [(Option<Id>, u32); DIRECT_STREAMS],
    /// Turns in a row that served few.
    few: u32,
    /// How many of those, and turns of its own, it takes.
    after: u32,
}

impl Direct {
    fn place_of(&self, id: Id) -> Option<usize> {
        self.places.iter().position(|place| place.is_some_and(|place| place.id == id))
    }

    /// Counts a turn that this stream had for itself; true once it had enough of them.
    fn count(&mut self, id: Id) -> bool {
        let known = self.candidates.iter().position(|(candidate, _)| *candidate == Some(id));
        let Some(at) = known.or_else(|| self.candidates.iter().position(|(_, count)| *count == 0)) else {
            for (_, count) in &mut self.candidates {
                *count -= 1;
            }
            return false;
        };
        let count = if known.is_some() { self.candidates[at].1 + 1 } else { 1 };
        self.candidates[at] = (Some(id), count);
        count >= self.after
    }

    /// A place for another stream: a free one, or that of one not heard of for long, which leaves it.
    fn room(&self) -> Option<usize> {
        self.places.iter().position(|place| place.is_none_or(|place| place.unheard >= self.after * 2))
    }
}

impl Reactor {
    /// Gives the inline driver's loop to the reactor, which without one watches everything itself. `eager`: as soon as it can be,
    /// to find what depends on it.
    pub fn watch_with(&mut self, watch: Box<dyn Watch>, eager: bool) {
        self.direct.watch = Some(watch);
        self.direct.after = if eager { 1 } else { DIRECT_AFTER };
    }

    /// The loop has heard of a direct stream: of bytes, or (`over`) of anything else. True when there is nothing to do but
    /// to read it: the turn that follows need not ask the kernel.
    pub fn heard(&mut self, place: usize, over: bool) -> bool {
        let Some(Place { id, unheard }) = self.direct.places.get_mut(place).and_then(Option::as_mut) else { return false };
        let id = *id;
        *unheard = 0;
        let Some(Entry::Stream(stream)) = self.entry(id) else { return false };
        if over || !stream.flags.has_only(stream::READING | stream::ENDED, stream::READING) {
            self.take_back(id);
            return false;
        }
        stream.flags.set(stream::READABLE);
        self.enqueue(id);
        self.stats.direct_turns += 1;
        self.line.len() == 1
    }

    /// An inline turn has ended that served so many sockets, this one last.
    pub(super) fn weigh_direct(&mut self, served: u32, last: Option<Id>) {
        if self.direct.watch.is_none() || served == 0 {
            return;
        }
        if served > FEW {
            self.direct.few = 0;
            self.direct.candidates = Default::default();
            return self.take_all_back();
        }
        self.direct.few = self.direct.few.saturating_add(1);
        for place in self.direct.places.iter_mut().flatten() {
            place.unheard = place.unheard.saturating_add(1);
        }
        if let Some(id) = last
            && self.direct.count(id)
            && self.direct.few >= self.direct.after
        {
            self.direct.candidates = Default::default();
            self.make_direct(id);
        }
    }

    fn make_direct(&mut self, id: Id) {
        let Some(at) = self.direct.room() else { return };
        let Some(slot) = self.slot(id) else { return };
        let Entry::Stream(stream) = &slot.entry else { return };
        // Nothing is left to read, nothing waits to be written, and the peer is there.
        let of = stream::READING | stream::READABLE | stream::HUNG_UP | stream::ENDED | stream::LINGERING | stream::HELD;
        if !slot.state.has(REGISTERED) || !stream.flags.has_only(of, stream::READING) || stream.is_leaving() {
            return;
        }
        // The loop tells of what the kernel has; what a layer has comes to nobody's mind but ours.
        if stream.layer.as_ref().is_some_and(|layered| !layered.is_idle()) {
            return;
        }
        let fd = stream.fd.as_raw_fd();
        // The loop tells of a peer that is gone together with its last bytes only where that has an event of its own.
        if sys::option(stream.fd.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE).is_err() || !self.unwatch(id) {
            return;
        }
        if let Some(before) = self.direct.places[at].map(|place| place.id) {
            self.take_back(before);
        }
        self.direct.places[at] = Some(Place { id, unheard: 0 });
        if let Some(slot) = self.slot(id) {
            slot.state.set(DIRECT);
        }
        if !self.direct.watch.as_ref().is_some_and(|watch| watch.watch(at, fd)) {
            self.direct.places[at] = None;
            self.take_back(id);
        }
    }

    /// Ends the loop's watch over a stream, which is about to close or to come back; false if there was none.
    pub(super) fn forget_direct(&mut self, id: Id) {
        if let Some(slot) = self.slot(id) {
            slot.state.clear(DIRECT);
        }
        if let Some(place) = self.direct.place_of(id) {
            self.direct.places[place] = None;
            if let Some(watch) = &self.direct.watch {
                watch.forget(place);
            }
        }
    }

    /// Puts a stream back into the readiness set, which tells at once what there is to tell.
    pub(super) fn take_back(&mut self, id: Id) {
        if let Err(errno) = self.watch(id) {
            self.tell(Op::ReadEnd, id, errno);
        }
    }

    /// Puts all of them back: another driver is going to run turns, or turns serve many.
    pub fn take_all_back(&mut self) {
        for at in 0..DIRECT_STREAMS {
            if let Some(place) = self.direct.places[at] {
                self.take_back(place.id);
            }
        }
    }

    /// Ends every watch: the streams are about to close.
    pub(super) fn forget_all(&mut self) {
        for at in 0..DIRECT_STREAMS {
            if let Some(place) = self.direct.places[at] {
                self.forget_direct(place.id);
            }
        }
    }
}
