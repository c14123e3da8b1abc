//! What JavaScript asks for, applied: at once by the inline driver, in order by the offload driver. One code for both.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use super::{Entry, Reactor};
use crate::command::{CONNECTED, Command, MORE, NOTIFY, Reader, SHARED, WATCHED};
use crate::dgram::{self, Datagram};
use crate::event::{Event, FULL, Op};
use crate::net::listen::Listener;
use crate::reactor::blocks::Block;
use crate::stream::copies::Copied;
use crate::stream::write::{Lent, Piece, Written};
use crate::stream::{self, Stream};
use crate::sys::{self, Errno};
use crate::table::Id;

/// Who waits for the outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The JavaScript thread, inside the call: the returned status tells.
    Waits,
    /// Nobody; requests that asked for notice get an event.
    Gone,
}

/// A request that needs more than bytes.
#[derive(Debug)]
pub enum Request {
    /// Commands as bytes.
    Commands(Vec<u8>),
    /// A write of lent memory, with its flags.
    WriteLent(Id, Lent, i32),
    /// A write of a copy, with its flags: it counts as written, so the original may change at once.
    WriteCopied(Id, Copied, i32),
    /// A block for large reads.
    LendBlock(Block),
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
    /// Applies one request and returns the status of its last write: 0 done, 1 waits, or a negative errno.
    pub fn request(&mut self, request: Request, caller: Caller) -> i32 {
        match request {
            Request::Commands(bytes) => self.apply(&bytes, caller),
            Request::WriteLent(id, lent, flags) => self.write(id, Piece::Lent(lent), flags, caller),
            Request::WriteCopied(id, bytes, flags) => self.write(id, Piece::Copied(bytes), flags, caller),
            Request::LendBlock(block) => {
                self.blocks.lend(block);
                0
            }
        }
    }

    /// Applies a stream of commands; returns as [`Reactor::request`].
    pub fn apply(&mut self, bytes: &[u8], caller: Caller) -> i32 {
        let mut status = 0;
        for command in Reader::new(bytes) {
            let Ok((id, command)) = command else {
                status = -libc::EINVAL;
                break;
            };
            match command {
                Command::Write(bytes, flags) => status = self.write(id, Piece::Bytes(bytes), flags, caller),
                Command::ReadStart => self.read_start(id),
                Command::ReadStop => match self.entry(id) {
                    Some(Entry::Stream(stream)) => stream.flags.clear(stream::READING),
                    Some(Entry::Datagram(socket)) => socket.flags.clear(dgram::RECEIVING),
                    _ => {}
                },
                Command::OpenDatagram(fd, flags) => {
                    self.open(id, fd, |fd| {
                        let mut socket = Datagram::new(fd);
                        if flags & SHARED != 0 {
                            socket.flags.set(dgram::SHARED);
                        }
                        Entry::Datagram(Box::new(socket))
                    });
                }
                Command::OpenProcess(fd) => {
                    self.stats.spawned += 1;
                    if self.open(id, fd, Entry::process) {
                        self.watch(id, fd, Op::Exited);
                    }
                }
                Command::Share => match self.entry(id) {
                    Some(Entry::Listener(listener)) => listener.shared = true,
                    _ => self.share_datagram(id),
                },
                Command::KeepBuffer => {
                    if let Some(Entry::Datagram(socket)) = self.entry(id) {
                        socket.flags.set(dgram::OWN_BUFFER);
                    }
                }
                Command::Send(peer, bytes, flags) => self.queue_datagram(id, peer, bytes, flags),
                Command::OpenStream(fd, flags) => {
                    self.stats.connected += u64::from(flags & CONNECTED != 0);
                    if self.open(id, fd, |fd| Entry::Stream(Stream::of_any(fd))) && flags & WATCHED != 0 {
                        // Only to know sooner: a write that fails tells as well.
                        let _ = self.watch_stream(id);
                    }
                }
                Command::OpenListener(fd, flags) => {
                    if self.open(id, fd, |fd| Entry::Listener(Listener::new(fd, flags & SHARED != 0))) {
                        self.watch(id, fd, Op::AcceptError);
                    }
                }
                Command::OpenConnecting(fd) => {
                    if self.open(id, fd, Entry::Connecting) {
                        self.watch(id, fd, Op::Connected);
                    }
                }
                Command::Shutdown(flags) => self.shutdown(id, flags),
                Command::Close(heard, flags) => self.close(id, heard, flags),
            }
        }
        self.send_datagrams();
        status
    }

