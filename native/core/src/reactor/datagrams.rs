//! Datagram sockets among the reactor's: readiness, turns, and sending what one hand-over brought at its end.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::{Entry, Reactor, Turn, token};
use crate::command::NOTIFY;
use crate::dgram::send::Flushed;
use crate::dgram::{self, Datagram};
use crate::event::{Batch, Event, Op};
use crate::limits::{CLOSE_FLUSH_MS, GATHER_AFTER, GATHER_ALONE_MS, GATHER_FROM};
use crate::sys::datagram::{Receiver, dropped};
use crate::sys::{self, Errno};
use crate::table::Id;

/// What the datagram sockets of an environment share.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// Made by the first message.
    receiver: Option<Box<Receiver>>,
    /// Weight of what waits for JavaScript in all sockets.
    waiting: usize,
    /// Sockets to which the commands under way have added messages.
    filled: Vec<Id>,
    /// Turns in which datagrams came fast, as [`GATHER_AFTER`] counts them.
    fast_turns: u32,
    /// When something else was served last: whoever asked over a connection waits for an answer, and will ask again.
    others_at: Option<Instant>,
}

/// What there is of datagrams now, beside the counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// Sockets.
    pub open: usize,
    /// Messages that wait for JavaScript.
    pub arrived: usize,
    /// Bytes that wait for the kernel.
    pub outbound: usize,
    /// Messages that the kernel dropped at these sockets.
    pub dropped: u64,
}

/// Remembers readiness; true if the socket is to be put into the queue.
pub(super) fn mark(socket: &mut Datagram, readiness: &Readiness) -> bool {
    if readiness.is_readable() || readiness.is_error() {
        socket.flags.set(dgram::READABLE);
    }
    if readiness.is_error() {
        socket.flags.set(dgram::ERRED);
    }
    if readiness.is_writable() || readiness.is_error() {
        socket.flags.set(dgram::WRITABLE);
    }
    let due = socket.wants_turn() && !socket.flags.has(dgram::QUEUED);
    if due {
        socket.flags.set(dgram::QUEUED);
    }
    due
}

impl Reactor {
    fn datagram(&mut self, id: Id) -> Option<&mut Datagram> {
        match self.entry(id) {
            Some(Entry::Datagram(socket)) => Some(socket),
            _ => None,
        }
    }

    /// Registers for what matters now. A socket that only sends is watched while its buffer is full, no longer: every
    /// message that leaves the machine would be an edge.
    fn watch_datagram(&mut self, id: Id, writing: bool) -> Result<(), Errno> {
        let Some(socket) = self.datagram(id) else { return Ok(()) };
        let known = socket.flags.has(dgram::REGISTERED);
        if known && socket.flags.has(dgram::WATCHES_WRITING) == writing {
            return Ok(());
        }
        let fd = socket.fd.as_raw_fd();
        let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let (registry, token): (_, Token) = (self.poll.registry(), token(id));
        let result = if known { registry.reregister(&mut SourceFd(&fd), token, interest) } else { registry.register(&mut SourceFd(&fd), token, interest) };
        result.map_err(|error| sys::errno_of(&error))?;
        if let Some(socket) = self.datagram(id) {
            socket.flags.set(dgram::REGISTERED | if writing { dgram::WATCHES_WRITING } else { 0 });
            if !writing {
                socket.flags.clear(dgram::WATCHES_WRITING);
            }
        }
        Ok(())
    }

    pub(super) fn receive_start(&mut self, id: Id) {
        let Some(socket) = self.datagram(id) else { return };
        socket.flags.set(dgram::RECEIVING);
        let writing = socket.flags.has(dgram::WATCHES_WRITING);
        match self.watch_datagram(id, writing) {
            Ok(()) => self.enqueue_datagram(id),
            Err(errno) => self.backlog.push_back(Event::new(Op::DatagramError, id, errno)),
        }
    }

    fn enqueue_datagram(&mut self, id: Id) {
        if let Some(socket) = self.datagram(id)
            && socket.wants_turn()
            && !socket.flags.has(dgram::QUEUED)
        {
            socket.flags.set(dgram::QUEUED);
            self.ready.push_back(id);
        }
    }

    /// One socket's share of a turn.
    pub(super) fn work_datagram(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn) {
        let Some(socket) = self.datagram(id) else { return };
        socket.flags.clear(dgram::QUEUED);
        if socket.flags.has(dgram::WRITABLE) && !socket.outbound.is_empty() {
            self.flush_datagram(id);
            turn.sockets += 1;
        }
        self.receive(id, batch, turn);
        self.enqueue_datagram(id);
    }

