//! Connections that wait at a listener: accepted ahead for JavaScript or, where another process accepts from the same
//! listener, only once JavaScript is there to serve them. A busy process would keep from the others what they could
//! serve, and a listener that is closed here goes on there.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::line::For;
use super::{Entry, Reactor, Turn};
use crate::event::{Batch, Event, Op, WAITS};
use crate::limits::TURN_ACCEPTS;
use crate::net::listen::{self, Accepting};
use crate::stream::Stream;
use crate::sys::{self, Errno};
use crate::table::Id;

impl Reactor {
    pub(super) fn accept(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn, waited: For) {
        if self.leave_to_javascript(id, turn) {
            return;
        }
        let Some(into) = batch.as_deref_mut().filter(|batch| self.backlog.is_empty() && batch.has_room() && !batch.is_sealed()) else {
            turn.starved = true;
            return self.starve(id, For::Room, waited);
        };
        let Entry::Listener(listener) = &mut self.table[id.slot as usize].entry else { return };
        let local = listener.local;
        let ids = &self.ids;
        let mut accepted = Vec::new();
        let most = self.admission.share();
        let outcome = listen::accept(listener, &mut self.reserve, most, |fd| {
            let new = ids.allocate();
            into.push(Event { op: Op::Accept, id, a: new.slot.cast_signed(), b: new.generation.cast_signed(), c: fd.as_raw_fd() });
            accepted.push((new, fd));
            into.has_room()
        });
        listener.waits = outcome.leaves_some();
        turn.sockets += 1;
        self.stats.accepted += accepted.len() as u64;
        for (new, fd) in accepted {
            self.place(new, Entry::Stream(Stream::new(fd, local)));
        }
        match outcome {
            Accepting::Drained | Accepting::More => {}
            Accepting::Shed { count, .. } => self.stats.shed += count,
            // As libuv: JavaScript does not hear of it, and the next turn tries again, since whoever waits is still there
            // and brings no new edge.
            Accepting::Failed => self.stats.accept_failures += 1,
        }
        self.enqueue(id);
    }

    /// A shared listener is ready: JavaScript is told, unless it knows. False if the listener is not shared.
    fn leave_to_javascript(&mut self, id: Id, turn: &mut Turn) -> bool {
        let Some(Entry::Listener(listener)) = self.entry(id).filter(|entry| matches!(entry, Entry::Listener(listener) if listener.shared)) else {
            return false;
        };
        listener.waits = false;
        if std::mem::replace(&mut listener.told, true) {
            listener.more = true;
            return true;
        }
        turn.sockets += 1;
        self.backlog.push_back(Event { op: Op::Accept, id, a: 0, b: 0, c: WAITS });
        true
    }

    /// JavaScript has looked at a shared listener.
    pub(super) fn tell_again(&mut self, id: Id) {
        let Some(Entry::Listener(listener)) = self.entry(id) else { return };
        listener.told = false;
        listener.waits |= std::mem::take(&mut listener.more);
        self.enqueue(id);
    }

    /// JavaScript takes one connection of a shared listener: its id and descriptor.
    ///
    /// # Errors
    /// `EAGAIN` when nobody waits, `EBADF` when there is no such listener.
    pub fn accept_one(&mut self, id: Id) -> Result<(Id, RawFd), Errno> {
        let Some(slot) = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation) else { return Err(-libc::EBADF) };
        let Entry::Listener(listener) = &mut slot.entry else { return Err(-libc::EBADF) };
        let mut accepted = None;
        let outcome = listen::accept(listener, &mut self.reserve, TURN_ACCEPTS, |fd| {
            accepted = Some(fd);
            false
        });
        listener.more = outcome.leaves_some();
        match outcome {
            Accepting::Shed { count, .. } => self.stats.shed += count,
            Accepting::Failed => self.stats.accept_failures += 1,
            Accepting::Drained | Accepting::More => {}
        }
        let local = listener.local;
        let Some(fd) = accepted else { return Err(-libc::EAGAIN) };
        let (new, number) = (self.ids.allocate(), fd.as_raw_fd());
        self.stats.accepted += 1;
        self.place(new, Entry::Stream(Stream::new(fd, local)));
        Ok((new, number))
    }

    /// A second descriptor, out of the reserve if need be.
    ///
    /// # Errors
    /// As [`crate::sys::duplicate`].
    pub fn duplicate(&mut self, fd: RawFd) -> Result<OwnedFd, Errno> {
        self.reserve.duplicate(fd)
    }

    /// Whether a stream has anything that JavaScript has not been told of, having been given `heard` bytes (as at `close`): bytes
    /// that were taken ahead, or bytes, the end or an error that lie in the kernel.
    #[must_use]
    pub fn has_pending(&mut self, id: Id, heard: u32) -> bool {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return false };
        let ready = stream.layer.as_ref().is_some_and(|layered| layered.ready() > 0);
        stream.taken != heard || ready || sys::is_readable(stream.fd.as_fd())
    }

    /// Whether bytes, or the end, of a stream have been taken from the kernel.
    #[must_use]
    pub fn has_read(&mut self, id: Id) -> bool {
        matches!(self.entry(id), Some(Entry::Stream(stream)) if stream.flags.has(crate::stream::TAKEN))
    }
}
