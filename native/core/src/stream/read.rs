//! The only read loop: bytes of one stream into a batch, large ones into lent blocks.

use std::os::fd::AsFd;

use super::{BULK, ENDED, HUNG_UP, OVER, READABLE, Stream, TAKEN};
use crate::event::{Batch, Event, Op, UV_EOF};
use crate::limits::{CHUNK_BYTES, LARGE_CHUNK};
use crate::reactor::blocks::Blocks;
use crate::sys;
use crate::table::Id;

/// Below this much room in a batch a read would cut chunks small for no reason: better wait for the next batch.
const LEAST_ROOM: usize = 4 * 1024;

/// What a read loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The kernel has no more for now, or the end was delivered.
    Drained,
    /// More may be there: the stream's share is used up.
    More,
    /// More may be there, but the batch has no room.
    Full,
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

/// Reads what the stream has, up to its share. Returns how it ended and how many bytes came.
pub(crate) fn read(stream: &mut Stream, id: Id, batch: &mut Batch, blocks: &mut Blocks, share: Share) -> (Progress, usize) {
    let mut total = 0;
    while total < share.bytes {
        // The bytes, and the end that may have come with them.
        if !batch.has_room_for(if stream.flags.has(OVER) { 2 } else { 1 }) {
            return (Progress::Full, total);
        }
        if stream.flags.has(BULK) && blocks.are_out() {
            return (Progress::NoBlock, total);
        }
        let lent = if stream.flags.has(BULK) { blocks.borrow() } else { None };
        let (result, wanted) = if let Some(block) = lent {
            // SAFETY: a borrowed block is CHUNK_BYTES of memory that JavaScript lent and does not touch until it is
            // told of it.
            (unsafe { sys::read_raw(stream.fd.as_fd(), block.memory.as_ptr(), CHUNK_BYTES) }, CHUNK_BYTES)
        } else {
            let tail = batch.tail();
            let wanted = tail.len().min(CHUNK_BYTES);
            if wanted < LEAST_ROOM {
                return (Progress::Full, total);
            }
            (sys::read(stream.fd.as_fd(), &mut tail[..wanted]), wanted)
        };
        match result {
            Ok(0) => {
                give_back(blocks, lent);
                if stream.told == batch.stamp() {
                    // As with libuv the last bytes go through the program first, and through what it puts off to the check
                    // phase. The kernel will say so again.
                    if share.in_rounds {
                        return (Progress::Drained, total);
                    }
                    batch.seal();
                    return (Progress::Full, total);
                }
                let errno = if stream.failure == -libc::ECONNRESET { stream.failure } else { UV_EOF };
                end(stream, id, batch, errno);
                return (Progress::Drained, total);
            }
            Ok(count) => {
                total += count;
                stream.flags.set(TAKEN);
                batch.count(count);
                match lent {
                    Some(block) => batch.push(Event { op: Op::Block, id, a: block.index.cast_signed(), b: int(count), c: 0 }),
                    None => {
                        let offset = batch.advance(count);
                        batch.push(Event { op: Op::Data, id, a: int(offset), b: int(count), c: 0 });
                    }
                }
                if count >= LARGE_CHUNK {
                    stream.flags.set(BULK);
                    blocks.want();
                } else {
                    stream.flags.clear(BULK);
                }
                if count < wanted {
                    stream.told = batch.stamp();
                }
                if count < wanted && stream.flags.has(OVER) {
                    // A reset that came with the last bytes: as in libuv's `uv__stream_io`, these are followed by the end.
                    end(stream, id, batch, UV_EOF);
                    return (Progress::Drained, total);
                }
                if count < wanted && !stream.flags.has(HUNG_UP) {
                    // Edge-triggered readiness: a read that did not fill its buffer has emptied the kernel's, and
                    // whatever comes later is a new edge. No second call to be told EAGAIN.
                    stream.flags.clear(READABLE);
                    return (Progress::Drained, total);
                }
            }
            Err(errno) if errno == -libc::EAGAIN => {
                give_back(blocks, lent);
                stream.flags.clear(READABLE | HUNG_UP);
                return (Progress::Drained, total);
            }
            Err(errno) => {
                give_back(blocks, lent);
                end(stream, id, batch, errno);
                return (Progress::Drained, total);
            }
        }
    }
    (Progress::More, total)
}

fn give_back(blocks: &mut Blocks, lent: Option<crate::reactor::blocks::Block>) {
    if let Some(block) = lent {
        blocks.lend(block);
    }
}

fn end(stream: &mut Stream, id: Id, batch: &mut Batch, errno: i32) {
    stream.flags.set(ENDED | TAKEN);
    stream.flags.clear(READABLE);
    batch.push(Event::new(Op::ReadEnd, id, errno));
}

fn int(count: usize) -> i32 {
    i32::try_from(count).expect("a batch is far below 2 GiB")
}