    /// True when the socket is in the table. An id that was not handed out, or is taken, opens nothing: the table
    /// grows with ids, and what is in it must be closed before it is replaced.
    fn open(&mut self, id: Id, fd: i32, entry: impl FnOnce(OwnedFd) -> Entry) -> bool {
        if !self.ids.is_live(id) || self.entry(id).is_some_and(|entry| !matches!(entry, Entry::Vacant)) {
            return false;
        }
        match sys::adopt(fd) {
            Ok(fd) => {
                self.place(id, entry(fd));
                true
            }
            Err(errno) => {
                self.ids.release(id);
                self.backlog.push_back(Event::new(Op::ReadEnd, id, errno));
                false
            }
        }
    }

    fn watch(&mut self, id: Id, fd: i32, failure: Op) {
        if let Err(errno) = self.register(fd, id) {
            self.backlog.push_back(Event::new(failure, id, errno));
        }
    }

    /// Registers a stream the first time that readiness matters: a connection that is only passed on to another
    /// process never gets here.
    pub(super) fn watch_stream(&mut self, id: Id) -> Result<(), Errno> {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return Ok(()) };
        if stream.flags.has(stream::REGISTERED) {
            return Ok(());
        }
        if stream.flags.has(stream::DIRECT) {
            self.forget_direct(id);
        }
        let Some(Entry::Stream(stream)) = self.entry(id) else { return Ok(()) };
        let fd = stream.fd.as_raw_fd();
        match self.register(fd, id) {
            Ok(()) => {}
            // A regular file or a directory is always ready and cannot be watched.
            Err(errno) if errno == -libc::EPERM => {
                if let Some(Entry::Stream(stream)) = self.entry(id) {
                    stream.flags.set(stream::READABLE | stream::WRITABLE | stream::HUNG_UP);
                }
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
        if let Some(Entry::Stream(stream)) = self.entry(id) {
            stream.flags.set(stream::REGISTERED);
        }
        Ok(())
    }

    fn read_start(&mut self, id: Id) {
        match self.entry(id) {
            Some(Entry::Datagram(_)) => return self.receive_start(id),
            Some(Entry::Listener(_)) => return self.tell_again(id),
            Some(Entry::Process(_)) => return self.tell_end_again(id),
            _ => {}
        }
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        stream.flags.set(stream::READING);
        if stream.flags.has(stream::DIRECT) {
            return;
        }
        match self.watch_stream(id) {
            Ok(()) => self.enqueue(id),
            Err(errno) => self.backlog.push_back(Event::new(Op::ReadEnd, id, errno)),
        }
    }

    fn write(&mut self, id: Id, piece: Piece<'_>, flags: i32, caller: Caller) -> i32 {
        let Some(slot) = self.table.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation) else { return -libc::EBADF };
        let Entry::Stream(stream) = &mut slot.entry else { return -libc::EBADF };
        let mut done = 0;
        let outcome = stream::write::write(stream, piece, flags, &mut self.stats.sent, &mut done);
        match outcome {
            Written::Done => {
                // `done` counts those before it too, and this request itself only when it went through the queue.
                let own = u32::from(flags & NOTIFY != 0);
                let told = if caller == Caller::Gone { done.max(own) } else { done.saturating_sub(own) };
                for _ in 0..told {
                    self.backlog.push_back(Event::new(Op::WriteDone, id, 0));
                }
                self.after_flush(id);
                0
            }
            Written::Waits => {
                for _ in 0..done {
                    self.backlog.push_back(Event::new(Op::WriteDone, id, 0));
                }
                if let Err(errno) = self.watch_stream(id) {
                    return self.fail_write(id, errno, flags, caller);
                }
                self.enqueue(id);
                self.press(id, caller);
                1
            }
            Written::Failed(errno) if leaves_failure(stream, errno, flags, caller) => {
                self.enqueue(id);
                1
            }
            Written::Failed(errno) => self.fail_write(id, errno, flags, caller),
        }
    }

