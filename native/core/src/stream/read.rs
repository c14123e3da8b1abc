//! The only read loop: bytes of one stream from its source into its sink, straight or through its layer.

use std::os::fd::AsFd;

use super::sink::{Halt, Sink};
use super::source::{self, Behind, Filled};
use super::{HUNG_UP, LOCAL, OVER, Stream, UNSURE};
use crate::event::UV_EOF;

/// What a write to a peer that is gone answers once the reset has been told: no reason to end the reading with.
const BROKEN: i32 = -libc::EPIPE;

/// Reads what the stream has, up to its share. Returns why it ended and how many bytes came.
pub(crate) fn read(stream: &mut Stream, sink: &mut Sink<'_>) -> (Halt, usize) {
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

/// The source gave no bytes: when, and as what, the end behind the last ones is told.
fn conclude(stream: &mut Stream, sink: &mut Sink<'_>, filled: Filled) -> Halt {
    match filled {
        Filled::Bytes(..) | Filled::Drained => Halt::Drained,
        Filled::End => {
            if sink.has_last_of(stream) && !stream.flags.has(OVER) {
                return sink.leave_end();
            }
            if stream.failure != 0 && stream.queue.is_some() {
                // A write that failed inside its call: its error comes behind the bytes, and before the end.
                return Halt::EndWaits;
            }
            // An error that the kernel has told a write, or ourselves, it does not tell again.
            let errno = if matches!(stream.failure, 0 | BROKEN) { UV_EOF } else { stream.failure };
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
