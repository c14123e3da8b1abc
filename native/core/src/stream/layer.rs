//! What may lie between the bytes that JavaScript reads and writes and those on the wire.
//!
//! A stream without a layer is its own wire: its bytes go through the batch or a lent block, and from JavaScript's memory to the
//! kernel, without anybody in between. With one they take a turn: what the source brings is opened, and what lies ready then goes
//! into the sink; requests are sealed, late, and what is sealed leaves by the outlet.

use std::fmt;

use super::outlet::Outlet;
use super::requests::Requests;
use crate::event::UV_EOF;
use crate::sys::Errno;

/// See the module. It does no input or output of its own. `out` is where it puts what must reach the peer: what is in there
/// leaves, in that order, and is never dropped while there is a connection.
pub trait Layer: Send + fmt::Debug {
    /// The first to be called. What is to be said before anything is heard.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Takes all of these bytes of the peer's, in whose place it may work. What they mean lies ready from then on; what they ask
    /// for goes out.
    ///
    /// # Errors
    /// Why nothing can be read or written any more. What lies ready is read, and what is in `out` leaves, all the same.
    fn open(&mut self, wire: &mut [u8], out: &mut Vec<u8>) -> Result<(), Errno>;

    /// Bytes that lie ready. No more is opened while there are any, so there are never more than one read brought.
    fn ready(&self) -> usize;

    /// Moves bytes that lie ready, as many as fit; how many.
    fn take(&mut self, into: &mut [u8]) -> usize;

    /// True once the peer has said that nothing follows what lies ready.
    fn is_over(&self) -> bool;

    /// What the end of the wire means behind what lies ready, where the peer has not announced it: `UV_EOF`, or an error.
    fn cut_short(&self) -> Errno {
        UV_EOF
    }

    /// True once it can seal. What is asked for sooner waits.
    fn seals(&self) -> bool;

    /// Seals bytes, which lie in pieces.
    fn seal(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>);

    /// Says that nothing follows. Nothing is sealed after this.
    fn say_last(&mut self, out: &mut Vec<u8>);

    /// True when it cannot go on before some work is done that is long by nature and belongs to no turn.
    fn has_work(&self) -> bool {
        false
    }

    /// That work, on a thread of the pool's. Where there is none to have, on the one that turns.
    ///
    /// # Errors
    /// As [`Layer::open`].
    fn work(&mut self, _out: &mut Vec<u8>) -> Result<(), Errno> {
        Ok(())
    }
}

/// A layer that comes back from its work, what it has to say, and what came of it.
#[derive(Debug)]
pub struct Worked {
    pub(crate) layer: Box<dyn Layer>,
    pub(crate) out: Vec<u8>,
    pub(crate) outcome: Result<(), Errno>,
}

/// How a layer stands to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing is to be done.
    None,
    /// It waits for its place among the jobs.
    Waits,
    /// It is away.
    UnderWay,
}

/// A stream's layer, as the stream has it.
#[derive(Debug)]
pub(crate) struct Layered {
    /// None while it is away: a layer is at exactly one place.
    layer: Option<Box<dyn Layer>>,
    pub(crate) work: Work,
    pub(crate) outlet: Outlet,
    /// The bytes of the last read were all that the kernel had.
    pub(crate) emptied: bool,
    said_last: bool,
    /// Why the layer cannot go on; 0 while it can.
    broken: Errno,
    /// The stream has been told of that.
    given_up: bool,
}

impl Layered {
    pub(crate) fn new(mut layer: Box<dyn Layer>) -> Self {
        let mut outlet = Outlet::default();
        outlet.take_own(|out| layer.begin(out));
        Self { layer: Some(layer), work: Work::None, outlet, emptied: false, said_last: false, broken: 0, given_up: false }
    }

    /// The layer, unless it is away or about to be.
    fn at_home(&self) -> Option<&dyn Layer> {
        self.layer.as_deref().filter(|layer| self.work == Work::None && !layer.has_work())
    }

    fn at_home_mut(&mut self) -> Option<&mut dyn Layer> {
        let free = self.at_home().is_some();
        self.layer.as_deref_mut().filter(|_| free).map(|layer| layer as &mut dyn Layer)
    }

    // What every look at a stream asks: out of the way of those that have no layer.

    /// True when the next flush has something to send: what is sealed, what can be, or a failure to tell of.
    #[inline(never)]
    pub(crate) fn has_to_send(&self, queue: Option<&Requests>, failed: bool) -> bool {
        self.outlet.is_due() || queue.is_some_and(|queue| self.can_seal(queue) || ((failed || self.broken != 0) && queue.is_due()))
    }

    /// True while requests wait for the layer and not for the kernel.
    #[inline(never)]
    pub(crate) fn keeps_waiting(&self, queue: Option<&Requests>) -> bool {
        queue.is_some_and(|queue| queue.is_due() && !self.can_seal(queue))
    }

    /// True when there is something to tell, or to do, without waiting for the kernel; or with what the kernel has.
    #[inline(never)]
    pub(crate) fn has_to_read(&self, readable: bool) -> bool {
        let wants = |layer: &dyn Layer| layer.ready() > 0 || layer.is_over() || (readable && !self.outlet.is_provoked());
        self.broken != 0 || self.at_home().is_some_and(wants)
    }

    /// True while nothing but the wire can bring anything.
    pub(crate) fn is_idle(&self) -> bool {
        !self.outlet.is_due() && self.at_home().is_some_and(|layer| layer.ready() == 0 && !layer.is_over() && self.broken == 0)
    }

