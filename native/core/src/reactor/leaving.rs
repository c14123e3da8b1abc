//! The last chance of what counts as written and waits for the kernel, before the process or its environment ends.
//!
//! In rounds: under the reactor's lock each descriptor gets its try, and without it one `poll` waits for all that are left. So
//! a peer that does not read costs the others nothing, and whoever else needs the lock gets it. Meanwhile a driver may turn,
//! where the environment lives on: what it sent or closed is found so by the next round.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::writing::Tells;
use super::{Entry, Reactor};
use crate::dgram;
use crate::limits::EXIT_PAUSE_MS;
use crate::stream::{self, write::Written};
use crate::sys;
use crate::table::Id;

/// What still waits.
#[derive(Debug)]
pub struct Leaving {
    deadline: Instant,
    waiting: Vec<Waiting>,
    /// The last round brought nothing, though the kernel had said that it would take something.
    in_vain: bool,
}

#[derive(Debug)]
struct Waiting {
    id: Id,
    /// Asked about and nothing else: should it be closed meanwhile and name another one, a round is made for nothing.
    fd: RawFd,
    bytes: usize,
    ready: bool,
}

impl Leaving {
    /// The first round: every stream and datagram socket gets a try. What was not acknowledged gets this one, which libuv would
    /// have given it before, and is not waited for. Should the process live on (no program could take its place), what ended here
    /// is told by the next turn.
    #[must_use]
    pub fn begin(reactor: &mut Reactor, deadline: Instant) -> Self {
        let slots = reactor.table.iter().enumerate();
        let all: Vec<Id> =
            slots.map(|(slot, entry)| Id { slot: u32::try_from(slot).expect("ids are numbers of slots"), generation: entry.generation }).collect();
        let waiting = all.into_iter().filter_map(|id| reactor.let_leave(id)).collect();
        Self { deadline, waiting, in_vain: false }
    }

    /// Waits until the kernel takes more, not under the reactor's lock. False when nothing is left, or no time.
    #[must_use]
    pub fn wait(&mut self) -> bool {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        if self.waiting.is_empty() || remaining.is_zero() {
            return false;
        }
        if self.in_vain {
            // A device whose queue is full takes nothing from a socket that has room.
            std::thread::sleep(remaining.min(Duration::from_millis(EXIT_PAUSE_MS)));
        }
        let entry = |waiting: &Waiting| libc::pollfd { fd: waiting.fd, events: libc::POLLOUT, revents: 0 };
        let mut entries: Vec<libc::pollfd> = self.waiting.iter().map(entry).collect();
        // A signal is no reason to give up: the round finds nothing ready, and the next wait is for what is left of the time. Where
        // the kernel does not answer (more descriptors than the process may have by now), all are tried.
        let blind = sys::wait_any(&mut entries, Some(self.deadline.saturating_duration_since(Instant::now()))).is_err();
        for (waiting, entry) in self.waiting.iter_mut().zip(entries) {
            waiting.ready = blind || entry.revents != 0;
        }
        true
    }

    /// The next round, of those that are ready.
    pub fn go_on(&mut self, reactor: &mut Reactor) {
        let before = self.left();
        let tried = self.waiting.iter().any(|waiting| waiting.ready);
        let all = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = all.filter_map(|waiting| if waiting.ready { reactor.let_leave(waiting.id) } else { Some(waiting) }).collect();
        self.in_vain = tried && self.left() == before;
    }

    /// Bytes that wait.
    #[must_use]
    pub fn left(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.bytes).sum()
    }
}

impl Reactor {
    /// Offers the kernel what waits of one descriptor; how it stands if acknowledged bytes are left.
    fn let_leave(&mut self, id: Id) -> Option<Waiting> {
        match self.entry(id)? {
            Entry::Stream(stream) => {
                if !stream.is_leaving() {
                    return None;
                }
                stream.flags.set(stream::WRITABLE);
                let outcome = self.flush(id, Tells::Now);
                let Some(Entry::Stream(stream)) = self.entry(id) else { return None };
                // What a layer cannot seal yet does not wait for the kernel.
                let bytes = stream.owed().filter(|_| outcome == Some(Written::Waits) && stream.waits_to_write())?;
                Some(Waiting { id, fd: stream.fd.as_raw_fd(), bytes, ready: false })
            }
            Entry::Datagram(socket) => {
                socket.outbound.keep_acknowledged();
                if socket.outbound.is_empty() {
                    return None;
                }
                socket.flags.set(dgram::WRITABLE);
                self.flush_datagram(id);
                let Some(Entry::Datagram(socket)) = self.entry(id) else { return None };
                let waits = !socket.outbound.is_empty();
                waits.then(|| Waiting { id, fd: socket.fd.as_raw_fd(), bytes: socket.outbound.bytes(), ready: false })
            }
            _ => None,
        }
    }
}
