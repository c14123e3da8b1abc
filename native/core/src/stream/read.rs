//! The only read loop: bytes of one stream into a batch, large ones into lent blocks.

use std::os::fd::AsFd;

use super::{BULK, ENDED, HUNG_UP, LOCAL, OVER, READABLE, Stream, TAKEN, UNSURE};
use crate::event::{Batch, Event, Op, UV_EOF};
use crate::limits::{CHUNK_BYTES, LARGE_CHUNK};
use crate::reactor::blocks::Blocks;
use crate::sys;
use crate::table::Id;

/// What a write to a peer that is gone answers once the reset has been told: no reason to end the reading with.
const BROKEN: i32 = -libc::EPIPE;

/// Below this much room in a batch a read would cut chunks small for no reason: better wait for the next batch.
pub(crate) const LEAST_ROOM: usize = 4 * 1024;

/// What a read loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The kernel has no more for now, or the end was delivered.
    Drained,
    /// More may be there: the stream's share is used up.
    More,
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

/// Reading stops before the end: the last bytes go through the program first, and through what it puts off to the check phase,
/// as with libuv. The stream stays readable, so a later turn asks again.
fn leave_end(batch: &mut Batch, share: Share) -> Progress {
    if !share.in_rounds {
        batch.seal();
    }
    Progress::EndWaits
}

/// Reads what the stream has, up to its share. Returns how it ended and how many bytes came.
pub(crate) fn read(stream: &mut Stream, id: Id, batch: &mut Batch, blocks: &mut Blocks, share: Share) -> (Progress, usize) {
    let mut total = 0;
    if stream.told == batch.stamp() && stream.flags.has_only(HUNG_UP | OVER | UNSURE, HUNG_UP) {
        return (leave_end(batch, share), total);
    }
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
                if stream.told == batch.stamp() && !stream.flags.has(OVER) {
                    return (leave_end(batch, share), total);
                }
                if stream.failure != 0 && stream.queue.is_some() {
                    // A write that failed inside its call: its error comes behind the bytes, and before the end.
                    return (Progress::EndWaits, total);
                }
                // An error that the kernel has told a write, or ourselves, it does not tell again.
                let errno = if matches!(stream.failure, 0 | BROKEN) { UV_EOF } else { stream.failure };
                end(stream, id, batch, errno);
                return (Progress::Drained, total);
            }
            Ok(count) => {
                total += count;
                stream.flags.set(TAKEN);
                stream.taken = stream.taken.wrapping_add(int(count).cast_unsigned());
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
                if count == wanted {
                    continue;
                }
                stream.told = batch.stamp();
                let gone = stream.flags.has(HUNG_UP);
                if stream.flags.has(UNSURE) || (stream.flags.has(LOCAL) && (!gone || stream.flags.has(OVER))) {
                    continue;
                }
                if stream.flags.has(OVER) {
                    // A reset that came with the last bytes: as in libuv's `uv__stream_io`, these are followed by the end.
                    end(stream, id, batch, UV_EOF);
                    return (Progress::Drained, total);
                }
                if gone {
                    return (leave_end(batch, share), total);
                }
                // Edge-triggered readiness: a read that did not fill its buffer has emptied the kernel's, and
                // whatever comes later is a new edge. No second call to be told EAGAIN.
                stream.flags.clear(READABLE);
                return (Progress::Drained, total);
            }
            Err(errno) if errno == -libc::EAGAIN => {
                give_back(blocks, lent);
                stream.flags.clear(READABLE | HUNG_UP | UNSURE);
                return (Progress::Drained, total);
            }
            Err(errno) => {
                give_back(blocks, lent);
                if stream.told != batch.stamp() {
                    end(stream, id, batch, errno);
                    return (Progress::Drained, total);
                }
                // The reset came when JavaScript had not seen the last bytes yet. To libuv both had been there together. A write
                // would have been told of it, save of sockets that tell it no write.
                let over = stream.flags.has(OVER);
                if !over || !stream.flags.has(LOCAL) {
                    stream.failure = errno;
                }
                if over {
                    end(stream, id, batch, UV_EOF);
                    return (Progress::Drained, total);
                }
                return (leave_end(batch, share), total);
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
