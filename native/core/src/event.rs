//! What JavaScript is told: records of integers, and the batches that carry them with the bytes received.
//!
//! A record is [`WORDS`] 32-bit words: `op, id, generation, a, b, c`. `lib/native/protocol.ts` has the same table.

use std::ptr::NonNull;

use crate::limits::BATCHES;
use crate::table::Id;

/// Words per record.
pub const WORDS: usize = 6;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Op {
    /// Bytes lie in the batch: `a` offset, `b` length.
    Data = 1,
    /// Bytes lie in a lent block: `a` block, `b` length.
    Block = 2,
    /// No more reads: `a` is `UV_EOF` or a negative errno.
    ReadEnd = 3,
    /// A listener accepted: `a` new id, `b` its generation, `c` descriptor.
    Accept = 4,
    /// A listener failed: `a` negative errno.
    AcceptError = 5,
    /// A connection attempt ended: `a` 0 or negative errno.
    Connected = 6,
    /// The oldest write that asked for notice ended: `a` 0 or negative errno.
    WriteDone = 7,
    /// `shutdown` took effect: `a` 0 or negative errno.
    ShutdownDone = 8,
    /// The kernel's buffer is full (`a` 1) or took everything again (`a` 0); offload only. Or nothing leaves any more ([`DEAD`]).
    Pressure = 9,
    /// Bytes that counted as written did not reach the kernel: `a` negative errno.
    WriteFailed = 11,
    /// The socket is gone and nothing lent to it is referenced any more.
    Closed = 10,
    /// A message from an IPv4 peer: `a` offset in the batch, `b` length and, in the upper half, port, `c` address in the
    /// network's order.
    Datagram4 = 12,
    /// As [`Op::Datagram4`] from an IPv6 peer: address and scope, 20 bytes, lie before the message.
    Datagram6 = 13,
    /// Receiving failed: `a` negative errno.
    DatagramError = 14,
    /// The oldest message that asked for notice was sent (`a` 0) or not (negative errno).
    SendDone = 15,
    /// Messages wait for the kernel (`a` 1), or none does any more (`a` 0).
    SendPressure = 16,
    /// A message that counted as sent was refused: `a` negative errno.
    SendFailed = 17,
    /// A child ended: whoever is told asks for its status.
    Exited = 18,
}

/// In [`Op::Accept`] instead of a descriptor: somebody waits at a shared listener.
pub const WAITS: i32 = -1;

/// In [`Op::Pressure`]: the kernel's buffer is full. 0 takes it back.
pub const FULL: i32 = 1;

/// In [`Op::Pressure`]: the connection is gone.
pub const DEAD: i32 = 2;

/// `UV_EOF`, the number Node's `lib/` takes for the end of a stream.
pub const UV_EOF: i32 = -4095;

/// One record, before it is written out.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What happened.
    pub op: Op,
    /// To whom.
    pub id: Id,
    /// First argument.
    pub a: i32,
    /// Second argument.
    pub b: i32,
    /// Third argument.
    pub c: i32,
}

impl Event {
    /// An event with one argument.
    #[must_use]
    pub fn new(op: Op, id: Id, a: i32) -> Self {
        Self { op, id, a, b: 0, c: 0 }
    }
}

/// Memory for one batch: event words and received bytes. JavaScript owns the memory (two `ArrayBuffer`s that it
/// keeps for as long as the environment lives), the core writes it.
#[derive(Debug)]
pub struct Batch {
    /// Which of the environment's batches this is.
    pub index: u32,
    words: NonNull<i32>,
    word_capacity: usize,
    bytes: NonNull<u8>,
    byte_capacity: usize,
    events: usize,
    used: usize,
    received: usize,
    datagrams: usize,
    sealed: bool,
    stamp: u16,
}

// SAFETY: a `Batch` is the only holder of its two regions on the Rust side; it moves between threads whole, and
// the mailbox hands it to one side at a time.
unsafe impl Send for Batch {}

