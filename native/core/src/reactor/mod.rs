//! One environment's sockets: the readiness set, the table, the turn. Never blocks.
//!
//! Readiness is edge-triggered and remembered per socket, so it does not matter which thread takes an edge from the
//! kernel: whoever runs the next turn finds it in the table. A socket with something to do is in `ready` exactly
//! once; a turn looks at each once and puts back what is left over.

mod accepting;
pub mod apply;
pub mod blocks;
pub mod datagrams;
pub mod direct;
pub mod leaving;
mod lingering;
pub mod passing;
pub mod policy;
mod processes;
pub mod seat;
mod trial;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::dgram::Datagram;
use crate::event::{Batch, Event, Op};
use crate::limits::POLL_EVENTS;
use crate::net::listen::Listener;
use crate::stats::Stats;
use crate::stream::write::Written;
use crate::stream::{self, Stream};
use crate::sys::{self, Errno, Reserve};
use crate::table::{Id, Ids};
use blocks::Blocks;
use datagrams::Datagrams;
use direct::Direct;
use lingering::Lingering;
use processes::Child;
use turn::Course;
pub use turn::Turn;

/// What the kernel tells of a socket. Urgent bytes are among it because a read ends at them, though more lies behind.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

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

/// When a write's failure is told: what the peer has said comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// At once.
    Now,
    /// At once to whoever waits for it. Who does not learns from the end of reading.
    ByReading,
    /// Once more has been read.
    Waits,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Entry,
}

/// See the module.
#[derive(Debug)]
pub struct Reactor {
    poll: mio::Poll,
    polled: mio::Events,
    table: Vec<Slot>,
    /// By id, not by slot: a socket that took the slot of one that closed while it waited here has not been told of
    /// any readiness yet (one that is connecting would be taken for connected).
    ready: VecDeque<Id>,
    /// Those of a turn that found no room: empty between turns.
    unserved: Vec<Id>,
    /// Children that ended: looked at last in a turn, as libuv does, so that what they wrote comes before.
    ended: Vec<Id>,
    /// Events that found no room; they go first into the next batch. Bounded by what JavaScript has under way: each
    /// answers a request of its own or announces a state that changes only with JavaScript's help.
    backlog: VecDeque<Event>,
    blocks: Blocks,
    ids: Arc<Ids>,
    reserve: Reserve,
    lingering: Lingering,
    datagrams: Datagrams,
    direct: Direct,
    stats: Stats,
    /// How often JavaScript was told of a full send buffer, wrapping.
    pressures: i32,
    /// How far the turn has come.
    course: Course,
    /// What libuv takes for the end, see [`Reactor::end_at_hang_up`].
    ends_at_hang_up: bool,
}

fn token(id: Id) -> Token {
    Token((id.generation as usize) << 32 | id.slot as usize)
}

