//! One JavaScript environment (the main thread or a Worker) and its reactor: what the addon calls, on which thread.

mod applied;
mod offload;
mod thread;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::event::Batch;
use crate::limits::EXIT_FLUSH_MS;
use crate::mailbox::{Mailbox, Tray};
use crate::reactor::admission::Admission;
use crate::reactor::blocks::Block;
use crate::reactor::direct::Watch;
use crate::reactor::leaving::Leaving;
use crate::reactor::passing::Seat;
use crate::reactor::policy::System;
use crate::reactor::seat::Driver;
use crate::reactor::{Reactor, Turn};
use crate::stats::{Present, Stats};
use crate::stream::copies::Spares;
use crate::stream::layer::Layer;
use crate::sys::sync::MutexGuard;
use crate::sys::{self, Errno};
use crate::table::{Id, Ids};

pub use self::applied::Applied;
use self::thread::DriverThread;
pub use crate::reactor::apply::{Caller, Posted};
pub use crate::reactor::datagrams::Waiting;

/// What reading can wait for.
mod lack {
    pub(super) const NOTHING: u8 = 0;
    /// A batch: there is one when JavaScript takes or returns one.
    pub(super) const ROOM: u8 = 1;
    /// A block: there are some when JavaScript has gone through a batch.
    pub(super) const BLOCK: u8 = 2;
}

/// See the module. What it offers is for its JavaScript's thread, counters aside, which anybody may ask for; what the thread of its
/// offload driver may do is `offload::DriverSide`.
pub struct Environment {
    /// The reactor, what is asked of it, and who drives it.
    seat: Seat<Reactor, Posted>,
    /// JavaScript thread: to be told how long deliveries take.
    pub admission: Arc<Admission>,
    /// Ids, on a lock of their own.
    pub ids: Arc<Ids>,
    mailbox: Mailbox,
    /// Memory for copies of large writes.
    pub spares: Arc<Spares>,
    applied: Applied,
    /// Copied from the reactor after a turn; only ever goes from false to true, so any order does.
    wants_blocks: AtomicBool,
    /// What the offload driver lacks for bytes that are there to read, one of `lack`: set by it, taken back by
    /// JavaScript when it helps.
    reader_lacks: AtomicU8,
    descriptor: RawFd,
    waker: Arc<mio::Waker>,
    wake_javascript: Box<dyn Fn() + Send + Sync>,
    thread: DriverThread,
    /// Goes from false to true, once. Release and Acquire, though nothing is read on the strength of it but that it is over: the
    /// unparking that follows orders it already.
    ended: AtomicBool,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("driver", &self.driver()).finish_non_exhaustive()
    }
}