    /// Bytes that lie ready.
    pub(crate) fn ready(&self) -> usize {
        self.at_home().map_or(0, Layer::ready)
    }

    /// Moves bytes that lie ready.
    pub(crate) fn take(&mut self, into: &mut [u8]) -> usize {
        self.at_home_mut().map_or(0, |layer| layer.take(into))
    }

    /// What is to be told behind what lies ready, if there is such a thing.
    pub(crate) fn end(&self) -> Option<Errno> {
        if self.broken != 0 {
            return Some(self.broken);
        }
        self.at_home().is_some_and(Layer::is_over).then_some(UV_EOF)
    }

    /// What the end of the wire means.
    pub(crate) fn cut_short(&self) -> Errno {
        self.at_home().map_or(UV_EOF, Layer::cut_short)
    }

    /// Bytes from the wire.
    pub(crate) fn open(&mut self, wire: &mut [u8]) {
        let Some(layer) = self.layer.as_deref_mut() else { return };
        let opened = if self.said_last {
            // It has said its last.
            layer.open(wire, &mut Vec::new())
        } else {
            self.outlet.take_own(|out| layer.open(wire, out))
        };
        if let Err(errno) = opened {
            self.broken = errno;
        }
    }

    /// True when it could seal, were it asked to.
    fn is_sealing(&self) -> bool {
        !self.said_last && self.broken == 0 && self.at_home().is_some_and(Layer::seals)
    }

    /// True when there is a request that can be sealed.
    pub(crate) fn can_seal(&self, queue: &Requests) -> bool {
        queue.is_due() && self.is_sealing()
    }

    /// Seals what came just now, unless it has to wait or is more than is sealed ahead: then false.
    pub(crate) fn seal_at_once(&mut self, bytes: &[u8], notify: bool) -> bool {
        if !self.is_sealing() || bytes.len() > self.outlet.room() {
            return false;
        }
        if let Some(layer) = self.layer.as_deref_mut() {
            self.outlet.take(u32::from(notify), |out| {
                if !bytes.is_empty() {
                    layer.seal(&[bytes], out);
                }
            });
        }
        true
    }

    /// Seals requests as far ahead of the kernel as it should be. What was lent for them is free then.
    pub(crate) fn seal_ahead(&mut self, queue: &mut Requests) {
        while self.can_seal(queue) && self.outlet.room() > 0 {
            let Some(layer) = self.layer.as_deref_mut() else { return };
            let (mut total, room) = (0, self.outlet.room());
            let pieces: Vec<&[u8]> = queue
                .front()
                .map_while(|piece| {
                    let some = &piece[..piece.len().min(room - total)];
                    total += some.len();
                    (piece.is_empty() || !some.is_empty()).then_some(some)
                })
                .collect();
            // The requests end with what is sealed here, and it is known how many once they have advanced.
            let sealed = |out: &mut Vec<u8>| {
                if total > 0 {
                    layer.seal(&pieces, out);
                }
            };
            self.outlet.take(0, sealed);
            let ended = queue.advance(total);
            self.outlet.take(ended, |_| ());
        }
    }

    /// What waited before there was a layer leaves as it is.
    pub(crate) fn adopt(&mut self, queue: &mut Requests) {
        let mut plain = Outlet::default();
        while queue.is_due() {
            let pieces: Vec<u8> = queue.front().flatten().copied().collect();
            let ended = queue.advance(pieces.len());
            plain.take(ended, |out| out.extend(pieces));
        }
        let first = std::mem::replace(&mut self.outlet, plain);
        self.outlet.take_own(|out| out.extend(first.into_waiting()));
    }

    pub(crate) fn has_said_last(&self) -> bool {
        self.said_last
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken != 0
    }

    /// Why the layer cannot go on, the first time that it is asked about.
    pub(crate) fn breaks(&mut self) -> Option<Errno> {
        if self.broken == 0 || std::mem::replace(&mut self.given_up, true) {
            return None;
        }
        Some(self.broken)
    }

    /// Has the layer say its last, once. False while it is away.
    pub(crate) fn say_last(&mut self) -> bool {
        if self.said_last || self.broken != 0 {
            return true;
        }
        let Some(layer) = self.layer.as_deref_mut().filter(|_| self.work != Work::UnderWay) else { return false };
        self.outlet.take_own(|out| layer.say_last(out));
        self.said_last = true;
        true
    }

    /// True when it has work to do for which it has no place yet.
    pub(crate) fn wants_work(&self) -> bool {
        self.work == Work::None && self.broken == 0 && self.layer.as_deref().is_some_and(Layer::has_work)
    }

    /// The layer leaves for its work.
    pub(crate) fn leave(&mut self) -> Option<Box<dyn Layer>> {
        self.work = Work::UnderWay;
        self.layer.take()
    }

    /// The layer is back; or not, as its work went wrong.
    pub(crate) fn come_back(&mut self, worked: Option<Worked>) {
        self.work = Work::None;
        match worked {
            Some(Worked { layer, out, outcome }) => {
                self.layer = Some(layer);
                self.broken = outcome.err().unwrap_or(0);
                if !self.said_last {
                    self.outlet.take_own(|into| into.extend(out));
                }
            }
            // As of an exception in code that is not the peer's.
            None => self.broken = -libc::EIO,
        }
    }
}
