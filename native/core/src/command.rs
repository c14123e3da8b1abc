//! What JavaScript asks of the reactor, as a stream of bytes: a header of five 32-bit words
//! (`op, id, generation, a, b`) and, for a write, its bytes padded to four. One stream serves both drivers: inline it
//! is applied in the call that hands it over, offload it is copied into the inbox and applied in order.
//!
//! The stream comes from our own JavaScript, yet nothing in it is trusted: no length, id or op in it can make the
//! reader leave its slice (`native/fuzz`).

use crate::table::Id;

/// Bytes of a header.
pub const HEADER: usize = 20;

/// More pieces of the same request follow; do not send yet.
pub const MORE: i32 = 1;
/// Report [`crate::event::Op::WriteDone`] when the request does not end inside the call.
pub const NOTIFY: i32 = 2;
/// [`Command::Close`]: reset the connection.
pub const RESET: i32 = 1;
/// [`Command::OpenStream`]: by a connection attempt that succeeded inside its call.
pub const CONNECTED: i32 = 1;

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A descriptor becomes a stream; with [`CONNECTED`].
    OpenStream(i32, i32),
    /// A descriptor becomes a listener.
    OpenListener(i32),
    /// A descriptor that is connecting.
    OpenConnecting(i32),
    /// Read, and go on reading.
    ReadStart,
    /// Take no more bytes from the kernel.
    ReadStop,
    /// Bytes to send, with [`MORE`] and [`NOTIFY`].
    Write(&'a [u8], i32),
    /// End the sending side after the writes before it.
    Shutdown,
    /// Give the socket up; with [`RESET`].
    Close(i32),
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
        let (op, a, b) = (self.word(0), self.word(3), self.word(4));
        let id = Id { slot: self.word(1).cast_unsigned(), generation: self.word(2).cast_unsigned() };
        let rest = &self.0[HEADER..];
        self.0 = rest;
        let command = match op {
            1 => Command::OpenStream(a, b),
            2 => Command::OpenListener(a),
            3 => Command::OpenConnecting(a),
            4 => Command::ReadStart,
            5 => Command::ReadStop,
            6 => {
                let length = usize::try_from(a).unwrap_or(usize::MAX);
                if length > rest.len() {
                    self.0 = &[];
                    return Some(Err(Malformed));
                }
                self.0 = &rest[length.next_multiple_of(4).min(rest.len())..];
                Command::Write(&rest[..length], b)
            }
            7 => Command::Shutdown,
            8 => Command::Close(b),
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
        assert_eq!(all, [Ok((id, Command::Write(b"hello", NOTIFY))), Ok((id, Command::Shutdown))]);
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
