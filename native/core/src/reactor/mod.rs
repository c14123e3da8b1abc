//! One environment's sockets: the readiness set, the table, the turn. Never blocks.
//!
//! Readiness is edge-triggered and remembered per socket, so it does not matter which thread takes an edge from the
//! kernel: whoever runs the next turn finds it in the table. A socket with something to do stands in line (`line.rs`); a turn looks at
//! each once, as far as there is something for it, and puts back what is left over.

mod accepting;
pub mod admission;
pub mod apply;
pub mod blocks;
pub mod datagrams;
mod deadlines;
pub mod direct;
mod layers;
pub mod leaving;
mod line;
pub mod passing;
pub mod policy;
mod processes;
pub mod seat;
mod trial;
mod turn;
mod watching;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Token;

use crate::dgram::Datagram;
use crate::event::{Batch, DEAD, Event, Op};
use crate::flags::Flags;
use crate::net::listen::Listener;
use crate::stats::{Present, Stats};
use crate::stream::read::Wire;
use crate::stream::{self, Stream};
use crate::sys::{self, Reserve};
use crate::table::{Id, Ids};
use admission::Admission;
use apply::Caller;
use blocks::Blocks;
use datagrams::Datagrams;
use deadlines::{Deadlines, Due};
use direct::Direct;
use layers::Jobs;
pub use layers::Post;
use line::{For, Line};
use processes::Child;
pub use turn::Turn;
use turn::{Course, Polled};

/// Readiness of the waker rather than of a socket.
const WAKER: Token = Token(usize::MAX);

#[derive(Debug)]
enum Entry {
    Vacant,
    Listener(Listener),
    Connecting(OwnedFd),
    Stream(Stream),
    Datagram(Box<Datagram>),
    Process(Child),
}

/// How many there are, counted as they come and go: `stats()` walks no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    /// Streams and attempts.
    streams: usize,
    datagrams: usize,
    children: usize,
}

impl Open {
    fn and(mut self, entry: &Entry, change: isize) -> Self {
        let count = match entry {
            Entry::Vacant | Entry::Listener(_) => return self,
            Entry::Connecting(_) | Entry::Stream(_) => &mut self.streams,
            Entry::Datagram(_) => &mut self.datagrams,
            Entry::Process(_) => &mut self.children,
        };
        *count = count.wrapping_add_signed(change);
        self
    }
}

impl Entry {
    /// Bytes that wait to be written to a stream.
    fn queued(&self) -> usize {
        if let Self::Stream(stream) = self { stream.queued() } else { 0 }
    }

    /// True when a turn has something to do for it: what waits for room in line is left to that. None of a stream with a layer, which
    /// knows itself.
    #[inline(always)]
    fn wants_turn(&self, starved: bool) -> Option<bool> {
        Some(match self {
            Self::Vacant | Self::Connecting(_) | Self::Process(_) => false,
            Self::Listener(listener) => listener.waits && !starved,
            Self::Datagram(socket) => socket.wants_to_send() || (socket.wants_to_deliver() && !starved),
            Self::Stream(stream) if stream.layer.is_some() => return None,
            Self::Stream(stream) => stream.wants_turn_as_wire(starved),
        })
    }
}

/// Among those to look at in the next turn.
const QUEUED: u16 = 1;
/// In line for room or for a block, and read, or accepted from, no sooner. Bytes that wait to be written still leave.
const STARVED: u16 = 1 << 1;
/// The readiness set has it.
const REGISTERED: u16 = 1 << 2;
/// The readiness set also tells when the kernel takes more.
const WRITING: u16 = 1 << 3;
/// It has told so while nothing waited.
const WASTED: u16 = 1 << 4;
/// Watched by the inline driver's loop itself, not in the readiness set.
const DIRECT: u16 = 1 << 5;

/// One of the table, and how the reactor stands to it, whatever it is.
#[derive(Debug)]
struct Slot {
    generation: u32,
    state: Flags,
    entry: Entry,
}

/// See the module.
#[derive(Debug)]
pub struct Reactor {
    poll: mio::Poll,
    polled: Polled,
    table: Vec<Slot>,
    line: Line,
    /// Children that ended: looked at last in a turn, as libuv does, so that what they wrote comes before.
    ended: Vec<Id>,
    /// What JavaScript is to be told, in order; it goes into the batch before anything is read into that. Bounded by what JavaScript has under way: each
    /// answers a request of its own or announces a state that changes only with JavaScript's help.
    backlog: VecDeque<Event>,
    blocks: Blocks,
    ids: Arc<Ids>,
    /// How many connections a turn accepts; shared with JavaScript's thread, which knows how long deliveries take it.
    admission: Arc<Admission>,
    reserve: Reserve,
    deadlines: Deadlines,
    datagrams: Datagrams,
    open: Open,
    /// Bytes that wait in write queues.
    queued: usize,
    direct: Direct,
    jobs: Jobs,
    /// What comes off the wire for a layer.
    wire: Wire,
    stats: Stats,
    /// How often JavaScript was told of a full send buffer, wrapping.
    pressures: i32,
    /// How far the turn has come.
    course: Course,
    /// What libuv takes for the end, see [`Reactor::end_at_hang_up`].
    ends_at_hang_up: bool,
}

