//! What leaves a stream: a request's first try, later ones, and what JavaScript is told of either.

use super::{Caller, DEAD, Entry, Reactor, Slot};
use crate::command::{MORE, NOTIFY};
use crate::event::{FULL, Op};
use crate::limits::LINGER_MS;
use crate::stream::requests::Piece;
use crate::stream::write::Written;
use crate::stream::{self, Stream};
use crate::sys::Errno;
use crate::table::Id;

/// When a write's failure is told: what the peer has said comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// At once.
    Now,
    /// At once to whoever waits for it. Who does not learns from the end of reading.
    ByReading,
    /// Once more has been read.
    Waits,
}

/// Whether a write's failure is left to the next turn, which reads first: the peer may have answered before it went. Not
/// where the caller hears of it in the call, as it does of a write that libuv tries at once; one that stands in line libuv
/// does not try.
fn leaves_failure(stream: &mut Stream, errno: Errno, flags: i32, caller: Caller) -> bool {
    let in_line = stream.queue.as_ref().is_some_and(|queue| queue.is_line());
    if !stream.reads() || !(in_line || (caller == Caller::Gone && flags & NOTIFY != 0)) {
        return false;
    }
    stream.failure = errno;
    stream.flags.set(stream::READABLE | stream::UNSURE | stream::WRITABLE);
    true
}