    /// A request failed: those before it that still wait fail with it, it itself as its caller learns it.
    fn fail_write(&mut self, id: Id, errno: Errno, flags: i32, caller: Caller) -> i32 {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return errno };
        let mut awaited = stream.queue.take().map_or(0, |queue| queue.awaited());
        stream.failure = errno;
        let ending = stream.flags.has(stream::ENDING);
        stream.flags.clear(stream::ENDING);
        // A request is told of once, by its last piece, and is among the awaited; who waits for it is told by the status
        // instead.
        if flags & (NOTIFY | MORE) == NOTIFY && caller == Caller::Waits {
            awaited = awaited.saturating_sub(1);
        }
        for _ in 0..awaited {
            self.backlog.push_back(Event::new(Op::WriteDone, id, errno));
        }
        if caller == Caller::Gone && flags & NOTIFY == 0 {
            self.backlog.push_back(Event::new(Op::WriteFailed, id, errno));
        }
        if ending {
            self.backlog.push_back(Event::new(Op::ShutdownDone, id, errno));
        }
        errno
    }

    /// Tells JavaScript, which acknowledges writes on its own while the offload driver has the seat, that the
    /// kernel's buffer is full.
    fn press(&mut self, id: Id, caller: Caller) {
        let Some(Entry::Stream(stream)) = self.entry(id) else { return };
        if caller == Caller::Gone && !stream.flags.has(stream::WRITABLE) && !stream.flags.has(stream::PRESSED) {
            stream.flags.set(stream::PRESSED);
            self.tell_pressure(id, FULL);
        }
    }

    /// Bytes of a stream that the kernel has not taken.
    pub fn unsent(&mut self, id: Id) -> usize {
        match self.entry(id) {
            Some(Entry::Stream(stream)) => stream.queue.as_ref().map_or(0, |queue| queue.bytes()),
            _ => 0,
        }
    }

    fn after_flush(&mut self, id: Id) {
        if let Some(Entry::Stream(stream)) = self.entry(id)
            && stream.queue.is_none()
            && stream.flags.has(stream::PRESSED)
        {
            stream.flags.clear(stream::PRESSED);
            self.backlog.push_back(Event::new(Op::Pressure, id, 0));
        }
    }

    fn shutdown(&mut self, id: Id, flags: i32) {
        let status = match self.entry(id) {
            Some(Entry::Stream(stream)) => stream::end::shutdown(stream),
            _ => Some(-libc::ENOTCONN),
        };
        if let Some(status) = status
            && flags & NOTIFY != 0
        {
            self.backlog.push_back(Event::new(Op::ShutdownDone, id, status));
        }
    }

    fn close(&mut self, id: Id, heard: i32, flags: i32) {
        let now = match self.entry(id) {
            None | Some(Entry::Vacant) => return,
            Some(Entry::Datagram(_)) => self.finish_datagram(id),
            Some(Entry::Process(child)) => child.give_up(),
            Some(Entry::Stream(stream)) => stream::end::close(stream, heard, flags),
            Some(Entry::Listener(_) | Entry::Connecting(_)) => true,
        };
        if flags & NOTIFY != 0 {
            self.backlog.push_back(Event::new(Op::Closed, id, 0));
        }
        if now {
            self.remove(id);
        } else if !matches!(self.entry(id), Some(Entry::Process(_))) {
            let mut lingering = std::mem::take(&mut self.lingering);
            lingering.begin(id, Instant::now(), |id| self.lingers(id));
            self.lingering = lingering;
            let _ = self.watch_stream(id);
            self.enqueue(id);
        }
    }
}