impl Environment {
    /// An environment without sockets, the seat with the inline driver.
    ///
    /// # Errors
    /// When the kernel has no descriptors to give.
    pub fn new(applied: Applied, batches: Vec<Batch>, wake_javascript: Box<dyn Fn() + Send + Sync>) -> io::Result<Arc<Self>> {
        let ids = Arc::new(Ids::default());
        let (mut reactor, waker) = Reactor::new(Arc::clone(&ids))?;
        let waker = Arc::new(waker);
        let descriptor = reactor.descriptor();
        let admission = reactor.admission();
        let mailbox = Mailbox::default();
        for batch in batches {
            let _ = mailbox.empty.post(batch);
        }
        let inbox = Arc::new(Tray::default());
        reactor.post_with({
            let (inbox, waker) = (Arc::clone(&inbox), Arc::clone(&waker));
            Arc::new(move |posted| {
                if inbox.post(posted) {
                    // As in `wake_driver`; after the end nobody listens.
                    let _ = waker.wake();
                }
            })
        });
        Ok(Arc::new(Self {
            seat: Seat::new(reactor, inbox),
            ids,
            admission,
            mailbox,
            spares: Arc::default(),
            applied,
            wants_blocks: AtomicBool::new(false),
            reader_lacks: AtomicU8::new(lack::NOTHING),
            descriptor,
            waker,
            wake_javascript,
            thread: DriverThread::default(),
            ended: AtomicBool::new(false),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Reactor> {
        self.seat.lock()
    }

    /// Who holds the seat. Exact on the JavaScript thread, which alone passes it.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.seat.driver()
    }

    /// The descriptor that says when a turn is due.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Hands a stream of commands over. Returns the status of its last write (inline; 0 offload)
    /// and whether a turn is due without readiness.
    pub fn submit(&self, bytes: &[u8]) -> (i32, bool) {
        match self.driver() {
            Driver::Inline => {
                let mut reactor = self.lock();
                let status = reactor.apply(bytes, Caller::Waits);
                (status, reactor.is_due())
            }
            Driver::Offload => {
                self.post(Posted::Commands(bytes.to_vec()));
                (0, false)
            }
        }
    }

    /// Puts a layer between a stream and its wire: from here on its bytes are the layer's. Returns as [`Environment::submit`].
    pub fn put_layer(&self, id: Id, layer: Box<dyn Layer>) -> (i32, bool) {
        self.submit_with(&[], Posted::Layer(id, layer))
    }

    /// Lends a block. No wake-up: it is for reads to come.
    pub fn lend_block(&self, block: Block) {
        match self.driver() {
            Driver::Inline => {
                self.lock().carry_out(Posted::LendBlock(block), Caller::Waits);
            }
            Driver::Offload => self.seat.leave(Posted::LendBlock(block)),
        }
    }

    /// As [`Environment::submit`], with something behind the commands that does not fit a stream
    /// of bytes. Both are handed over together: one wake-up, and nothing in between for a turn to find half done.
    pub fn submit_with(&self, bytes: &[u8], posted: Posted) -> (i32, bool) {
        match self.driver() {
            Driver::Inline => {
                let mut reactor = self.lock();
                reactor.apply(bytes, Caller::Waits);
                let status = reactor.carry_out(posted, Caller::Waits);
                (status, reactor.is_due())
            }
            Driver::Offload => {
                if !bytes.is_empty() {
                    self.seat.leave(Posted::Commands(bytes.to_vec()));
                }
                self.post(posted);
                (0, false)
            }
        }
    }

    fn post(&self, posted: Posted) {
        if self.seat.post(posted) {
            self.wake_driver();
        }
    }

    /// The reactor's descriptor becomes readable, for the driver's thread if it waits for that.
    pub(crate) fn wake_driver(&self) {
        // The waker's eventfd cannot overflow (mio resets it) and is open as long as we are; nothing else can fail.
        let _ = self.waker.wake();
    }

    /// Applies what was taken from the inbox, under the lock.
    fn apply(&self, reactor: &mut Reactor, asked: &mut VecDeque<Posted>) {
        let (mut requests, mut bytes) = (0_i32, 0_i32);
        for posted in asked.drain(..) {
            let length = match &posted {
                Posted::Commands(copied) => Some(copied.len()),
                Posted::WriteCopied(_, copied, _) => Some(copied.len()),
                Posted::WriteLent(..) | Posted::LendBlock(_) | Posted::Layer(..) => Some(0),
                // JavaScript counts what it has posted itself.
                Posted::Worked(..) => None,
            };
            requests = requests.wrapping_add(i32::from(length.is_some()));
            bytes = bytes.wrapping_add(i32::try_from(length.unwrap_or(0)).unwrap_or(i32::MAX));
            reactor.carry_out(posted, Caller::Gone);
        }
        self.applied.add(requests, bytes, reactor.pressures());
    }

    /// Once: the loop that the inline driver runs in, as [`Reactor::watch_with`].
    pub fn watch_with(&self, watch: Box<dyn Watch>, eager: bool) {
        self.lock().watch_with(watch, eager);
    }

    /// Once: as [`Reactor::end_at_hang_up`].
    pub fn end_at_hang_up(&self, on: bool) {
        self.lock().end_at_hang_up(on);
    }

    /// Inline driver: the loop has heard of a stream that it watches itself. See [`Reactor::heard`].
    #[must_use]
    pub fn heard(&self, place: usize, over: bool) -> bool {
        self.lock().heard(place, over)
    }

    /// Inline driver: the first round of a turn, as [`Reactor::first_round`]. None when there is no empty batch, which cannot
    /// happen while JavaScript gives back what it takes.
    pub fn inline_turn(&self, asks: bool) -> Option<(Batch, Turn)> {
        let mut batch = self.mailbox.empty.take()?;
        let mut reactor = self.lock();
        self.seat.look(&mut reactor, |reactor, posted| self.apply(reactor, posted));
        let turn = guarded(&mut reactor, |reactor| reactor.first_round(&mut batch, asks));
        // What was posted in between may have had its wake-up taken by this turn.
        self.seat.look(&mut reactor, |reactor, posted| self.apply(reactor, posted));
        self.note_blocks(&reactor);
        reactor.stats().inline_turns += 1;
        Some((batch, turn))
    }

    /// Inline driver: the next round of a turn that goes on. None when it does not any more: the seat has
    /// passed meanwhile, or JavaScript asked for something whose answer it must not hear in this turn of the loop.
    pub fn inline_round(&self) -> Option<(Batch, Turn)> {
        let mut reactor = self.lock();
        if self.driver() != Driver::Inline || !reactor.goes_on() {
            return None;
        }
        let mut batch = self.mailbox.empty.take()?;
        let turn = guarded(&mut reactor, |reactor| reactor.next_round(&mut batch));
        self.note_blocks(&reactor);
        Some((batch, turn))
    }

    /// The oldest batch that the offload driver filled.
    pub fn take(&self) -> Option<Batch> {
        let batch = self.mailbox.full.take();
        if batch.is_some() && self.reader_lacks.compare_exchange(lack::ROOM, lack::NOTHING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.wake_driver();
        }
        batch
    }

    /// True when filled batches wait; otherwise the next one wakes it.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.mailbox.full.fall_asleep()
    }

    /// An emptied batch, for the reactor.
    pub fn give_back(&self, mut batch: Batch) {
        batch.clear();
        let _ = self.mailbox.empty.post(batch);
        if self.reader_lacks.swap(lack::NOTHING, Ordering::SeqCst) != lack::NOTHING {
            self.wake_driver();
        }
    }

    /// The clocks that the policy goes by.
    #[must_use]
    pub fn clocks(&self) -> System {
        System { driver: self.thread.clock() }
    }

    /// Passes the seat, and says who has it then: the inline driver keeps it where there is no thread for the other.
    pub fn pass(self: &Arc<Self>, to: Driver) -> Driver {
        if self.driver() == to || (to == Driver::Offload && !self.thread.is_there(self)) {
            return self.driver();
        }
        self.lock().stats().seat_changes += 1;
        match to {
            Driver::Offload => {
                self.lock().take_all_back();
                self.seat.pass_to_offload();
                // It is parked, or still waits for readiness in an earlier term: what told it that that was over, an inline turn may
                // have taken.
                self.thread.unpark();
                self.wake_driver();
            }
            Driver::Inline => {
                self.seat.pass_to_inline(|reactor, asked| self.apply(reactor, asked));
                // So that the offload driver sees that its term is over.
                self.wake_driver();
            }
        }
        to
    }

    fn note_blocks(&self, reactor: &Reactor) {
        if reactor.wants_blocks() && !self.wants_blocks() {
            self.wants_blocks.store(true, Ordering::Relaxed);
        }
    }

    /// Carries out what was asked so far, whoever has the seat, before something that the caller
    /// must be sure of (a listener's port is free again, a descriptor is about to be sent away).
    pub fn settle(&self) {
        drop(self.settled());
    }

    /// Carries out commands of native code's own at once, whoever has the seat: what is in them is in the
    /// reactor when this returns, and closed at the environment's end. True if a turn is due without readiness.
    pub fn open_now(&self, commands: &[u8]) -> bool {
        let mut reactor = self.settled();
        reactor.apply(commands, Caller::Waits);
        self.leave_due(reactor)
    }

    fn settled(&self) -> MutexGuard<'_, Reactor> {
        self.seat.settle(&mut VecDeque::new(), |reactor, asked| self.apply(reactor, asked))
    }

    /// Whether bytes of a stream have been taken from the kernel, once everything asked for is done.
    #[must_use]
    pub fn has_read(&self, id: Id) -> bool {
        self.settled().has_read(id)
    }

    /// Whether a stream has anything that JavaScript, which has had `heard` bytes of it, has not been told of.
    #[must_use]
    pub fn has_pending(&self, id: Id, heard: u32) -> bool {
        self.settled().has_pending(id, heard)
    }

    /// Bytes of a stream that the kernel has not taken, once everything asked for is done.
    #[must_use]
    pub fn unsent(&self, id: Id) -> usize {
        self.settled().unsent(id)
    }

    /// A second descriptor, out of the reserve if need be.
    ///
    /// # Errors
    /// As [`crate::sys::duplicate`].
    pub fn duplicate(&self, fd: RawFd) -> Result<OwnedFd, Errno> {
        self.lock().duplicate(fd)
    }

    /// Takes one connection of a shared listener.
    ///
    /// # Errors
    /// As [`Reactor::accept_one`].
    pub fn accept_one(&self, id: Id) -> Result<(Id, RawFd), Errno> {
        self.lock().accept_one(id)
    }

    /// Counters, and what is there now: a copy, whichever thread asks.
    pub fn stats(&self) -> (Stats, Present) {
        let mut reactor = self.lock();
        let present = reactor.present();
        (*reactor.stats(), present)
    }

    /// Processor time that the thread of the offload driver has used; none before there is one.
    #[must_use]
    pub fn driver_time(&self) -> Duration {
        self.thread.clock().map_or(Duration::ZERO, sys::clock)
    }

    /// What there is of datagrams now.
    pub fn datagrams_waiting(&self) -> Waiting {
        self.lock().datagrams_waiting()
    }

    /// Sets the counters back.
    pub fn reset_stats(&self) {
        self.lock().reset_stats();
    }

    /// Counts a panic that was caught.
    pub fn count_panic(&self) {
        self.lock().stats().panics += 1;
    }

    /// Requests and filled batches that wait.
    #[must_use]
    pub fn depths(&self) -> (usize, usize) {
        (self.seat.waiting(), self.mailbox.full.len())
    }

    /// True when a turn is due without readiness.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.lock().is_due()
    }

