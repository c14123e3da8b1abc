//! The only write loop: requests on their way to the kernel, straight or through their stream's layer and outlet.

use std::os::fd::AsFd;

use super::requests::Piece;
use super::{Stream, WRITABLE};
use crate::command::{MORE, NOTIFY};
use crate::sys::{self, Errno};

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
    if stream.layer.is_some() {
        return write_through(stream, piece, flags, sent, done);
    }
    if stream.queue.is_none() && flags & MORE == 0 && stream.flags.has(WRITABLE) {
        let whole = piece.whole();
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
        stream.queue.get_or_insert_default().push(piece, taken, flags);
        return Written::Waits;
    }
    stream.queue.get_or_insert_default().push(piece, 0, flags);
    if flags & MORE != 0 || !stream.flags.has(WRITABLE) {
        return Written::Waits;
    }
    flush(stream, sent, done)
}

/// A request that cannot be sent: the queue remembers that it was made, not its bytes.
fn refuse(stream: &mut Stream, flags: i32, errno: Errno) -> Written {
    stream.queue.get_or_insert_default().push(Piece::Bytes(&[]), 0, flags);
    Written::Failed(errno)
}

/// Sends what waits. `done` counts requests that asked for notice and are in the kernel now.
pub(crate) fn flush(stream: &mut Stream, sent: &mut u64, done: &mut u32) -> Written {
    if stream.layer.is_some() {
        return flush_through(stream, sent, done);
    }
    let Some(queue) = stream.queue.as_mut() else { return Written::Done };
    if stream.failure != 0 {
        return Written::Failed(stream.failure);
    }
    while queue.is_due() {
        let vectors: Vec<libc::iovec> = queue.front().map(|rest| libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() }).collect();
        let offered: usize = vectors.iter().map(|vector| vector.iov_len).sum();
        // SAFETY: the vectors point into chunks that live, unmoved, across the call.
        let result = unsafe { sys::writev(stream.fd.as_fd(), &vectors) };
        let taken = match result {
            Ok(count) => count,
            Err(errno) if errno == -libc::EAGAIN => 0,
            Err(errno) => return Written::Failed(errno),
        };
        *sent += taken as u64;
        *done += queue.advance(taken);
        if taken < offered {
            stream.flags.clear(WRITABLE);
            return Written::Waits;
        }
    }
    if queue.is_empty() {
        stream.queue = None;
    }
    Written::Done
}

/// As [`write()`], where a layer seals what leaves.
#[inline(never)]
fn write_through(stream: &mut Stream, piece: Piece<'_>, flags: i32, sent: &mut u64, done: &mut u32) -> Written {
    let Some(layered) = stream.layer.as_deref_mut() else { return Written::Done };
    if layered.has_said_last() {
        return refuse(stream, flags, -libc::EPIPE);
    }
    let at_once = stream.queue.is_none() && flags & MORE == 0 && stream.flags.has(WRITABLE);
    if !(at_once && layered.seal_at_once(piece.whole(), flags & NOTIFY != 0)) {
        stream.queue.get_or_insert_default().push(piece, 0, flags);
        if flags & MORE != 0 || !stream.flags.has(WRITABLE) {
            return Written::Waits;
        }
    }
    flush_through(stream, sent, done)
}

/// As [`flush`], where a layer seals what leaves: some of it ahead, so that the kernel always has more to take.
#[inline(never)]
fn flush_through(stream: &mut Stream, sent: &mut u64, done: &mut u32) -> Written {
    let Some(layered) = stream.layer.as_deref_mut() else { return Written::Done };
    // What broke the layer is no reason to keep back what it has sealed, and last of all said of that.
    if stream.failure != 0 && !layered.is_broken() {
        return Written::Failed(stream.failure);
    }
    loop {
        if let Some(queue) = stream.queue.as_deref_mut() {
            layered.seal_ahead(queue);
            if queue.is_empty() {
                stream.queue = None;
            }
        }
        let taken = layered.outlet.send(stream.fd.as_fd(), done);
        match taken {
            Ok(taken) => *sent += taken as u64,
            Err(errno) => return Written::Failed(errno),
        }
        if !layered.outlet.is_empty() {
            stream.flags.clear(WRITABLE);
            return Written::Waits;
        }
        if !stream.queue.as_deref().is_some_and(|queue| layered.can_seal(queue)) {
            break;
        }
    }
    // What the layer cannot seal yet waits for it, not for the kernel.
    match stream.queue.as_deref().is_some_and(|queue| queue.is_due()) {
        true if stream.failure != 0 => Written::Failed(stream.failure),
        true => Written::Waits,
        false => Written::Done,
    }
}

