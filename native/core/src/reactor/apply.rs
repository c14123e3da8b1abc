//! What JavaScript asks for, applied: at once by the inline driver, in order by the offload driver. One code for both.

use std::os::fd::OwnedFd;

use super::{DIRECT, Entry, Reactor};
use crate::command::{CONNECTED, Command, NOTIFY, ONCE, Reader, SHARED, WATCHED};
use crate::dgram::{self, Datagram};
use crate::event::Op;
use crate::limits::{CLOSE_FLUSH_MS, LINGER_MS};
use crate::net::listen::Listener;
use crate::reactor::blocks::Block;
use crate::stream::copies::Copied;
use crate::stream::layer::{Layer, Worked};
use crate::stream::requests::{Lent, Piece};
use crate::stream::{self, Stream};
use crate::sys;
use crate::table::Id;

/// Who waits for the outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The JavaScript thread, inside the call: the returned status tells.
    Waits,
    /// Nobody; requests that asked for notice get an event.
    Gone,
}

/// What is posted to a reactor's inbox, or carried out at once.
#[derive(Debug)]
pub enum Posted {
    /// Commands as bytes.
    Commands(Vec<u8>),
    /// A write of lent memory, with its flags.
    WriteLent(Id, Lent, i32),
    /// A write of a copy, with its flags: it counts as written, so the original may change at once.
    WriteCopied(Id, Copied, i32),
    /// A block for large reads.
    LendBlock(Block),
    /// A layer for a stream.
    Layer(Id, Box<dyn Layer>),
    /// A stream's layer is back from its work, if that went well. Not JavaScript's: the pool posts it.
    Worked(Id, Option<Worked>),
}

impl Reactor {
    /// Carries out what was posted and returns the status of its last write: 0 done, 1 waits, or a negative errno.
    pub fn carry_out(&mut self, posted: Posted, caller: Caller) -> i32 {
        match posted {
            Posted::Commands(bytes) => self.apply(&bytes, caller),
            Posted::WriteLent(id, lent, flags) => self.write(id, Piece::Lent(lent), flags, caller),
            Posted::WriteCopied(id, bytes, flags) => self.write(id, Piece::Copied(bytes), flags, caller),
            Posted::LendBlock(block) => {
                self.blocks.lend(block);
                0
            }
            Posted::Layer(id, layer) => {
                self.put_layer(id, layer);
                0
            }
            Posted::Worked(id, worked) => {
                self.worked(id, worked);
                0
            }
        }
    }

    /// Applies a stream of commands; returns as [`Reactor::carry_out`].
    pub fn apply(&mut self, bytes: &[u8], caller: Caller) -> i32 {
        let mut status = 0;
        for command in Reader::new(bytes) {
            let Ok((id, command)) = command else {
                status = -libc::EINVAL;
                break;
            };
            match command {
                Command::Write(bytes, flags) => status = self.write(id, Piece::Bytes(bytes), flags, caller),
                Command::ReadStart(flags) => self.read_start(id, flags),
                Command::TellAgain => match self.entry(id) {
                    Some(Entry::Listener(_)) => self.tell_again(id),
                    Some(Entry::Process(_)) => self.tell_end_again(id),
                    _ => {}
                },
                Command::ReadStop => match self.entry(id) {
                    Some(Entry::Stream(stream)) => stream.flags.clear(stream::READING | stream::ONCE | stream::HELD),
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
                        self.watch_or_tell(id, Op::Exited);
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
                        let _ = self.watch(id);
                    }
                }
                Command::OpenListener(fd, flags) => {
                    if self.open(id, fd, |fd| Entry::Listener(Listener::new(fd, flags & SHARED != 0))) {
                        self.watch_or_tell(id, Op::AcceptError);
                    }
                }
                Command::OpenConnecting(fd) => {
                    if self.open(id, fd, Entry::Connecting) {
                        self.watch_or_tell(id, Op::Connected);
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
                self.tell(Op::ReadEnd, id, errno);
                false
            }
        }
    }

    fn watch_or_tell(&mut self, id: Id, failure: Op) {
        if let Err(errno) = self.watch(id) {
            self.tell(failure, id, errno);
        }
    }

    fn read_start(&mut self, id: Id, flags: i32) {
        if let Some(Entry::Datagram(_)) = self.entry(id) {
            return self.receive_start(id);
        }
        let Some(slot) = self.slot(id) else { return };
        let Entry::Stream(stream) = &mut slot.entry else { return };
        stream.flags.clear(stream::ONCE | stream::HELD);
        stream.flags.set(if flags & ONCE == 0 { stream::READING } else { stream::READING | stream::ONCE });
        if slot.state.has(DIRECT) {
            // The loop tells of what the kernel has, and of nothing else.
            return self.enqueue(id);
        }
        match self.watch(id) {
            Ok(()) => self.enqueue(id),
            Err(errno) => self.tell(Op::ReadEnd, id, errno),
        }
    }

    fn close(&mut self, id: Id, heard: i32, flags: i32) {
        let now = match self.entry(id) {
            None | Some(Entry::Vacant) => return,
            Some(Entry::Datagram(_)) => self.close_datagram(id),
            Some(Entry::Process(child)) => child.give_up(),
            Some(Entry::Stream(_)) => self.with_stream(id, |stream, _| stream::end::close(stream, heard, flags)).unwrap_or(true),
            Some(Entry::Listener(_) | Entry::Connecting(_)) => true,
        };
        if flags & NOTIFY != 0 {
            self.tell(Op::Closed, id, 0);
        }
        if now {
            self.remove(id);
        } else if !matches!(self.entry(id), Some(Entry::Process(_))) {
            let datagrams = matches!(self.entry(id), Some(Entry::Datagram(_)));
            self.linger(id, if datagrams { CLOSE_FLUSH_MS } else { u64::from(LINGER_MS) });
            let _ = self.watch(id);
            self.enqueue(id);
        }
    }
}
