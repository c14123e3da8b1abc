//! Where a stream's bytes go: into the batch or a lent block, and how JavaScript is told of them and of their end.

use std::ptr::NonNull;

use super::{BULK, ENDED, HELD, ONCE, OVER, READABLE, Stream, TAKEN};
use crate::event::{Batch, Event, Op};
use crate::flags::Flags;
use crate::limits::{CHUNK_BYTES, LARGE_CHUNK};
use crate::reactor::blocks::{Block, Blocks};
use crate::sys::Errno;
use crate::table::Id;

/// Below this much room in a batch a read would cut chunks small for no reason: better wait for the next batch.
pub(crate) const LEAST_ROOM: usize = 4 * 1024;

/// Why a stream's reading came to a halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// There is no more for now, or the end was told.
    Drained,
    /// More may be there: the stream's share is used up.
    Share,
    /// More may be there, but the batch has no room.
    Full,
    /// The bytes are read; the end behind them belongs into a later batch.
    EndWaits,
    /// More may be there, but JavaScript has all the blocks: bytes in a batch would have to be copied.
    NoBlock,
}

/// How much a stream may read at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) bytes: usize,
    /// In rounds, each of which has a batch of its own and is told at once.
    pub(crate) in_rounds: bool,
}

/// Memory for the next bytes.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) memory: NonNull<u8>,
    pub(crate) length: usize,
    block: Option<Block>,
}

/// Where one stream's bytes go in one turn.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) id: Id,
    pub(crate) batch: &'a mut Batch,
    pub(crate) blocks: &'a mut Blocks,
    pub(crate) share: Share,
}

impl Sink<'_> {
    /// Memory for what comes next, or why there is none. It is valid for writes of its length until it is given back or
    /// [told](Sink::tell) of, and nobody reads it sooner.
    #[inline(always)]
    pub(crate) fn room(&mut self, flags: Flags) -> Result<Room, Halt> {
        // The bytes, and the end that may have come with them.
        if !self.batch.has_room_for(if flags.has(OVER) { 2 } else { 1 }) {
            return Err(Halt::Full);
        }
        if flags.has(BULK) {
            if self.blocks.are_out() {
                return Err(Halt::NoBlock);
            }
            if let Some(block) = self.blocks.borrow() {
                return Ok(Room { memory: block.memory, length: CHUNK_BYTES, block: Some(block) });
            }
        }
        let tail = self.batch.tail();
        let length = tail.len().min(CHUNK_BYTES);
        if length < LEAST_ROOM { Err(Halt::Full) } else { Ok(Room { memory: NonNull::from(tail).cast(), length, block: None }) }
    }

    /// Memory that nothing went into.
    #[inline]
    pub(crate) fn give_back(&mut self, room: Room) {
        if let Some(block) = room.block {
            self.blocks.lend(block);
        }
    }

    /// Tells of bytes that lie in a room: a chunk for the program. A reader that has asked for one chunk and no more has had it here.
    #[inline(always)]
    pub(crate) fn tell(&mut self, stream: &mut Stream, room: Room, count: usize) {
        stream.taken = stream.taken.wrapping_add(int(count).cast_unsigned());
        if stream.flags.has(ONCE) {
            stream.flags.set(HELD);
        }
        self.batch.count(count);
        let (op, a) = match room.block {
            Some(block) => (Op::Block, block.index.cast_signed()),
            None => (Op::Data, int(self.batch.advance(count))),
        };
        self.batch.push(Event { op, id: self.id, a, b: int(count), c: 0 });
        if count >= LARGE_CHUNK {
            stream.flags.set(BULK);
            self.blocks.want();
        } else {
            stream.flags.clear(BULK);
        }
    }

    /// True when the batch has the stream's last bytes in it.
    #[inline]
    pub(crate) fn has_last_of(&self, stream: &Stream) -> bool {
        stream.last_batch == self.batch.stamp()
    }

    /// What is there has been told.
    #[inline]
    pub(crate) fn note_last_of(&self, stream: &mut Stream) {
        stream.last_batch = self.batch.stamp();
    }

    /// Tells of the end of reading.
    pub(crate) fn end(&mut self, stream: &mut Stream, errno: Errno) -> Halt {
        stream.flags.set(ENDED | TAKEN);
        stream.flags.clear(READABLE);
        self.batch.push(Event::new(Op::ReadEnd, self.id, errno));
        Halt::Drained
    }

    /// Reading stops before the end: the last bytes go through the program first, and through what it puts off to the check phase,
    /// as with libuv. The stream stays readable, so a later turn asks again.
    pub(crate) fn leave_end(&mut self) -> Halt {
        if !self.share.in_rounds {
            self.batch.seal();
        }
        Halt::EndWaits
    }
}

fn int(count: usize) -> i32 {
    i32::try_from(count).expect("a batch is far below 2 GiB")
}