    /// True once lent blocks would pay. Read before every delivery, so it must not wait for a turn.
    #[must_use]
    pub fn wants_blocks(&self) -> bool {
        self.wants_blocks.load(Ordering::Relaxed)
    }

    /// A new id.
    #[must_use]
    pub fn allocate(&self) -> Id {
        self.ids.allocate()
    }

    /// Sends what was acknowledged, at most [`EXIT_FLUSH_MS`]. How many bytes were left behind, and as
    /// [`Environment::open_now`] whether a turn is due.
    pub fn flush(&self) -> (usize, bool) {
        let (reactor, left) = self.let_leave(self.settled());
        (left, self.leave_due(reactor))
    }

    /// Waits for the kernel to take what was acknowledged, without the lock, and comes back with it and with what was left behind.
    fn let_leave<'a>(&'a self, mut reactor: MutexGuard<'a, Reactor>) -> (MutexGuard<'a, Reactor>, usize) {
        let mut leaving = Leaving::begin(&mut reactor, Instant::now() + Duration::from_millis(EXIT_FLUSH_MS));
        loop {
            drop(reactor);
            let again = leaving.wait();
            reactor = self.lock();
            if !again {
                return (reactor, leaving.left());
            }
            leaving.go_on(&mut reactor);
        }
    }

    /// Lets go of the reactor after something was carried out for JavaScript, whoever has the seat. True if a turn is due
    /// without readiness, which the offload driver has been woken for.
    fn leave_due(&self, reactor: MutexGuard<'_, Reactor>) -> bool {
        let due = reactor.is_due();
        drop(reactor);
        if due && self.driver() == Driver::Offload {
            self.wake_driver();
        }
        due
    }

    /// The environment ends. After this nothing touches JavaScript's memory or wakes it.
    pub fn end(&self) {
        // Retired first: no driver turns any more, so none is kept waiting, and nothing is read that nobody would hear of.
        let (mut reactor, _) = self.let_leave(self.seat.retire(|reactor, asked| self.apply(reactor, asked)));
        while let Some(batch) = self.mailbox.full.take() {
            reactor.leave_unread(&batch);
        }
        reactor.clear();
        while self.mailbox.empty.take().is_some() {}
        drop(reactor);
        // The thread, which keeps us, ends, whether it waits for readiness or is parked.
        self.ended.store(true, Ordering::Release);
        self.wake_driver();
        self.thread.unpark();
    }
}

/// A turn whose panic is ours, not the peer's: counted, and what it had done until then is delivered. On the
/// JavaScript thread it would otherwise end the process, on the driver's take the batch with it.
fn guarded(reactor: &mut Reactor, turn: impl FnOnce(&mut Reactor) -> Turn) -> Turn {
    catch_unwind(AssertUnwindSafe(|| turn(reactor))).unwrap_or_else(|_| {
        reactor.stats().panics += 1;
        Turn { more: true, ..Turn::default() }
    })
}
