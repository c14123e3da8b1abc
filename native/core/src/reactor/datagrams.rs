//! Datagram sockets among the reactor's: readiness, turns, and sending what one hand-over brought at its end.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;

use super::deadlines::Due;
use super::line::For;
use super::{Entry, Reactor, Turn};
use crate::command::NOTIFY;
use crate::dgram::send::Flushed;
use crate::dgram::{self, Datagram};
use crate::event::{Batch, Op};
use crate::limits::{GATHER_AFTER, GATHER_ALONE_MS, GATHER_FROM, SEND_RETRY_MS};
use crate::sys::datagram::{Receiver, dropped};
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

/// Remembers readiness; true if a turn looks at the socket though what it has finds no room: it has a queue of its own.
pub(super) fn mark(socket: &mut Datagram, readiness: &Readiness) -> bool {
    let readable = readiness.is_readable() || readiness.is_error();
    if readable {
        socket.flags.set(dgram::READABLE);
    }
    if readiness.is_error() {
        socket.flags.set(dgram::ERRED);
    }
    if readiness.is_writable() || readiness.is_error() {
        socket.flags.set(dgram::WRITABLE);
    }
    readable && socket.flags.has(dgram::RECEIVING)
}

impl Reactor {
    fn datagram(&mut self, id: Id) -> Option<&mut Datagram> {
        match self.entry(id) {
            Some(Entry::Datagram(socket)) => Some(socket),
            _ => None,
        }
    }

    pub(super) fn receive_start(&mut self, id: Id) {
        let Some(socket) = self.datagram(id) else { return };
        socket.flags.set(dgram::RECEIVING);
        match self.watch(id) {
            Ok(()) => self.enqueue(id),
            Err(errno) => self.tell(Op::DatagramError, id, errno),
        }
    }

    /// One socket's share of a turn. `in_line` says that others wait for room before it: then it fills its own queue alone.
    pub(super) fn work_datagram(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn, waited: For, in_line: bool) {
        let Some(socket) = self.datagram(id) else { return };
        if socket.wants_to_send() {
            self.flush_datagram(id);
            turn.sockets += 1;
            self.hand_out(batch);
        }
        let mut none = None;
        if self.receive(id, if in_line { &mut none } else { batch }, turn) {
            self.starve(id, For::Room, waited);
        }
        self.enqueue(id);
    }