/// The layer's last words, once all that was asked for before has left: true when they have, too, or nothing leaves any more.
pub(crate) fn say_last(stream: &mut Stream, sent: &mut u64) -> bool {
    let Some(layered) = stream.layer.as_deref_mut() else { return true };
    if !layered.say_last() {
        return false;
    }
    match flush_through(stream, sent, &mut 0) {
        Written::Waits => false,
        Written::Done => true,
        Written::Failed(_) => {
            stream.drop_requests();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::ptr::NonNull;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::SEALED_AHEAD;
    use crate::stream::LINGERING;
    use crate::stream::layer::{Layer, Layered};
    use crate::stream::requests::Lent;
    use crate::stream::toy::{self, Toy};

    /// One request: its pieces, which of them are lent, whether it asks for notice, how much the peer reads after it.
    type Asked = (Vec<(usize, bool)>, bool, usize);

    /// A stream whose kernel buffer is small, and its peer; neither blocks.
    fn narrow(over_toy: bool) -> (Stream, Peer) {
        let (ours, peer) = UnixStream::pair().expect("a pair");
        for end in [&ours, &peer] {
            end.set_nonblocking(true).expect("a flag");
        }
        sys::set_option(ours.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, 1).expect("the least there is");
        let mut stream = Stream::new(ours.into(), true);
        stream.layer = over_toy.then(|| Box::new(Layered::new(Box::new(Toy::new()))));
        (stream, Peer { wire: peer, toy: over_toy.then(Toy::new), received: Vec::new() })
    }

    struct Peer {
        wire: UnixStream,
        toy: Option<Toy>,
        received: Vec<u8>,
    }

    impl Peer {
        /// Reads off the wire; how much that was.
        fn read_up_to(&mut self, most: usize) -> usize {
            let mut room = vec![0; most];
            let count = self.wire.read(&mut room).unwrap_or(0);
            match &mut self.toy {
                Some(toy) => {
                    toy.open(&mut room[..count], &mut Vec::new()).expect("whole frames in order");
                    let at = self.received.len();
                    self.received.resize(at + toy.ready(), 0);
                    toy.take(&mut self.received[at..]);
                }
                None => self.received.extend(&room[..count]),
            }
            count
        }

        /// True unless the wire ended in the middle of something.
        fn is_whole(&self) -> bool {
            self.toy.as_ref().is_none_or(|toy| toy.cut_short() != toy::CUT)
        }
    }

    /// Flushes and reads until nothing moves any more, as turns would: the kernel says when it takes bytes again.
    fn drain(stream: &mut Stream, peer: &mut Peer, sent: &mut u64) -> u32 {
        let mut done = 0;
        loop {
            stream.flags.set(WRITABLE);
            let (before, outcome) = (stream.queued(), flush(stream, sent, &mut done));
            assert!(stream.queued() <= before + stream.queued() / 8, "what waits does not grow");
            if peer.read_up_to(1 << 16) == 0 && outcome != Written::Waits {
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
        assert_eq!(queue.front().nth(1), Some(&lent[..]));
        queue.keep_acknowledged();
        assert_eq!((queue.bytes(), queue.awaited(), queue.front().count()), (103, 0, 3));
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
            over_toy in any::<bool>(),
        ) {
            let requests: Vec<Asked> = requests;
            let (mut stream, mut peer) = narrow(over_toy);
            let (mut sent, mut told, mut asked) = (0, 0, 0);
            let mut counter = 0_u8;
            let memory: Vec<Vec<Vec<u8>>> = requests
                .iter()
                .map(|(pieces, ..)| pieces.iter().map(|(length, _)| (0..*length).map(|_| { counter = counter.wrapping_add(1); counter }).collect()).collect())
                .collect();
            let mut expected: Vec<u8> = Vec::new();
            // Bytes of the requests before the first that waits for its notice: those that must leave.
            let mut acknowledged = 0;
            let (mut waiting, mut notified) = (std::collections::VecDeque::new(), Vec::new());
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
                    let start = expected.len() - memory[index].iter().map(Vec::len).sum::<usize>();
                    waiting.push_back(start);
                    notified.push((start, expected.len()));
                }
                if outcome == Written::Done && notify != 0 && done == 0 {
                    done = 1;
                }
                if *reads > 0 && peer.read_up_to(*reads) > 0 {
                    stream.flags.set(WRITABLE);
                    let _ = flush(&mut stream, &mut sent, &mut done);
                }
                told += done;
                waiting.drain(..done as usize);
                acknowledged = waiting.front().copied().unwrap_or(expected.len());
            }
            prop_assert_eq!(stream.awaited(), asked - told);
            let sealed = stream.layer.as_ref().map_or(0, |layered| layered.outlet.len());
            prop_assert!(sealed < SEALED_AHEAD * 9 / 8, "no more is sealed than goes ahead");
            let incomplete: usize = memory.last().filter(|_| cut_short).map_or(0, |pieces| pieces.iter().map(Vec::len).sum());
            if closes {
                // What has left, or must: a layer cannot take back what it has sealed.
                let left = expected.len() + incomplete - stream.queue.as_ref().map_or(0, |queue| queue.bytes());
                if !crate::stream::end::close(&mut stream, 0, 0) {
                    prop_assert!(stream.flags.has(LINGERING));
                }
                drain(&mut stream, &mut peer, &mut sent);
                prop_assert!(peer.is_whole(), "what is sealed leaves whole");
                // From the first request that asked for notice and has not left, which may ask for it with no bytes at all, nothing must.
                let must = |stays: &dyn Fn(usize, usize) -> bool| {
                    let first = notified.iter().find(|(start, end)| stays(*start, *end));
                    first.map_or(expected.len(), |(start, _)| (*start).max(left))
                };
                let either = [must(&|_, end| end > left), must(&|start, end| end > left || (start == end && end == left))];
                prop_assert!(either.contains(&peer.received.len()), "{} of {:?}", peer.received.len(), either);
                prop_assert!(peer.received.len() >= acknowledged);
                prop_assert_eq!(&peer.received[..], &expected[..peer.received.len()]);
            } else {
                told += drain(&mut stream, &mut peer, &mut sent);
                prop_assert_eq!(&peer.received, &expected);
                prop_assert_eq!(told, asked, "each request that asked is told of once");
            }
            prop_assert_eq!(stream.queued(), if closes { 0 } else { incomplete });
        }
    }
}
