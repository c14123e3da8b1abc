//! The only read loop: bytes of one stream from its source into its sink, straight or through its layer.

use std::os::fd::AsFd;

use super::sink::{Halt, Sink};
use super::source::{self, Behind, Filled};
use super::{HUNG_UP, LOCAL, OVER, READABLE, Stream, UNSURE};
use crate::event::UV_EOF;
use crate::limits::CHUNK_BYTES;

/// What a write to a peer that is gone answers once the reset has been told: no reason to end the reading with.
const BROKEN: i32 = -libc::EPIPE;

/// Memory for bytes as they come off the wire, one for all streams: a layer keeps what it needs of them. There once it is needed.
#[derive(Debug, Default)]
pub(crate) struct Wire(Vec<u8>);

impl Wire {
    fn memory(&mut self) -> &mut [u8] {
        if self.0.is_empty() {
            self.0 = vec![0; CHUNK_BYTES];
        }
        &mut self.0
    }
}

/// Reads what a stream without a layer has, up to its share, from the kernel to where JavaScript finds it. Returns why it ended and how
/// many bytes came.
#[inline]
pub(crate) fn straight(stream: &mut Stream, sink: &mut Sink<'_>) -> (Halt, usize) {
    let mut total = 0;
    if sink.has_last_of(stream) && stream.flags.has_only(HUNG_UP | OVER | UNSURE, HUNG_UP) {
        return (sink.leave_end(), total);
    }
    while total < sink.share.bytes {
        let room = match sink.room(stream.flags) {
            Ok(room) => room,
            Err(halt) => return (halt, total),
        };
        // SAFETY: so says the sink of its room.
        let filled = unsafe { source::fill(stream.fd.as_fd(), &mut stream.flags, room.memory.as_ptr(), room.length) };
        let Filled::Bytes(count, behind) = filled else {
            sink.give_back(room);
            return (conclude(stream, sink, filled), total);
        };
        total += count;
        sink.tell(stream, room, count);
        if behind == Behind::More {
            continue;
        }
        sink.note_last_of(stream);
        match behind {
            Behind::More | Behind::Perhaps => {}
            Behind::Nothing => return (Halt::Drained, total),
            Behind::End => return (sink.leave_end(), total),
            // A reset that came with the last bytes: as in libuv's `uv__stream_io`, these are followed by the end.
            Behind::Over => return (sink.end(stream, UV_EOF), total),
        }
    }
    (Halt::Share, total)
}

/// As [`straight`], through a layer: what lies ready goes to JavaScript, and the kernel is asked for more once there is room for that and nothing lies ready.
#[inline(never)]
pub(crate) fn through(stream: &mut Stream, sink: &mut Sink<'_>, wire: &mut Wire) -> (Halt, usize) {
    let mut total = 0;
    while total < sink.share.bytes {
        let last = sink.has_last_of(stream);
        let Some(layered) = stream.layer.as_deref_mut() else { break };
        let (ready, emptied) = (layered.ready() > 0, layered.emptied);
        if !ready {
            if let Some(errno) = layered.end() {
                return (if last { sink.leave_end() } else { sink.end(stream, errno) }, total);
            }
            if last && stream.flags.has_only(HUNG_UP | OVER | UNSURE, HUNG_UP) {
                return (sink.leave_end(), total);
            }
            if !layered.has_to_read(stream.flags.has(READABLE)) {
                return (Halt::Drained, total);
            }
        }
        let room = match sink.room(stream.flags) {
            Ok(room) => room,
            Err(halt) => return (halt, total),
        };
        if ready {
            // SAFETY: so says the sink of its room; the memory was JavaScript's before, or is the batch's, and holds bytes.
            let count = layered.take(unsafe { std::slice::from_raw_parts_mut(room.memory.as_ptr(), room.length) });
            total += count;
            sink.tell(stream, room, count);
            if emptied {
                sink.note_last_of(stream);
            }
            continue;
        }
        sink.give_back(room);
        let memory = wire.memory();
        // SAFETY: memory of ours.
        let filled = unsafe { source::fill(stream.fd.as_fd(), &mut stream.flags, memory.as_mut_ptr(), memory.len()) };
        let Filled::Bytes(count, behind) = filled else { return (conclude(stream, sink, filled), total) };
        layered.emptied = behind != Behind::More;
        layered.open(&mut memory[..count]);
        // What was opened may mean nothing yet, so the end is never told here: the kernel tells of it once more.
    }
    (Halt::Share, total)
}

/// The source gave no bytes: when, and as what, the end behind the last ones is told.
fn conclude(stream: &mut Stream, sink: &mut Sink<'_>, filled: Filled) -> Halt {
    match filled {
        Filled::Bytes(..) | Filled::Drained => Halt::Drained,
        Filled::End => {
            if sink.has_last_of(stream) && !stream.flags.has(OVER) {
                return sink.leave_end();
            }
            if stream.failure != 0 && stream.is_leaving() {
                // A write that failed inside its call: its error comes behind the bytes, and before the end.
                return Halt::EndWaits;
            }
            // An error that the kernel has told a write, or ourselves, it does not tell again.
            let meant = stream.layer.as_ref().map_or(UV_EOF, |layered| layered.cut_short());
            let errno = if matches!(stream.failure, 0 | BROKEN) { meant } else { stream.failure };
            sink.end(stream, errno)
        }
        Filled::Failed(errno) => {
            if !sink.has_last_of(stream) {
                return sink.end(stream, errno);
            }
            // The reset came when JavaScript had not seen the last bytes yet. To libuv both had been there together. A write
            // would have been told of it, save of sockets that tell it no write.
            let over = stream.flags.has(OVER);
            if !over || !stream.flags.has(LOCAL) {
                stream.failure = errno;
            }
            if over { sink.end(stream, UV_EOF) } else { sink.leave_end() }
        }
    }
}