fn id_of(token: Token) -> Id {
    Id { slot: u32::try_from(token.0 & 0xffff_ffff).expect("masked"), generation: u32::try_from(token.0 >> 32).expect("shifted") }
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
            polled: mio::Events::with_capacity(POLL_EVENTS),
            table: Vec::new(),
            ready: VecDeque::new(),
            unserved: Vec::new(),
            ended: Vec::new(),
            backlog: VecDeque::new(),
            blocks: Blocks::default(),
            ids,
            reserve: Reserve::default(),
            lingering: Lingering::default(),
            datagrams: Datagrams::default(),
            direct: Direct::default(),
            stats: Stats::default(),
            pressures: 0,
            course: Course::default(),
            ends_at_hang_up: true,
        };
        Ok((reactor, waker))
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

    /// Open streams and attempts, listeners excluded.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.table.iter().filter(|slot| matches!(slot.entry, Entry::Stream(_) | Entry::Connecting(_))).count()
    }

    /// Bytes that wait in write queues.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.table.iter().map(|slot| if let Entry::Stream(stream) = &slot.entry { stream.queue.as_ref().map_or(0, |queue| queue.bytes()) } else { 0 }).sum()
    }

    /// Streams given up whose acknowledged bytes still leave.
    #[must_use]
    pub fn lingering(&self) -> u32 {
        self.lingering.count()
    }

    /// True when a turn has something to do before any new readiness.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.ready.is_empty() || !self.ended.is_empty() || !self.backlog.is_empty()
    }

    /// True once lent blocks would pay.
    #[must_use]
    pub fn wants_blocks(&self) -> bool {
        self.blocks.wanted()
    }

    fn entry(&mut self, id: Id) -> Option<&mut Entry> {
        let slot = self.table.get_mut(id.slot as usize)?;
        (slot.generation == id.generation).then_some(&mut slot.entry)
    }

    fn place(&mut self, id: Id, entry: Entry) {
        let at = id.slot as usize;
        while self.table.len() <= at {
            self.table.push(Slot { generation: 0, entry: Entry::Vacant });
        }
        self.table[at] = Slot { generation: id.generation, entry };
    }

    fn register(&self, fd: RawFd, id: Id) -> Result<(), Errno> {
        self.poll.registry().register(&mut SourceFd(&fd), token(id), INTEREST).map_err(|error| sys::errno_of(&error))
    }

    fn unregister(&self, fd: RawFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd))
    }

    /// Closes the descriptor and frees the id. Deregistering first matters when the descriptor was duplicated (sent
    /// to another process): the kernel keeps a registration for as long as any duplicate lives.
    fn remove(&mut self, id: Id) {
        self.forget_direct(id);
        let Some(entry) = self.entry(id) else { return };
        let fd = match std::mem::replace(entry, Entry::Vacant) {
            Entry::Vacant => return,
            Entry::Listener(listener) => listener.fd,
            Entry::Connecting(fd) => fd,
            Entry::Stream(stream) => {
                if !stream.flags.has(stream::REGISTERED) {
                    self.ids.release(id);
                    return;
                }
                stream.fd
            }
            Entry::Datagram(socket) => self.forget_datagram(*socket),
            Entry::Process(child) => child.fd,
        };
        let _ = self.unregister(fd.as_raw_fd());
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
        self.ready.clear();
        self.unserved.clear();
        self.ended.clear();
        self.backlog.clear();
        self.blocks = Blocks::default();
        self.datagrams = Datagrams::default();
    }

    /// How often JavaScript was told of a full send buffer, wrapping.
    pub(crate) fn pressures(&self) -> i32 {
        self.pressures
    }

    /// Tells JavaScript not to count a stream's writes as written, as its buffer is full or it is gone.
    fn tell_pressure(&mut self, id: Id, why: i32) {
        self.pressures = self.pressures.wrapping_add(1);
        self.backlog.push_back(Event::new(Op::Pressure, id, why));
    }

    fn emit(&mut self, batch: &mut Option<&mut Batch>, event: Event) {
        match batch {
            Some(batch) if self.backlog.is_empty() && batch.has_room() => batch.push(event),
            _ => self.backlog.push_back(event),
        }
    }

    /// Puts a stream into the queue if it has something to do and is not there yet.
    fn enqueue(&mut self, id: Id) {
        if let Some(Entry::Stream(stream)) = self.entry(id)
            && stream.wants_turn()
            && !stream.flags.has(stream::QUEUED)
        {
            stream.flags.set(stream::QUEUED);
            self.ready.push_back(id);
        }
    }

    /// Offers the kernel what a stream has queued, reports what came of it, and says how it stands; None if it is no stream.
    fn flush(&mut self, id: Id, batch: &mut Option<&mut Batch>, told: Told) -> Option<Written> {
        let Some(Entry::Stream(stream)) = self.table.get_mut(id.slot as usize).map(|slot| &mut slot.entry) else { return None };
        let mut done = 0;
        let mut outcome = stream::write::flush(stream, &mut self.stats.sent, &mut done);
        if let Written::Failed(errno) = outcome
            && told == Told::Waits
        {
            // The next turns read on, and come back here.
            stream.failure = errno;
            outcome = Written::Waits;
        }
        self.settle(id, outcome, done, batch, told);
        Some(outcome)
    }

    /// Reports what a flush did and carries out what waited for it.
    fn settle(&mut self, id: Id, outcome: Written, done: u32, batch: &mut Option<&mut Batch>, told: Told) {
        for _ in 0..done {
            self.emit(batch, Event::new(Op::WriteDone, id, 0));
        }
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        match outcome {
            Written::Waits => {}
            Written::Failed(errno) => {
                let awaited = stream.queue.take().map_or(0, |queue| queue.awaited());
                stream.failure = errno;
                let (lingers, ending, pressed) = (stream.flags.has(stream::LINGERING), stream.flags.has(stream::ENDING), stream.flags.has(stream::PRESSED));
                stream.flags.clear(stream::ENDING | stream::PRESSED);
                for _ in 0..awaited {
                    self.emit(batch, Event::new(Op::WriteDone, id, errno));
                }
                if awaited == 0 && !lingers && told != Told::ByReading {
                    self.emit(batch, Event::new(Op::WriteFailed, id, errno));
                }
                if ending {
                    self.emit(batch, Event::new(Op::ShutdownDone, id, errno));
                }
                if pressed {
                    self.emit(batch, Event::new(Op::Pressure, id, 0));
                }
                if lingers {
                    self.end_lingering(id);
                }
            }
            Written::Done => {
                if stream.queue.is_some() {
                    return;
                }
                let (lingers, ending) = (stream.flags.has(stream::LINGERING), stream.flags.has(stream::ENDING));
                let pressed = stream.flags.has(stream::PRESSED);
                stream.flags.clear(stream::PRESSED);
                let ended = if ending { stream::end::shutdown(stream) } else { None };
                if pressed {
                    self.emit(batch, Event::new(Op::Pressure, id, 0));
                }
                if let Some(status) = ended {
                    self.emit(batch, Event::new(Op::ShutdownDone, id, status));
                }
                if lingers {
                    self.end_lingering(id);
                }
            }
        }
    }

    fn lingers(&self, id: Id) -> bool {
        self.table
            .get(id.slot as usize)
            .is_some_and(|slot| slot.generation == id.generation && matches!(&slot.entry, Entry::Stream(stream) if stream.flags.has(stream::LINGERING)))
    }

    fn end_lingering(&mut self, id: Id) {
        self.lingering.end();
        self.remove(id);
    }

    /// Closes what has lingered for its time: a peer that never reads keeps no descriptor.
    pub fn end_old_lingering(&mut self, now: Instant) {
        while let Some(id) = self.lingering.expired(now) {
            if self.lingers(id) {
                self.end_lingering(id);
            }
        }
    }

    fn finish_connecting(&mut self, id: Id, batch: &mut Option<&mut Batch>, turn: &mut Turn) {
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
            stream.flags.set(stream::REGISTERED | stream::READABLE | stream::UNSURE);
            *entry = Entry::Stream(stream);
        }
        turn.sockets += 1;
        self.stats.connected += u64::from(status == 0);
        self.emit(batch, Event::new(Op::Connected, id, status));
    }
}