    /// True if there is more to deliver and there was room for nothing of it.
    fn receive(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn) -> bool {
        let Some(slot) = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation) else { return false };
        let Entry::Datagram(socket) = &mut slot.entry else { return false };
        if !socket.wants_to_deliver() {
            return false;
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
        done.starved && done.delivered == 0
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
        self.enqueue(id);
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
        let Some(socket) = self.datagram(id) else {
            if flags & NOTIFY != 0 {
                self.tell(Op::SendDone, id, -libc::EBADF);
            }
            return;
        };
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

    pub(super) fn flush_datagram(&mut self, id: Id) {
        let Some(socket) = self.datagram(id) else { return };
        let mut flushed = Flushed::default();
        dgram::send::flush(socket, &mut flushed);
        self.after_flush_of_datagrams(id, &flushed);
    }

    fn after_flush_of_datagrams(&mut self, id: Id, flushed: &Flushed) {
        let Some(socket) = self.datagram(id) else { return };
        let (waits, lingers) = (!socket.outbound.is_empty(), socket.flags.has(dgram::LINGERING));
        let turns = waits != socket.flags.has(dgram::PRESSED);
        if waits {
            socket.flags.set(dgram::PRESSED);
        } else {
            socket.flags.clear(dgram::PRESSED);
        }
        self.count_flushed(flushed);
        if lingers {
            if !waits {
                return self.remove(id);
            }
        } else {
            self.tell_flushed(id, flushed);
        }
        if flushed.refused {
            let at = Instant::now() + Duration::from_millis(SEND_RETRY_MS);
            self.deadlines.set(id, Due::Retry, at, self.poll.registry());
        } else if waits && self.watch(id).is_err() {
            // Nobody would tell when the kernel takes more: try in every turn instead.
            self.retry_datagrams(id);
        }
        if turns && !lingers {
            self.tell(Op::SendPressure, id, i32::from(waits));
        }
    }

    /// The kernel may take messages, though it has not said so.
    pub(super) fn retry_datagrams(&mut self, id: Id) {
        if let Some(socket) = self.datagram(id) {
            socket.flags.set(dgram::WRITABLE);
        }
        self.enqueue(id);
    }

    fn count_flushed(&mut self, flushed: &Flushed) {
        self.stats.datagrams_sent += flushed.sent;
        self.stats.sent += flushed.bytes;
        self.stats.datagrams_failed += flushed.failures;
    }

    fn tell_flushed(&mut self, id: Id, flushed: &Flushed) {
        for errno in &flushed.told {
            self.tell(Op::SendDone, id, *errno);
        }
        if flushed.failure != 0 {
            self.tell(Op::SendFailed, id, flushed.failure);
        }
    }

    /// JavaScript lets go of a socket. True if it can be closed now; false while messages that count as sent wait.
    pub(super) fn close_datagram(&mut self, id: Id) -> bool {
        let Some(socket) = self.datagram(id) else { return true };
        socket.outbound.keep_acknowledged();
        socket.flags.clear(dgram::RECEIVING);
        // Whatever fits now leaves now: the port is free as soon as can be.
        socket.flags.set(dgram::WRITABLE);
        let mut flushed = Flushed::default();
        dgram::send::flush(socket, &mut flushed);
        let waits = !socket.outbound.is_empty();
        if waits {
            socket.flags.set(dgram::LINGERING);
        }
        self.count_flushed(&flushed);
        if flushed.refused {
            let at = Instant::now() + Duration::from_millis(SEND_RETRY_MS);
            self.deadlines.set(id, Due::Retry, at, self.poll.registry());
        }
        !waits
    }

    /// What of a socket outlives it: the counters, of what was left behind as well.
    pub(super) fn forget_datagram(&mut self, socket: Datagram) {
        if socket.flags.has(dgram::LINGERING) {
            self.stats.datagrams_failed += socket.outbound.len() as u64;
        }
        self.datagrams.waiting = self.datagrams.waiting.saturating_sub(socket.arrived.weight());
        self.stats.datagrams_dropped += u64::from(dropped(socket.fd.as_fd()).wrapping_sub(socket.dropped_before));
    }

    /// What there is of datagrams now.
    #[must_use]
    pub fn datagrams_waiting(&self) -> Waiting {
        let mut waiting = Waiting { open: self.open.datagrams, ..Waiting::default() };
        let sockets = self.table.iter().filter_map(|slot| if let Entry::Datagram(socket) = &slot.entry { Some(socket) } else { None });
        // No further than the last of them: behind it there may be thousands of streams.
        for socket in sockets.take(waiting.open) {
            waiting.arrived += socket.arrived.len();
            waiting.outbound += socket.outbound.bytes();
            waiting.dropped += u64::from(dropped(socket.fd.as_fd()).wrapping_sub(socket.dropped_before));
        }
        waiting
    }

    /// What the kernel has dropped until now counts no more.
    pub(super) fn forget_dropped(&mut self) {
        for slot in &mut self.table {
            if let Entry::Datagram(socket) = &mut slot.entry {
                socket.dropped_before = dropped(socket.fd.as_fd());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;

    use super::*;
    use crate::table::Ids;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn messages_that_a_device_refused_are_tried_again() {
        let ids = Arc::new(Ids::default());
        let (mut reactor, _waker) = Reactor::new(Arc::clone(&ids)).expect("descriptors");
        let bound = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (ours, peer) = (bound(), bound());
        ours.connect(peer.local_addr().expect("bound")).expect("loopback");
        let id = ids.allocate();
        let mut socket = Datagram::new(ours.into());
        socket.outbound.push(None, b"again", false);
        // As `flush` leaves it behind `ENOBUFS`; no loopback has a queue to fill.
        socket.flags.clear(dgram::WRITABLE);
        socket.flags.set(dgram::PRESSED);
        reactor.place(id, Entry::Datagram(Box::new(socket)));
        reactor.after_flush_of_datagrams(id, &Flushed { refused: true, ..Flushed::default() });
        assert!(!reactor.is_due());
        let mut entry = libc::pollfd { fd: reactor.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry of ours.
        assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 10_000) }, 1, "somebody tells");
        reactor.turn(None);
        peer.set_nonblocking(true).expect("a flag");
        assert_eq!(peer.recv(&mut [0; 8]).expect("it was sent"), 5);
        assert_eq!((reactor.datagrams_waiting().outbound, reactor.next_deadline()), (0, None));
    }
}