    fn receive(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn) {
        let Some(slot) = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation) else { return };
        let Entry::Datagram(socket) = &mut slot.entry else { return };
        if !socket.wants_to_deliver() {
            return;
        }
        // Events that wait for room go first.
        let into = if self.backlog.is_empty() { batch.as_deref_mut() } else { None };
        let receiver = self.datagrams.receiver.get_or_insert_with(Box::default);
        let done = dgram::receive::receive(socket, id, into, receiver, &mut self.datagrams.waiting);
        self.stats.datagrams_received += u64::from(done.messages);
        self.stats.received += done.bytes as u64;
        turn.sockets += done.messages.max(done.delivered);
        turn.datagrams += done.messages.max(done.delivered);
        turn.starved |= done.starved;
    }

    /// The descriptor goes to another process too: what the kernel does for us alone ends.
    pub(super) fn share_datagram(&mut self, id: Id) {
        let Some(slot) = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation) else { return };
        let Entry::Datagram(socket) = &mut slot.entry else { return };
        let before = socket.arrived.weight();
        let receiver = self.datagrams.receiver.get_or_insert_with(Box::default);
        dgram::receive::stop_joining(socket, receiver);
        socket.flags.set(dgram::SHARED);
        self.datagrams.waiting += socket.arrived.weight() - before;
        self.enqueue_datagram(id);
    }

    /// After a turn of the offload driver: whether datagrams come so fast, and nothing else, that it should let the next ones
    /// gather for a moment. `asked` says that JavaScript asked for something: then it may wait for an answer.
    pub(crate) fn gathers(&mut self, turn: &Turn, asked: bool) -> bool {
        let alone = turn.datagrams == turn.sockets;
        let fast = !asked && alone && turn.datagrams >= GATHER_FROM;
        let turns = self.datagrams.fast_turns;
        self.datagrams.fast_turns = if fast { (turns + 1).min(GATHER_AFTER * 2) } else { turns.saturating_sub(4) };
        if !alone {
            self.datagrams.others_at = Some(Instant::now());
        }
        self.datagrams.fast_turns >= GATHER_AFTER && self.datagrams.others_at.is_none_or(|at| at.elapsed() >= Duration::from_millis(GATHER_ALONE_MS))
    }

    /// Adds a message; it is sent at the end of the hand-over.
    pub(super) fn queue_datagram(&mut self, id: Id, peer: Option<SocketAddr>, bytes: &[u8], flags: i32) {
        let Some(socket) = self.datagram(id) else { return };
        socket.outbound.push(peer, bytes, flags & NOTIFY != 0);
        if self.datagrams.filled.last() != Some(&id) {
            self.datagrams.filled.push(id);
        }
    }

    /// The end of a hand-over: whatever it brought leaves.
    pub(super) fn send_datagrams(&mut self) {
        if self.datagrams.filled.is_empty() {
            return;
        }
        let mut filled = std::mem::take(&mut self.datagrams.filled);
        for id in filled.drain(..) {
            if self.datagram(id).is_some_and(|socket| socket.flags.has(dgram::WRITABLE)) {
                self.flush_datagram(id);
            }
        }
        self.datagrams.filled = filled;
    }

    fn flush_datagram(&mut self, id: Id) {
        let Some(socket) = self.datagram(id) else { return };
        let mut flushed = Flushed::default();
        dgram::send::flush(socket, &mut flushed);
        let waits = !socket.outbound.is_empty();
        let turns = waits != socket.flags.has(dgram::PRESSED);
        if waits {
            socket.flags.set(dgram::PRESSED);
        } else {
            socket.flags.clear(dgram::PRESSED);
        }
        let watching = socket.flags.has(dgram::WATCHES_WRITING);
        self.tell_flushed(id, &flushed);
        if waits != watching && self.watch_datagram(id, waits).is_err() && waits {
            // Nobody would tell when the kernel takes more: try in every turn instead.
            if let Some(socket) = self.datagram(id) {
                socket.flags.set(dgram::WRITABLE);
            }
            self.enqueue_datagram(id);
        }
        if turns {
            self.backlog.push_back(Event::new(Op::SendPressure, id, i32::from(waits)));
        }
    }

    pub(super) fn tell_flushed(&mut self, id: Id, flushed: &Flushed) {
        self.stats.datagrams_sent += flushed.sent;
        self.stats.sent += flushed.bytes;
        self.stats.datagrams_failed += flushed.failures;
        for errno in &flushed.told {
            self.backlog.push_back(Event::new(Op::SendDone, id, *errno));
        }
        if flushed.failure != 0 {
            self.backlog.push_back(Event::new(Op::SendFailed, id, flushed.failure));
        }
    }

    /// JavaScript lets go of a socket; always true, it can be closed now.
    pub(super) fn finish_datagram(&mut self, id: Id) -> bool {
        let deadline = Instant::now() + Duration::from_millis(CLOSE_FLUSH_MS);
        let Some(socket) = self.datagram(id) else { return true };
        let mut flushed = Flushed::default();
        let left = dgram::send::finish(socket, deadline, &mut flushed);
        self.stats.datagrams_sent += flushed.sent;
        self.stats.sent += flushed.bytes;
        self.stats.datagrams_failed += flushed.failures + left as u64;
        true
    }

    /// What of a socket outlives it.
    pub(super) fn forget_datagram(&mut self, socket: Datagram) -> OwnedFd {
        self.datagrams.waiting = self.datagrams.waiting.saturating_sub(socket.arrived.weight());
        self.stats.datagrams_dropped += u64::from(dropped(socket.fd.as_fd()));
        socket.fd
    }

    /// What there is of datagrams now.
    #[must_use]
    pub fn datagrams_waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for slot in &self.table {
            let Entry::Datagram(socket) = &slot.entry else { continue };
            waiting.open += 1;
            waiting.arrived += socket.arrived.len();
            waiting.outbound += socket.outbound.bytes();
            waiting.dropped += u64::from(dropped(socket.fd.as_fd()));
        }
        waiting
    }
}
