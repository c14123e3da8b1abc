//! What one WebSocket connection asks (RFC 6455): the handshake, then one binary message after the other, masked, each
//! answered with the same payload in one frame. Nothing here does I/O.

use std::io;

use crate::exchange::{Ask, HEAD_LIMIT, wrong};

/// The key of the RFC's own example and what answers it. A key is random so that no cache between answers for the server;
/// between us and our child there is none, and a fixed pair needs no SHA-1 here.
const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A final frame that carries a whole binary message.
const FINAL_BINARY: u8 = 0x82;
/// In the second byte: the payload is masked, as everything from a client must be and nothing from a server may.
const MASKED: u8 = 0x80;
/// Past these many bytes the length follows in two bytes, or in eight.
const SHORT: usize = 125;
const TWO_BYTES: u8 = 126;
const EIGHT_BYTES: u8 = 127;

/// One connection's message and the state of its answer.
pub(crate) struct WebSocket {
    payload: Vec<u8>,
    number: u64,
    /// The handshake's answer so far, until it is complete.
    head: Option<Vec<u8>>,
    /// The handshake, then the present message as a masked frame.
    request: Vec<u8>,
    /// The frame that must come back. A length has one encoding, so an answer is right only as a whole, byte by byte.
    expected: Vec<u8>,
    seen: usize,
}

impl WebSocket {
    pub(crate) fn new(payload: Vec<u8>) -> Self {
        let mut socket = Self { payload, number: 0, head: None, request: Vec::new(), expected: Vec::new(), seen: 0 };
        socket.connected();
        socket
    }

    fn shake(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(head) = &mut self.head else {
            return Ok(true);
        };
        head.extend_from_slice(bytes);
        let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
            if head.len() > HEAD_LIMIT {
                return Err(wrong("the answer to the handshake has no end"));
            }
            return Ok(false);
        };
        if end + 4 != head.len() {
            return Err(wrong("bytes after the handshake that nobody asked for"));
        }
        let text = String::from_utf8_lossy(head);
        let accepted = text
            .split("\r\n")
            .any(|line| line.split_once(':').is_some_and(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT));
        if !text.starts_with("HTTP/1.1 101 ") || !accepted {
            return Err(wrong(format!("the handshake was answered with {:?}", text.lines().next().unwrap_or_default())));
        }
        self.head = None;
        Ok(true)
    }
}

impl Ask for WebSocket {
    fn connected(&mut self) {
        self.head = Some(Vec::new());
    }

    /// The handshake on a new connection; after that another number in the payload, under another mask.
    fn renew(&mut self) {
        self.seen = 0;
        self.request.clear();
        if let Some(head) = &mut self.head {
            head.clear();
            self.request.extend_from_slice(HANDSHAKE);
            return;
        }
        self.number += 1;
        if let Some(start) = self.payload.first_chunk_mut::<8>() {
            *start = self.number.to_le_bytes();
        }
        self.expected.clear();
        frame(&mut self.expected, &self.payload, None);
        frame(&mut self.request, &self.payload, Some(mask(self.number)));
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.head.is_some() {
            return self.shake(bytes);
        }
        match self.expected.get(self.seen..self.seen + bytes.len()) {
            Some(part) if part == bytes => {}
            Some(_) => return Err(wrong("another frame came back than was sent")),
            None => return Err(wrong("more than the one frame came back")),
        }
        self.seen += bytes.len();
        Ok(self.seen == self.expected.len())
    }
}

/// Bytes that differ from operation to operation; nobody has to be kept from guessing them.
fn mask(number: u64) -> [u8; 4] {
    let [.., a, b, c, d] = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    [a, b, c, d]
}

/// Appends one whole binary message, masked if it is a client's.
fn frame(bytes: &mut Vec<u8>, payload: &[u8], mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    bytes.push(FINAL_BINARY);
    match (payload.len(), u16::try_from(payload.len())) {
        (..=SHORT, _) => bytes.push(masked | payload.len() as u8),
        (_, Ok(length)) => {
            bytes.push(masked | TWO_BYTES);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        (length, Err(_)) => {
            bytes.push(masked | EIGHT_BYTES);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    if mask.is_some() {
        bytes.extend_from_slice(&key);
    }
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(accept: &str) -> Vec<u8> {
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
    }

    fn shaken(payload: &[u8]) -> io::Result<WebSocket> {
        let mut socket = WebSocket::new(payload.to_vec());
        socket.renew();
        assert_eq!(socket.request(), HANDSHAKE);
        assert!(socket.receive(&head(ACCEPT))?);
        socket.renew();
        Ok(socket)
    }

    #[test]
    fn frames_are_those_of_the_rfc() {
        let mut bytes = Vec::new();
        frame(&mut bytes, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(bytes, [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        for (length, head) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (256, &[0x82, 126, 1, 0]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut bytes = Vec::new();
            frame(&mut bytes, &vec![7; length], None);
            assert_eq!(&bytes[..head.len()], head);
            assert_eq!(bytes.len(), head.len() + length);
        }
    }

    #[test]
    fn an_answer_may_arrive_in_any_pieces() -> io::Result<()> {
        for step in [1, 2, 7, 99] {
            let mut socket = WebSocket::new(vec![3; 64]);
            socket.renew();
            let accepted = head(ACCEPT);
            for (index, part) in accepted.chunks(step).enumerate() {
                assert_eq!(socket.receive(part)?, (index + 1) * step >= accepted.len());
            }
            socket.renew();
            let mut answer = Vec::new();
            frame(&mut answer, &socket.payload, None);
            for (index, part) in answer.chunks(step).enumerate() {
                assert_eq!(socket.receive(part)?, (index + 1) * step >= answer.len());
            }
        }
        Ok(())
    }

    #[test]
    fn a_wrong_handshake_is_refused() {
        for answer in [head("s3pPLMBiTxaQ9kYGzzhZRbK+xOx="), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), [&head(ACCEPT)[..], b"x"].concat()] {
            let mut socket = WebSocket::new(vec![3; 64]);
            socket.renew();
            assert!(socket.receive(&answer).is_err());
        }
    }

    #[test]
    fn a_masked_a_stale_and_a_longer_answer_are_refused() -> io::Result<()> {
        let mut socket = shaken(&[3; 64])?;
        let masked = socket.request().to_vec();
        assert!(socket.receive(&masked).is_err());
        let stale = socket.expected.clone();
        socket.renew();
        assert!(socket.receive(&stale).is_err());
        socket.renew();
        let longer = [&socket.expected[..], &[0x82]].concat();
        assert!(socket.receive(&longer).is_err());
        Ok(())
    }

    #[test]
    fn a_new_connection_shakes_hands_again() -> io::Result<()> {
        let mut socket = shaken(&[3; 64])?;
        assert_ne!(socket.request(), HANDSHAKE);
        socket.connected();
        socket.renew();
        assert_eq!(socket.request(), HANDSHAKE);
        Ok(())
    }
}
