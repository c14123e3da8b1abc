//! What JavaScript asked to have written, request by request: which pieces wait, which of their ends somebody waits for, what of
//! them counts as written. Plaintext, whatever leaves the process in the end.

use std::collections::VecDeque;
use std::ptr::NonNull;

use super::copies::Copied;
use crate::command::{MORE, NOTIFY};
use crate::limits::WRITE_IOVECS;

/// Bytes of one piece of a request.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Borrowed for the call; copied if it has to wait.
    Bytes(&'a [u8]),
    /// Ours: moved into the queue if it has to wait.
    Copied(Copied),
    /// JavaScript's memory, kept by it until the request's end is reported (or the socket's).
    Lent(Lent),
}

/// JavaScript's memory on loan for writing.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    memory: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is only read, through a pointer whose validity does not depend on a thread.
unsafe impl Send for Lent {}

impl Lent {
    /// Memory on loan.
    ///
    /// # Safety
    /// Valid for reads and unchanged until the request's end, or that of its socket, has been reported.
    #[must_use]
    pub unsafe fn new(memory: NonNull<u8>, length: usize) -> Self {
        Self { memory, length }
    }
}

#[derive(Debug)]
enum Data {
    Owned(Vec<u8>),
    Copied(Copied),
    Lent(Lent),
}

#[derive(Debug)]
struct Chunk {
    data: Data,
    offset: usize,
    /// The last piece of its request.
    last: bool,
    /// The request asked for notice.
    notify: bool,
}

impl Piece<'_> {
    /// Its bytes, valid for the call.
    pub(crate) fn whole(&self) -> &[u8] {
        match self {
            Piece::Bytes(bytes) => bytes,
            Piece::Copied(bytes) => bytes,
            // SAFETY: valid for the call at least (Lent::new).
            Piece::Lent(lent) => unsafe { std::slice::from_raw_parts(lent.memory.as_ptr(), lent.length) },
        }
    }
}

impl Chunk {
    fn new(piece: Piece<'_>, offset: usize, flags: i32) -> Self {
        let data = match piece {
            Piece::Bytes(bytes) => return Self::of(Data::Owned(bytes[offset..].to_vec()), 0, flags),
            Piece::Copied(bytes) => Data::Copied(bytes),
            Piece::Lent(lent) => Data::Lent(lent),
        };
        Self::of(data, offset, flags)
    }

    fn of(data: Data, offset: usize, flags: i32) -> Self {
        Self { data, offset, last: flags & MORE == 0, notify: flags & NOTIFY != 0 }
    }

    fn rest(&self) -> &[u8] {
        match &self.data {
            Data::Owned(bytes) => &bytes[self.offset..],
            Data::Copied(bytes) => &bytes[self.offset..],
            // SAFETY: valid until the request's end is reported (Lent::new), which happens after this chunk is gone.
            Data::Lent(lent) => unsafe { std::slice::from_raw_parts(lent.memory.as_ptr().add(self.offset), lent.length - self.offset) },
        }
    }
}

/// The requests that have not left, in order.
#[derive(Debug, Default)]
pub struct Requests {
    chunks: VecDeque<Chunk>,
    /// Chunks of requests whose last piece is here; the rest must wait for theirs.
    complete: usize,
    /// Bytes in all of them.
    bytes: usize,
}

impl Requests {
    /// Adds what is left of a piece once so many of its bytes have left.
    pub(crate) fn push(&mut self, piece: Piece<'_>, left: usize, flags: i32) {
        let chunk = Chunk::new(piece, left, flags);
        let last = chunk.last;
        self.bytes += chunk.rest().len();
        self.chunks.push_back(chunk);
        if last {
            self.complete = self.chunks.len();
        }
    }

    /// The next pieces whose requests are complete, no more of them than one call takes.
    pub(crate) fn front(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().take(self.complete.min(WRITE_IOVECS)).map(Chunk::rest)
    }

    /// So many bytes have left; how many requests that asked for notice ended with them.
    pub(crate) fn advance(&mut self, mut count: usize) -> u32 {
        self.bytes -= count;
        let mut ended = 0;
        while let Some(chunk) = self.chunks.front_mut() {
            let rest = chunk.rest().len();
            if count < rest || self.complete == 0 {
                chunk.offset += count;
                break;
            }
            count -= rest;
            self.complete -= 1;
            ended += u32::from(chunk.last && chunk.notify);
            self.chunks.pop_front();
        }
        ended
    }

    /// True when a flush has something to send.
    pub(crate) fn is_due(&self) -> bool {
        self.complete > 0
    }

    /// True when more than one piece is in it.
    pub(crate) fn is_line(&self) -> bool {
        self.chunks.len() > 1
    }

    /// Requests in the queue that asked for notice.
    pub(crate) fn awaited(&self) -> u32 {
        u32::try_from(self.chunks.iter().filter(|chunk| chunk.last && chunk.notify).count()).unwrap_or(u32::MAX)
    }

    /// Drops everything that was not acknowledged: the first request that asked for notice and all after it (every
    /// piece of a request carries its flags), and a request whose last piece never came.
    pub(crate) fn keep_acknowledged(&mut self) {
        let kept = self.chunks.iter().position(|chunk| chunk.notify).unwrap_or(self.chunks.len());
        self.chunks.truncate(kept);
        while self.chunks.back().is_some_and(|chunk| !chunk.last) {
            self.chunks.pop_back();
        }
        self.complete = self.chunks.len();
        self.bytes = self.chunks.iter().map(|chunk| chunk.rest().len()).sum();
    }

    /// True when the next bytes to send were acknowledged.
    pub(crate) fn starts_acknowledged(&self) -> bool {
        self.chunks.front().is_some_and(|chunk| !chunk.notify)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True with nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}