impl Reactor {
    /// An empty reactor and the waker of its descriptor.
    ///
    /// # Errors
    /// When the kernel has no epoll or eventfd descriptor to give.
    pub fn new(ids: Arc<Ids>) -> io::Result<(Self, mio::Waker)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let reactor = Self {
            poll,
            polled: Polled::default(),
            table: Vec::new(),
            line: Line::default(),
            ended: Vec::new(),
            backlog: VecDeque::new(),
            blocks: Blocks::default(),
            ids,
            admission: Arc::default(),
            reserve: Reserve::default(),
            deadlines: Deadlines::default(),
            datagrams: Datagrams::default(),
            open: Open::default(),
            queued: 0,
            direct: Direct::default(),
            jobs: Jobs::default(),
            wire: Wire::default(),
            stats: Stats::default(),
            pressures: 0,
            course: Course::default(),
            ends_at_hang_up: true,
        };
        Ok((reactor, waker))
    }

    /// How many connections a turn accepts, to be told how long deliveries take.
    #[must_use]
    pub fn admission(&self) -> Arc<Admission> {
        Arc::clone(&self.admission)
    }

    /// The descriptor to watch: readable whenever a turn is due.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Whether `EPOLLHUP` behind bytes is the end, whatever the kernel would say: so it is where the running libuv is older than
    /// 1.52, and a reset behind the last bytes is not heard of there.
    pub fn end_at_hang_up(&mut self, on: bool) {
        self.ends_at_hang_up = on;
    }

    /// Counters.
    pub fn stats(&mut self) -> &mut Stats {
        &mut self.stats
    }

    /// Sets the counters back.
    pub fn reset_stats(&mut self) {
        self.stats = Stats::default();
        self.forget_dropped();
    }

    /// Open streams and attempts, listeners excluded.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        debug_assert_eq!(self.open, self.table.iter().fold(Open::default(), |open, slot| open.and(&slot.entry, 1)));
        self.open.streams
    }

    /// Bytes that wait in write queues.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        debug_assert_eq!(self.queued, self.table.iter().map(|slot| slot.entry.queued()).sum());
        self.queued
    }

    /// Sockets given up of which acknowledged bytes or messages still leave. They hold no process.
    #[must_use]
    pub fn lingering(&self) -> u32 {
        self.deadlines.ends()
    }

    /// What there is now.
    #[must_use]
    pub fn present(&self) -> Present {
        Present {
            streams: self.open_streams(),
            datagrams: self.open.datagrams,
            children: self.open.children,
            queued: self.queued_bytes(),
            lingering: self.lingering(),
        }
    }

    /// When a turn has something to do though nothing has happened by then. The readiness set tells of it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// True when a turn has something to do before any new readiness.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.line.is_empty() || !self.ended.is_empty() || !self.backlog.is_empty()
    }

    /// True once lent blocks would pay.
    #[must_use]
    pub fn wants_blocks(&self) -> bool {
        self.blocks.wanted()
    }

    fn slot(&mut self, id: Id) -> Option<&mut Slot> {
        self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)
    }

    fn entry(&mut self, id: Id) -> Option<&mut Entry> {
        self.slot(id).map(|slot| &mut slot.entry)
    }

    fn place(&mut self, id: Id, entry: Entry) {
        let at = id.slot as usize;
        while self.table.len() <= at {
            self.table.push(Slot { generation: 0, state: Flags::new(0), entry: Entry::Vacant });
        }
        self.open = self.open.and(&entry, 1);
        self.table[at] = Slot { generation: id.generation, state: Flags::new(0), entry };
    }

    /// Closes the descriptor and frees the id.
    fn remove(&mut self, id: Id) {
        self.forget_direct(id);
        self.unwatch(id);
        if !self.deadlines.is_empty() {
            self.deadlines.forget(id);
        }
        let Some(entry) = self.entry(id) else { return };
        let entry = std::mem::replace(entry, Entry::Vacant);
        self.open = self.open.and(&entry, -1);
        self.queued -= entry.queued();
        match entry {
            Entry::Vacant => return,
            Entry::Datagram(socket) => self.forget_datagram(*socket),
            Entry::Listener(_) | Entry::Connecting(_) | Entry::Stream(_) | Entry::Process(_) => {}
        }
        self.ids.release(id);
    }

    /// JavaScript will not come to this batch: its bytes lie unread when their streams close, and their peers are reset, as by a close over unread bytes.
    pub fn leave_unread(&mut self, batch: &Batch) {
        for [op, slot, generation, ..] in (0..batch.len()).map(|index| batch.record(index)) {
            let id = Id { slot: slot.cast_unsigned(), generation: generation.cast_unsigned() };
            if [Op::Data as i32, Op::Block as i32].contains(&op)
                && let Some(Entry::Stream(stream)) = self.entry(id)
            {
                let _ = sys::reset_on_close(stream.fd.as_fd());
            }
        }
    }

    /// Closes everything.
    pub fn clear(&mut self) {
        self.forget_all();
        self.table.clear();
        self.line = Line::default();
        (self.open, self.queued) = (Open::default(), 0);
        self.ended.clear();
        self.backlog.clear();
        self.blocks = Blocks::default();
        self.datagrams = Datagrams::default();
        self.jobs.clear();
        self.deadlines = Deadlines::default();
    }

    /// How often JavaScript was told of a full send buffer, wrapping.
    pub(crate) fn pressures(&self) -> i32 {
        self.pressures
    }

    /// Tells JavaScript not to count a stream's writes as written, as its buffer is full or it is gone.
    fn tell_pressure(&mut self, id: Id, why: i32) {
        self.pressures = self.pressures.wrapping_add(1);
        self.tell(Op::Pressure, id, why);
    }

    /// Tells JavaScript something, behind all that it was told before.
    fn tell(&mut self, op: Op, id: Id, a: i32) {
        self.backlog.push_back(Event::new(op, id, a));
    }

    /// Moves what is told into a batch, as far as there is room.
    fn hand_out(&mut self, batch: &mut Option<&mut Batch>) {
        let Some(batch) = batch else { return };
        while batch.has_room() {
            let Some(event) = self.backlog.pop_front() else { break };
            batch.push(event);
        }
    }

    /// Puts a socket in line for the next turn if it has something to do there and is not in line already.
    fn enqueue(&mut self, id: Id) {
        let Some(slot) = self.slot(id) else { return };
        match slot.entry.wants_turn(slot.state.has(STARVED)) {
            Some(true) => self.look_at(id),
            Some(false) => {}
            None => self.enqueue_layered(id),
        }
    }

    /// By itself, so that others need not make room for what a layer asks.
    #[inline(never)]
    fn enqueue_layered(&mut self, id: Id) {
        let Some(slot) = self.slot(id) else { return };
        let Entry::Stream(stream) = &slot.entry else { return };
        if stream.wants_turn(slot.state.has(STARVED)) {
            self.look_at(id);
        }
    }

    /// Puts a socket in line for the next turn, whatever it has to do there.
    fn look_at(&mut self, id: Id) {
        if let Some(slot) = self.slot(id)
            && !slot.state.has(QUEUED)
        {
            slot.state.set(QUEUED);
            self.line.push_back(For::Turn, id);
        }
    }

    /// Puts a socket in line for what a turn lacked: at its end, or where it was if it had waited for that already.
    fn starve(&mut self, id: Id, lack: For, waited: For) {
        let Some(slot) = self.slot(id) else { return };
        if waited == lack {
            slot.state.set(STARVED);
            self.line.put_back(lack, id);
        } else if !slot.state.has(STARVED) {
            slot.state.set(STARVED);
            self.line.push_back(lack, id);
        }
    }

    /// JavaScript gave a socket up, of which something that counts as sent has not left: it gets so long, from each byte that
    /// leaves on.
    fn linger(&mut self, id: Id, millis: u64) {
        let at = Instant::now() + Duration::from_millis(millis);
        self.deadlines.set(id, Due::End, at, self.poll.registry());
    }

    /// Does what is due: a peer that never reads keeps no descriptor.
    pub fn meet_deadlines(&mut self, now: Instant) {
        while let Some((id, due)) = self.deadlines.expired(now) {
            match due {
                Due::End => self.remove(id),
                Due::Retry => self.retry_datagrams(id),
            }
        }
        self.deadlines.ring(self.poll.registry());
    }

    fn finish_connecting(&mut self, id: Id, turn: &mut Turn) {
        let entry = &mut self.table[id.slot as usize].entry;
        let Entry::Connecting(fd) = &*entry else { return };
        let status = sys::socket_error(fd.as_fd());
        if status == -libc::EINPROGRESS {
            return;
        }
        if let Entry::Connecting(fd) = std::mem::replace(entry, Entry::Vacant) {
            // Others than TCP's connect at once or not at all.
            let mut stream = Stream::new(fd, false);
            // The edge that ended the attempt may have brought bytes and even the peer's end with it, and no other comes:
            // read until the kernel says that there is nothing.
            stream.flags.set(stream::READABLE | stream::UNSURE);
            *entry = Entry::Stream(stream);
        }
        turn.sockets += 1;
        self.stats.connected += u64::from(status == 0);
        self.tell(Op::Connected, id, status);
    }
}
