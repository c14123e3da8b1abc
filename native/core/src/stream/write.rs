//! The only write loop, and the queue of what the kernel has not taken.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use super::copies::Copied;
use super::{Stream, WRITABLE};
use crate::command::{MORE, NOTIFY};
use crate::limits::WRITE_IOVECS;
use crate::sys::{self, Errno};

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

/// What the kernel has not taken, in order.
#[derive(Debug, Default)]
pub struct Queue {
    chunks: VecDeque<Chunk>,
    /// Chunks of requests whose last piece is here; the rest must wait for theirs.
    complete: usize,
    /// Bytes in all of them.
    bytes: usize,
}

/// How a request stands after the call that brought its last piece, or a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The kernel has all of it.
    Done,
    /// Some of it waits.
    Waits,
    /// It failed, and what waited with it: the queue says who is to be told, this request among them.
    Failed(Errno),
}

/// Adds one piece and, if it is the last of its request, sends. `sent` counts bytes that the kernel took.
pub(crate) fn write(stream: &mut Stream, piece: Piece<'_>, flags: i32, sent: &mut u64, done: &mut u32) -> Written {
    if stream.failure != 0 {
        return refuse(stream, flags, stream.failure);
    }
    if stream.queue.is_none() && flags & MORE == 0 && stream.flags.has(WRITABLE) {
        let whole = match &piece {
            Piece::Bytes(bytes) => *bytes,
            Piece::Copied(bytes) => bytes,
            // SAFETY: valid for the call at least (Lent::new).
            Piece::Lent(lent) => unsafe { std::slice::from_raw_parts(lent.memory.as_ptr(), lent.length) },
        };
        let taken = match sys::write(stream.fd.as_fd(), whole) {
            Ok(count) if count == whole.len() => {
                *sent += count as u64;
                return Written::Done;
            }
            Ok(count) => count,
            Err(errno) if errno == -libc::EAGAIN => 0,
            Err(errno) => return refuse(stream, flags, errno),
        };
        *sent += taken as u64;
        stream.flags.clear(WRITABLE);
        stream.queue.get_or_insert_default().push(Chunk::new(piece, taken, flags));
        return Written::Waits;
    }
    stream.queue.get_or_insert_default().push(Chunk::new(piece, 0, flags));
    if flags & MORE != 0 || !stream.flags.has(WRITABLE) {
        return Written::Waits;
    }
    flush(stream, sent, done)
}

/// A request that cannot be sent: the queue remembers that it was made, not its bytes.
fn refuse(stream: &mut Stream, flags: i32, errno: Errno) -> Written {
    stream.queue.get_or_insert_default().push(Chunk::new(Piece::Bytes(&[]), 0, flags));
    Written::Failed(errno)
}

/// Sends what waits. `done` counts requests that asked for notice and are in the kernel now.
pub(crate) fn flush(stream: &mut Stream, sent: &mut u64, done: &mut u32) -> Written {
    let Some(queue) = stream.queue.as_mut() else { return Written::Done };
    if stream.failure != 0 {
        return Written::Failed(stream.failure);
    }
    while queue.complete > 0 {
        let vectors: Vec<libc::iovec> = queue
            .chunks
            .iter()
            .take(queue.complete.min(WRITE_IOVECS))
            .map(|chunk| chunk.rest())
            .map(|rest| libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() })
            .collect();
        let offered: usize = vectors.iter().map(|vector| vector.iov_len).sum();
        // SAFETY: the vectors point into chunks that live, unmoved, across the call.
        let result = unsafe { sys::writev(stream.fd.as_fd(), &vectors) };
        let mut taken = match result {
            Ok(count) => count,
            Err(errno) if errno == -libc::EAGAIN => 0,
            Err(errno) => return Written::Failed(errno),
        };
        *sent += taken as u64;
        queue.bytes -= taken;
        let short = taken < offered;
        while let Some(chunk) = queue.chunks.front_mut() {
            let rest = chunk.rest().len();
            if taken < rest || queue.complete == 0 {
                chunk.offset += taken;
                break;
            }
            taken -= rest;
            queue.complete -= 1;
            *done += u32::from(chunk.last && chunk.notify);
            queue.chunks.pop_front();
        }
        if short {
            stream.flags.clear(WRITABLE);
            return Written::Waits;
        }
    }
    if queue.chunks.is_empty() {
        stream.queue = None;
    }
    Written::Done
}

