//! What JavaScript asks of the reactor, as a stream of bytes: a header of five 32-bit words
//! (`op, id, generation, a, b`) and, for a write, its bytes padded to four. One stream serves both drivers: inline it
//! is applied in the call that hands it over, offload it is copied into the inbox and applied in order.
//!
//! The stream comes from our own JavaScript, yet nothing in it is trusted: no length, id or op in it can make the
//! reader leave its slice (`native/fuzz`).

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::table::Id;
pub use op::{OPEN_PROCESS, OPEN_STREAM};

/// Bytes of a header.
pub const HEADER: usize = 20;

/// The first word of each command; `lib/native/protocol.ts` names the same, and `test/unit/protocol.spec.mts` holds them together.
pub mod op {
    /// [`super::Command::OpenStream`]
    pub const OPEN_STREAM: i32 = 1;
    /// [`super::Command::OpenListener`]
    pub const OPEN_LISTENER: i32 = 2;
    /// [`super::Command::OpenConnecting`]
    pub const OPEN_CONNECTING: i32 = 3;
    /// [`super::Command::ReadStart`]
    pub const READ_START: i32 = 4;
    /// [`super::Command::ReadStop`]
    pub const READ_STOP: i32 = 5;
    /// [`super::Command::Write`]
    pub const WRITE: i32 = 6;
    /// [`super::Command::Shutdown`]
    pub const SHUTDOWN: i32 = 7;
    /// [`super::Command::Close`]
    pub const CLOSE: i32 = 8;
    /// [`super::Command::OpenDatagram`]
    pub const OPEN_DATAGRAM: i32 = 9;
    /// [`super::Command::Send`]
    pub const SEND: i32 = 10;
    /// [`super::Command::Share`]
    pub const SHARE: i32 = 11;
    /// [`super::Command::KeepBuffer`]
    pub const KEEP_BUFFER: i32 = 12;
    /// [`super::Command::OpenProcess`]; native code alone asks for it.
    pub const OPEN_PROCESS: i32 = 13;
    /// [`super::Command::TellAgain`]
    pub const TELL_AGAIN: i32 = 14;
}

/// Appends a command's header to a stream of them.
pub fn append(stream: &mut Vec<u8>, op: i32, id: Id, a: i32, b: i32) {
    stream.extend([op, id.slot.cast_signed(), id.generation.cast_signed(), a, b].iter().flat_map(|word| word.to_ne_bytes()));
}

/// More pieces of the same request follow; do not send yet.
pub const MORE: i32 = 1;
/// Report [`crate::event::Op::WriteDone`] when the request does not end inside the call.
pub const NOTIFY: i32 = 2;
/// [`Command::Close`]: reset the connection.
pub const RESET: i32 = 1;
/// [`Command::Close`]: with how many bytes of a stream JavaScript was given, wrapping. If more were taken from the kernel, the
/// rest lies unread.
pub const COUNTED: i32 = 4;
/// [`Command::OpenStream`]: by a connection attempt that succeeded inside its call.
pub const CONNECTED: i32 = 1;
/// [`Command::OpenStream`]: to be told when its peer is gone, though nobody reads.
pub const WATCHED: i32 = 2;

/// [`Command::ReadStart`]: what is read next of a stream is all, until it is asked for again.
pub const ONCE: i32 = 1;

/// [`Command::OpenDatagram`], [`Command::OpenListener`]: others use the descriptor as well.
pub const SHARED: i32 = 1;