impl Reactor {
    /// Does something to a stream that may change what waits to be written to it, and keeps count of that. `sent` is counted by
    /// the second argument.
    #[inline(always)]
    pub(super) fn with_stream<R>(&mut self, id: Id, act: impl FnOnce(&mut Stream, &mut u64) -> R) -> Option<R> {
        let slot = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation);
        let Some(Slot { entry: Entry::Stream(stream), .. }) = slot else { return None };
        let before = stream.queued();
        let result = act(stream, &mut self.stats.sent);
        self.queued = self.queued - before + stream.queued();
        Some(result)
    }

    /// One piece of a request, and if it is the last the first try to send it.
    pub(super) fn write(&mut self, id: Id, piece: Piece<'_>, flags: i32, caller: Caller) -> i32 {
        let mut done = 0;
        let Some(outcome) = self.with_stream(id, |stream, sent| stream::write::write(stream, piece, flags, sent, &mut done)) else {
            // Whoever posted it waits for its end.
            if caller == Caller::Gone && flags & (NOTIFY | MORE) == NOTIFY {
                self.tell(Op::WriteDone, id, -libc::EBADF);
            }
            return -libc::EBADF;
        };
        let Some(Entry::Stream(stream)) = self.entry(id) else { return -libc::EBADF };
        match outcome {
            Written::Done => {
                // `done` counts those before it too, and this request itself only when it went through the queue.
                let own = u32::from(flags & NOTIFY != 0);
                let ended = if caller == Caller::Gone { done.max(own) } else { done.saturating_sub(own) };
                self.tell_written(id, ended, 0);
                self.relieve(id);
                0
            }
            Written::Waits => {
                let full = stream.waits_to_write();
                self.tell_written(id, done, 0);
                if full && let Err(errno) = self.watch(id) {
                    return self.fail_request(id, errno, flags, caller);
                }
                self.enqueue(id);
                self.press(id, flags, caller);
                1
            }
            Written::Failed(errno) if leaves_failure(stream, errno, flags, caller) => {
                self.enqueue(id);
                1
            }
            Written::Failed(errno) => self.fail_request(id, errno, flags, caller),
        }
    }

    /// A request failed: those before it that still wait fail with it, it itself as its caller learns it.
    fn fail_request(&mut self, id: Id, errno: Errno, flags: i32, caller: Caller) -> i32 {
        // A request is told of once, by its last piece, and is among the awaited; who waits for it is told by the status
        // instead.
        let answered = flags & (NOTIFY | MORE) == NOTIFY && caller == Caller::Waits;
        self.fail(id, errno, answered, flags & NOTIFY == 0);
        errno
    }

    /// Offers the kernel what a stream has queued, reports what came of it, and says how it stands; None if it is no stream.
    pub(super) fn flush(&mut self, id: Id, tells: Tells) -> Option<Written> {
        let (mut done, before) = (0, self.stats.sent);
        let outcome = self.with_stream(id, |stream, sent| stream::write::flush(stream, sent, &mut done))?;
        let progressed = self.stats.sent != before;
        self.tell_written(id, done, 0);
        let Some(Entry::Stream(stream)) = self.entry(id) else { return None };
        let lingers = stream.flags.has(stream::LINGERING);
        match outcome {
            Written::Failed(errno) if tells == Tells::Waits => {
                // The next turns read on, and come back here.
                stream.failure = errno;
                return Some(Written::Waits);
            }
            Written::Failed(errno) => {
                let awaited = stream.awaited() > 0;
                self.fail(id, errno, false, !awaited && !lingers && tells != Tells::ByReading);
            }
            Written::Done if !stream.is_leaving() => self.relieve(id),
            // A layer has things to say of its own, for which nobody has asked the kernel yet.
            Written::Waits if stream.layer.is_some() && stream.waits_to_write() => {
                // Should that fail, what waits leaves with the next write.
                let _ = self.watch(id);
            }
            Written::Done | Written::Waits => {}
        }
        if lingers {
            match self.entry(id) {
                Some(Entry::Stream(stream)) if !stream.is_leaving() => self.remove(id),
                _ if progressed => self.linger(id, u64::from(LINGER_MS)),
                _ => {}
            }
        }
        Some(outcome)
    }

    /// Nothing leaves a stream any more: whatever waits fails. `answered` says that the caller of the newest request learns it
    /// from the call, `tells` that there is one whose bytes count as written.
    pub(super) fn fail(&mut self, id: Id, errno: Errno, answered: bool, tells: bool) {
        let Some(awaited) = self.with_stream(id, |stream, _| {
            stream.failure = errno;
            stream.drop_requests()
        }) else {
            return;
        };
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        let (ending, pressed) = (stream.flags.has(stream::ENDING), stream.flags.has(stream::PRESSED));
        stream.flags.clear(stream::ENDING);
        self.tell_written(id, awaited.saturating_sub(u32::from(answered)), errno);
        if tells {
            self.tell(Op::WriteFailed, id, errno);
        }
        if ending {
            self.tell(Op::ShutdownDone, id, errno);
        }
        if pressed {
            // It stays so: what is written from here on does not count as written.
            self.tell_pressure(id, DEAD);
        }
    }

    /// Nothing of a stream waits any more: what waited for that follows.
    pub(super) fn relieve(&mut self, id: Id) {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        if stream.is_leaving() {
            return;
        }
        let (ending, pressed) = (stream.flags.has(stream::ENDING), stream.flags.has(stream::PRESSED));
        stream.flags.clear(stream::PRESSED);
        let ended = if ending { self.end_sending(id) } else { None };
        if pressed {
            self.tell(Op::Pressure, id, 0);
        }
        if let Some(status) = ended {
            self.tell(Op::ShutdownDone, id, status);
        }
    }

    /// Tells JavaScript, which acknowledges writes on its own while the offload driver has the seat or they gather, that the
    /// kernel's buffer is full: behind an acknowledged write whoever has it, and always where nobody waits for the status.
    fn press(&mut self, id: Id, flags: i32, caller: Caller) {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        if (caller == Caller::Gone || flags & NOTIFY == 0) && stream.is_full() && !stream.flags.has(stream::PRESSED) {
            stream.flags.set(stream::PRESSED);
            self.tell_pressure(id, FULL);
        }
    }

    fn tell_written(&mut self, id: Id, requests: u32, status: i32) {
        for _ in 0..requests {
            self.tell(Op::WriteDone, id, status);
        }
    }

    /// Bytes of a stream that the kernel has not taken.
    pub fn unsent(&mut self, id: Id) -> usize {
        self.entry(id).map_or(0, |entry| entry.queued())
    }

    /// Ends the sending side of a stream once all that waits has left; None until then.
    fn end_sending(&mut self, id: Id) -> Option<Errno> {
        let ended = self.with_stream(id, stream::end::shutdown).unwrap_or(Some(-libc::ENOTCONN));
        if ended.is_none() {
            // A layer's last words: nobody has asked the kernel yet when it takes them. Should that fail, it is tried again at the close.
            let _ = self.watch(id);
        }
        ended
    }

    pub(super) fn shutdown(&mut self, id: Id, flags: i32) {
        if let Some(status) = self.end_sending(id)
            && flags & NOTIFY != 0
        {
            self.tell(Op::ShutdownDone, id, status);
        }
    }
}
