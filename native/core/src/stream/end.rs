//! How a stream ends: the sending side after its writes, the whole of it when JavaScript lets go.

use std::os::fd::AsFd;

use super::{ENDING, LINGERING, READING, Stream, write};
use crate::command::{COUNTED, RESET};
use crate::limits::LINGER_MS;
use crate::sys::{self, Errno};

/// Ends the sending side, or remembers to once everything has left (None): the requests, and the last words of a layer behind
/// them.
pub(crate) fn shutdown(stream: &mut Stream, sent: &mut u64) -> Option<Errno> {
    if stream.is_leaving() || (stream.layer.is_some() && !write::say_last(stream, sent)) {
        stream.flags.set(ENDING);
        return None;
    }
    stream.flags.clear(ENDING);
    Some(sys::shutdown_write(stream.fd.as_fd()).err().unwrap_or(0))
}

/// JavaScript lets go, having been given `heard` bytes (as [`COUNTED`]). True when the descriptor can be closed now; false while acknowledged bytes remain, which
/// count as sent and must leave as a kernel's buffer would leave after `close`.
pub(crate) fn close(stream: &mut Stream, heard: i32, flags: i32) -> bool {
    stream.flags.clear(READING);
    // Bytes that were taken ahead for JavaScript and never reached it lie unread, and a kernel that closes over unread bytes
    // resets: the peer must not take what was cut off for complete.
    let held = stream.layer.as_ref().is_some_and(|layered| layered.ready() > 0);
    let unread = flags & COUNTED != 0 && (held || stream.taken != heard.cast_unsigned());
    if flags & RESET != 0 || unread {
        // A failure means that the peer reset first: closing is all that is left either way.
        let _ = sys::reset_on_close(stream.fd.as_fd());
        return true;
    }
    if let Some(queue) = stream.queue.as_mut() {
        queue.keep_acknowledged();
        // Nothing counts as written that a layer could not seal.
        if queue.is_empty() || stream.layer.as_ref().is_some_and(|layered| !layered.can_seal(queue)) {
            stream.queue = None;
        }
    }
    let broken = stream.layer.as_ref().is_some_and(|layered| layered.is_broken());
    if stream.owed().is_none() || (stream.failure != 0 && !broken) {
        return true;
    }
    stream.flags.set(LINGERING);
    // Bounds the wait for a TCP peer that does not read; other families have no such option and no such network.
    let _ = sys::set_option(stream.fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, LINGER_MS.cast_signed());
    false
}