/// [`Command::Send`]: the bytes begin with an IPv4 peer, [`V4_PEER`] bytes of address and port.
pub const TO_V4: i32 = 4;
/// [`Command::Send`]: the bytes begin with an IPv6 peer, [`V6_PEER`] bytes of address, scope and port.
pub const TO_V6: i32 = 8;
/// Bytes of an IPv4 peer.
pub const V4_PEER: usize = 8;
/// Bytes of an IPv6 peer.
pub const V6_PEER: usize = 24;

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A descriptor becomes a stream; with [`CONNECTED`] and [`WATCHED`].
    OpenStream(i32, i32),
    /// A descriptor becomes a listener; with [`SHARED`].
    OpenListener(i32, i32),
    /// A descriptor that is connecting.
    OpenConnecting(i32),
    /// Read, and go on reading or, with [`ONCE`], until there is something.
    ReadStart(i32),
    /// JavaScript has looked, and is to be told of what there is then. Of a shared listener: whoever waits next. Of a process: its end,
    /// after what others bring in the same turn.
    TellAgain,
    /// Take no more bytes from the kernel.
    ReadStop,
    /// Bytes to send, with [`MORE`] and [`NOTIFY`].
    Write(&'a [u8], i32),
    /// End the sending side after the writes before it; with [`NOTIFY`].
    Shutdown(i32),
    /// Give the socket up; with the bytes that [`COUNTED`] speaks of, and with [`RESET`], [`NOTIFY`].
    Close(i32, i32),
    /// A descriptor becomes a datagram socket; with [`SHARED`].
    OpenDatagram(i32, i32),
    /// A descriptor of a process is watched for its end.
    OpenProcess(i32),
    /// The descriptor of a datagram socket or listener is about to be used by others as well: [`SHARED`] from here on.
    Share,
    /// The program has set how much the kernel holds for a datagram socket.
    KeepBuffer,
    /// A datagram to send, with [`NOTIFY`]; to the connected peer, or to one named by [`TO_V4`], [`TO_V6`].
    Send(Option<SocketAddr>, &'a [u8], i32),
}

/// The peer at the head of a datagram's bytes, and the datagram.
fn addressed(bytes: &[u8], flags: i32) -> Option<(Option<SocketAddr>, &[u8])> {
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let port = |at: usize| u16::try_from(word(at)).ok();
    if flags & TO_V6 != 0 {
        let (peer, rest) = bytes.split_at_checked(V6_PEER)?;
        let address: [u8; 16] = peer[..16].try_into().ok()?;
        return Some((Some(SocketAddrV6::new(address.into(), port(20)?, 0, word(16)).into()), rest));
    }
    if flags & TO_V4 != 0 {
        let (peer, rest) = bytes.split_at_checked(V4_PEER)?;
        let address: [u8; 4] = peer[..4].try_into().ok()?;
        return Some((Some(SocketAddrV4::new(address.into(), port(4)?).into()), rest));
    }
    Some((None, bytes))
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads commands off a stream.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader over one hand-over.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn word(&self, index: usize) -> i32 {
        let at = index * 4;
        i32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(Id, Command<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        if self.0.len() < HEADER {
            self.0 = &[];
            return Some(Err(Malformed));
        }
        let (asked, a, b) = (self.word(0), self.word(3), self.word(4));
        let id = Id { slot: self.word(1).cast_unsigned(), generation: self.word(2).cast_unsigned() };
        let rest = &self.0[HEADER..];
        self.0 = rest;
        let command = match asked {
            op::OPEN_STREAM => Command::OpenStream(a, b),
            op::OPEN_LISTENER => Command::OpenListener(a, b),
            op::OPEN_CONNECTING => Command::OpenConnecting(a),
            op::READ_START => Command::ReadStart(b),
            op::READ_STOP => Command::ReadStop,
            op::TELL_AGAIN => Command::TellAgain,
            op::WRITE => {
                let length = usize::try_from(a).unwrap_or(usize::MAX);
                if length > rest.len() {
                    self.0 = &[];
                    return Some(Err(Malformed));
                }
                self.0 = &rest[length.next_multiple_of(4).min(rest.len())..];
                Command::Write(&rest[..length], b)
            }
            op::SHUTDOWN => Command::Shutdown(b),
            op::CLOSE => Command::Close(a, b),
            op::OPEN_DATAGRAM => Command::OpenDatagram(a, b),
            op::SHARE => Command::Share,
            op::KEEP_BUFFER => Command::KeepBuffer,
            op::OPEN_PROCESS => Command::OpenProcess(a),
            op::SEND => {
                let length = usize::try_from(a).unwrap_or(usize::MAX);
                let Some((peer, bytes)) = rest.get(..length).and_then(|bytes| addressed(bytes, b)) else {
                    self.0 = &[];
                    return Some(Err(Malformed));
                };
                self.0 = &rest[length.next_multiple_of(4).min(rest.len())..];
                Command::Send(peer, bytes, b)
            }
            _ => {
                self.0 = &[];
                return Some(Err(Malformed));
            }
        };
        Some(Ok((id, command)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(words: &[i32], tail: &[u8]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).chain(tail.iter().copied()).collect()
    }

    #[test]
    fn commands_come_in_order_and_padding_is_skipped() {
        let mut bytes = stream(&[6, 3, 9, 5, NOTIFY], b"hello\0\0\0");
        bytes.extend(stream(&[7, 3, 9, 0, 0], b""));
        let all: Vec<_> = Reader::new(&bytes).collect();
        let id = Id { slot: 3, generation: 9 };
        assert_eq!(all, [Ok((id, Command::Write(b"hello", NOTIFY))), Ok((id, Command::Shutdown(0)))]);
    }

    #[test]
    fn a_datagram_names_its_peer_or_is_malformed() {
        let mut bytes = stream(&[10, 3, 9, 10, TO_V4], &[127, 0, 0, 1]);
        bytes.extend(stream(&[53], b"hi\0\0"));
        let peer = "127.0.0.1:53".parse().expect("a literal");
        let id = Id { slot: 3, generation: 9 };
        assert_eq!(Reader::new(&bytes).collect::<Vec<_>>(), [Ok((id, Command::Send(Some(peer), b"hi", TO_V4)))]);
        for (length, flags) in [(7, TO_V4), (23, TO_V6), (-1, 0), (25, 0)] {
            let bytes = stream(&[10, 3, 9, length, flags], &[0; 24]);
            assert_eq!(Reader::new(&bytes).collect::<Vec<_>>(), [Err(Malformed)]);
        }
        let port = stream(&[10, 3, 9, 8, TO_V4], &[127, 0, 0, 1, 255, 255, 255, 255]);
        assert_eq!(Reader::new(&port).collect::<Vec<_>>(), [Err(Malformed)]);
    }

    #[test]
    fn a_lie_about_lengths_ends_the_stream() {
        for length in [6, -1, i32::MAX, i32::MIN] {
            let bytes = stream(&[6, 0, 0, length, 0], b"hello");
            assert_eq!(Reader::new(&bytes).collect::<Vec<_>>(), [Err(Malformed)]);
        }
        assert_eq!(Reader::new(&[1, 2, 3]).collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(Reader::new(&stream(&[99, 0, 0, 0, 0], b"")).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