/// How far apart the stamps of a batch are, for those of others in between.
const STAMPS: u32 = BATCHES as u32;

impl Batch {
    /// A batch over foreign memory.
    ///
    /// # Safety
    /// Both regions must be valid for the given lengths, unshared with any other batch, and stay so until the
    /// batch is dropped.
    #[must_use]
    pub unsafe fn from_raw(index: u32, words: NonNull<i32>, word_capacity: usize, bytes: NonNull<u8>, byte_capacity: usize) -> Self {
        Self {
            index,
            words,
            word_capacity,
            bytes,
            byte_capacity,
            events: 0,
            used: 0,
            received: 0,
            datagrams: 0,
            sealed: false,
            stamp: (index % STAMPS) as u16 + 1,
        }
    }

    /// Forgets the contents.
    pub fn clear(&mut self) {
        self.events = 0;
        self.used = 0;
        self.received = 0;
        self.datagrams = 0;
        self.sealed = false;
        self.stamp = self.stamp.wrapping_add(STAMPS as u16);
    }

    /// Tells this filling from all others that are under way and thousands before.
    pub(crate) fn stamp(&self) -> u16 {
        self.stamp
    }

    /// Records in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events
    }

    /// Bytes that its events bring, those in lent blocks included.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received
    }

    /// Counts bytes that came; [`Batch::push`] of their event follows.
    pub fn count(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// Datagrams among its events.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// Counts a datagram; [`Batch::push`] of its event follows.
    pub fn count_datagram(&mut self, bytes: usize) {
        self.received += bytes;
        self.datagrams += 1;
    }

    /// Nothing that is read goes into it any more.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
    }

    /// True once a shutdown is told of, among others: what a peer answers to it belongs into a later batch. JavaScript ends a socket
    /// when its shutdown is done, and a peer in the same process must hear of that end after the socket's own close, as
    /// it does when libuv has told of the one and polls for the other a turn later.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// True without records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// True while one more record fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    /// True while so many more records fit.
    #[must_use]
    pub fn has_room_for(&self, records: usize) -> bool {
        (self.events + records) * WORDS <= self.word_capacity
    }

    /// Appends a record; the caller has seen [`Batch::has_room`].
    pub fn push(&mut self, event: Event) {
        assert!(self.has_room(), "callers look for room first");
        let at = self.events * WORDS;
        let words = [event.op as i32, event.id.slot.cast_signed(), event.id.generation.cast_signed(), event.a, event.b, event.c];
        // SAFETY: `has_room` keeps `at + WORDS` inside `word_capacity`; the region is ours alone (from_raw).
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), self.words.as_ptr().add(at), WORDS) };
        self.events += 1;
        self.sealed |= event.op == Op::ShutdownDone;
    }

    /// Reads a record back (tests, diagnostics).
    #[must_use]
    pub fn record(&self, index: usize) -> [i32; WORDS] {
        assert!(index < self.events, "only written records are read");
        let mut out = [0; WORDS];
        // SAFETY: records below `events` were written by `push`, inside the region.
        unsafe { std::ptr::copy_nonoverlapping(self.words.as_ptr().add(index * WORDS), out.as_mut_ptr(), WORDS) };
        out
    }

    /// Bytes of the region that are unused.
    #[must_use]
    pub fn room(&self) -> usize {
        self.byte_capacity - self.used
    }

    /// The unused tail of the byte region.
    pub fn tail(&mut self) -> &mut [u8] {
        // SAFETY: `used <= byte_capacity`; the region is ours alone, and the borrow ends before anyone else sees it.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_ptr().add(self.used), self.byte_capacity - self.used) }
    }

    /// Received bytes (tests, diagnostics).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the first `used` bytes were filled through `tail`.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.used) }
    }

    /// Takes `length` bytes of the tail as received and returns their offset.
    pub fn advance(&mut self, length: usize) -> usize {
        assert!(length <= self.byte_capacity - self.used, "no more than the tail can be received");
        let at = self.used;
        self.used += length;
        at
    }
}