impl Queue {
    fn push(&mut self, chunk: Chunk) {
        let last = chunk.last;
        self.bytes += chunk.rest().len();
        self.chunks.push_back(chunk);
        if last {
            self.complete = self.chunks.len();
        }
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::*;
    use crate::stream::LINGERING;

    /// One request: its pieces, which of them are lent, whether it asks for notice, how much the peer reads after it.
    type Request = (Vec<(usize, bool)>, bool, usize);

    /// A stream whose kernel buffer is small, and its peer; neither blocks.
    fn narrow() -> (Stream, UnixStream) {
        let (ours, peer) = UnixStream::pair().expect("a pair");
        for end in [&ours, &peer] {
            end.set_nonblocking(true).expect("a flag");
        }
        sys::set_option(ours.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, 1).expect("the least there is");
        (Stream::new(ours.into(), true), peer)
    }

    fn read_up_to(peer: &mut UnixStream, most: usize, into: &mut Vec<u8>) -> usize {
        let mut room = vec![0; most];
        let count = peer.read(&mut room).unwrap_or(0);
        into.extend(&room[..count]);
        count
    }

    /// Flushes and reads until nothing moves any more, as turns would: the kernel says when it takes bytes again.
    fn drain(stream: &mut Stream, peer: &mut UnixStream, sent: &mut u64, received: &mut Vec<u8>) -> u32 {
        let mut done = 0;
        loop {
            stream.flags.set(WRITABLE);
            let outcome = flush(stream, sent, &mut done);
            if read_up_to(peer, 1 << 16, received) == 0 && outcome != Written::Waits {
                return done;
            }
        }
    }

    /// Also for miri, which checks every slice that is made of lent memory.
    #[test]
    fn pieces_that_wait_are_counted_kept_and_dropped() {
        let null = std::fs::File::open("/dev/null").expect("linux");
        let mut stream = Stream::new(null.into(), true);
        stream.flags.clear(WRITABLE);
        let lent: Vec<u8> = (0..100).collect();
        // SAFETY: outlives the stream, and nobody changes it.
        let piece = || Piece::Lent(unsafe { Lent::new(NonNull::from(&lent[..]).cast(), lent.len()) });
        let (mut sent, mut done) = (0, 0);
        for (piece, flags) in [(Piece::Bytes(b"one"), 0), (piece(), MORE), (Piece::Bytes(b""), 0), (piece(), NOTIFY), (piece(), MORE)] {
            assert_eq!(write(&mut stream, piece, flags, &mut sent, &mut done), Written::Waits);
        }
        let queue = stream.queue.as_mut().expect("it waits");
        assert_eq!((queue.bytes(), queue.awaited()), (303, 1));
        assert_eq!(queue.chunks[1].rest(), lent);
        queue.keep_acknowledged();
        assert_eq!((queue.bytes(), queue.awaited(), queue.chunks.len()), (103, 0, 3));
        assert_eq!((sent, done), (0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        #[cfg_attr(miri, ignore = "writes to a socket")]
        fn bytes_leave_in_order_and_what_was_acknowledged_leaves_after_close(
            requests in prop::collection::vec((prop::collection::vec((0_usize..6000, any::<bool>()), 1..5), any::<bool>(), 0_usize..9000), 1..24),
            closes in any::<bool>(),
            cut_short in any::<bool>(),
        ) {
            let requests: Vec<Request> = requests;
            let (mut stream, mut peer) = narrow();
            let (mut sent, mut received, mut told, mut asked) = (0, Vec::new(), 0, 0);
            let mut counter = 0_u8;
            let memory: Vec<Vec<Vec<u8>>> = requests
                .iter()
                .map(|(pieces, ..)| pieces.iter().map(|(length, _)| (0..*length).map(|_| { counter = counter.wrapping_add(1); counter }).collect()).collect())
                .collect();
            let mut expected: Vec<u8> = Vec::new();
            // Bytes of the requests before the first that waits for its notice: those that must leave.
            let mut acknowledged = 0;
            let mut waiting = std::collections::VecDeque::new();
            for (index, (pieces, notify, reads)) in requests.iter().enumerate() {
                let notify = if *notify { NOTIFY } else { 0 };
                let incomplete = cut_short && index + 1 == requests.len();
                let mut outcome = Written::Waits;
                let mut done = 0;
                for (at, ((_, lent), bytes)) in pieces.iter().zip(&memory[index]).enumerate() {
                    let more = if at + 1 < pieces.len() || incomplete { MORE } else { 0 };
                    // SAFETY: `memory` outlives the stream and nobody changes it.
                    let piece = if *lent { Piece::Lent(unsafe { Lent::new(NonNull::from(&bytes[..]).cast(), bytes.len()) }) } else { Piece::Bytes(bytes) };
                    outcome = write(&mut stream, piece, notify | more, &mut sent, &mut done);
                }
                if incomplete {
                    prop_assert_eq!(outcome, Written::Waits);
                    break;
                }
                expected.extend(memory[index].iter().flatten());
                if notify != 0 {
                    asked += 1;
                    waiting.push_back(expected.len() - memory[index].iter().map(Vec::len).sum::<usize>());
                }
                if outcome == Written::Done && notify != 0 && done == 0 {
                    done = 1;
                }
                if *reads > 0 && read_up_to(&mut peer, *reads, &mut received) > 0 {
                    stream.flags.set(WRITABLE);
                    let _ = flush(&mut stream, &mut sent, &mut done);
                }
                told += done;
                waiting.drain(..done as usize);
                acknowledged = waiting.front().copied().unwrap_or(expected.len());
            }
            if closes {
                let before = usize::try_from(sent).expect("small");
                if !crate::stream::end::close(&mut stream, 0, 0) {
                    prop_assert!(stream.flags.has(LINGERING));
                }
                drain(&mut stream, &mut peer, &mut sent, &mut received);
                prop_assert_eq!(received.len(), acknowledged.max(before));
                prop_assert_eq!(&received[..], &expected[..received.len()]);
            } else {
                told += drain(&mut stream, &mut peer, &mut sent, &mut received);
                prop_assert_eq!(received, expected);
                prop_assert_eq!(told, asked, "each request that asked is told of once");
            }
        }
    }
}
