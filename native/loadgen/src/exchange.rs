//! What one connection asks and how it judges the answer. Nothing here does I/O.

use std::io;
use std::io::Write;
use std::sync::Arc;

/// The body every fixed-size workload answers with, so that each byte can be checked.
const FILL: u8 = b'x';
/// An answer's head longer than this is not one of our workloads'.
pub(crate) const HEAD_LIMIT: usize = 4096;

/// What a connection asks, operation by operation, and how the answers are judged.
pub(crate) trait Ask {
    /// The connection is a new one: what has to be said once on each has to be said again.
    fn connected(&mut self) {}

    /// Begins the next operation: another question, nothing received.
    fn renew(&mut self);

    /// The bytes to send.
    fn request(&self) -> &[u8];

    /// Judges bytes that arrived. `true` when the answer is complete; an error when it is not the right one.
    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool>;
}

/// One connection's question and the state of its answer.
pub(crate) struct Exchange {
    request: Box<[u8]>,
    /// Where the payload starts in the request; its first bytes carry the number of the operation.
    payload_at: usize,
    /// The body to expect, or `None` where the payload must come back.
    fixed: Option<Arc<[u8]>>,
    number: u64,
    http: Option<Head>,
    /// Bytes of the body seen so far.
    body: usize,
}

/// The head of an HTTP answer. The last one is kept: an equal one need not be parsed again, and only the date changes.
#[derive(Default)]
struct Head {
    last: Vec<u8>,
    partial: Vec<u8>,
    complete: bool,
}

pub(crate) fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The body of a workload that answers with a fixed number of bytes.
pub(crate) fn fixed_body(size: usize) -> Arc<[u8]> {
    vec![FILL; size].into()
}

/// Bytes that differ between connections, so that an answer on the wrong one is seen.
pub(crate) fn payload(size: usize, seed: usize) -> Vec<u8> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

impl Exchange {
    /// `GET /`, answered with `body`. `close` asks the server to end the connection afterwards.
    pub(crate) fn get(body: Arc<[u8]>, close: bool) -> Self {
        let connection = if close { "Connection: close\r\n" } else { "" };
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{connection}\r\n");
        Self::new(request.into_bytes(), Vec::new(), Some(body), true)
    }

    /// `POST /` of `payload`, answered with the same bytes.
    pub(crate) fn post(payload: Vec<u8>) -> io::Result<Self> {
        let mut head = Vec::new();
        write!(head, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", payload.len())?;
        Ok(Self::new(head, payload, None, true))
    }

    /// `payload` as it is, answered with the same bytes.
    pub(crate) fn echo(payload: Vec<u8>) -> Self {
        Self::new(Vec::new(), payload, None, false)
    }

    fn new(mut request: Vec<u8>, payload: Vec<u8>, fixed: Option<Arc<[u8]>>, http: bool) -> Self {
        let payload_at = request.len();
        request.extend_from_slice(&payload);
        Self { request: request.into_boxed_slice(), payload_at, fixed, number: 0, http: http.then(Head::default), body: 0 }
    }
}

impl Ask for Exchange {
    /// A new number in the payload, nothing received.
    fn renew(&mut self) {
        self.number += 1;
        let tag = self.number.to_le_bytes();
        if let Some(start) = self.request[self.payload_at..].first_chunk_mut::<8>() {
            *start = tag;
        }
        self.body = 0;
        if let Some(head) = &mut self.http {
            head.complete = false;
            head.partial.clear();
        }
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn receive(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        let expected = self.fixed.as_deref().unwrap_or(&self.request[self.payload_at..]);
        if let Some(head) = &mut self.http
            && !head.complete
        {
            match head.receive(bytes, expected.len())? {
                Some(rest) => bytes = rest,
                None => return Ok(false),
            }
        }
        match expected.get(self.body..self.body + bytes.len()) {
            Some(part) if part == bytes => {}
            Some(_) => return Err(wrong("the answer has other bytes than expected")),
            None => return Err(wrong("the answer is longer than expected")),
        }
        self.body += bytes.len();
        Ok(self.body == expected.len())
    }
}

impl Head {
    /// Takes bytes up to the end of the head; the rest, which is body, once there is an end.
    fn receive<'a>(&mut self, bytes: &'a [u8], length: usize) -> io::Result<Option<&'a [u8]>> {
        if self.partial.is_empty()
            && !self.last.is_empty()
            && let Some(rest) = bytes.strip_prefix(self.last.as_slice())
        {
            self.complete = true;
            return Ok(Some(rest));
        }
        let held = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.windows(4).position(|window| window == b"\r\n\r\n") else {
            if self.partial.len() > HEAD_LIMIT {
                return Err(wrong("the head of the answer has no end"));
            }
            return Ok(None);
        };
        let end = end + 4;
        let head = &self.partial[..end];
        if !head.starts_with(b"HTTP/1.1 200 ") {
            let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
            return Err(wrong(format!("answered with {:?}", String::from_utf8_lossy(line))));
        }
        if content_length(head) != Some(length) {
            return Err(wrong(format!("answered without Content-Length: {length}")));
        }
        self.last.clear();
        self.last.extend_from_slice(head);
        self.complete = true;
        Ok(Some(&bytes[end - held..]))
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";

    fn answer(exchange: &mut Exchange, step: usize, bytes: &[u8]) -> io::Result<bool> {
        exchange.renew();
        let mut done = false;
        for part in bytes.chunks(step) {
            assert!(!done, "complete before its end");
            done = exchange.receive(part)?;
        }
        Ok(done)
    }

    #[test]
    fn an_answer_may_arrive_in_any_pieces() -> io::Result<()> {
        let mut exchange = Exchange::get(fixed_body(4), false);
        let whole = [HEAD, b"xxxx"].concat();
        for step in [1, 3, HEAD.len() - 1, HEAD.len(), HEAD.len() + 1, whole.len()] {
            // Twice, so that the remembered head is used as well.
            assert!(answer(&mut exchange, step, &whole)?);
            assert!(answer(&mut exchange, step, &whole)?);
        }
        Ok(())
    }

    #[test]
    fn wrong_answers_are_refused() {
        let mut exchange = Exchange::get(fixed_body(4), false);
        assert!(answer(&mut exchange, 99, &[HEAD, b"xxyx"].concat()).is_err());
        assert!(answer(&mut exchange, 99, &[HEAD, b"xxxxx"].concat()).is_err());
        assert!(answer(&mut exchange, 99, b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\nxxxx").is_err());
        assert!(answer(&mut exchange, 99, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nxxxxx").is_err());
    }

    #[test]
    fn an_echo_of_another_connection_or_operation_is_refused() -> io::Result<()> {
        let mut ours = Exchange::echo(payload(64, 0));
        let mut other = Exchange::echo(payload(64, 1));
        ours.renew();
        other.renew();
        let stale = ours.request().to_vec();
        assert!(ours.receive(other.request()).is_err());
        ours.renew();
        assert!(ours.receive(&stale).is_err());
        let fresh = ours.request().to_vec();
        assert!(ours.receive(&fresh)?);
        Ok(())
    }
}
