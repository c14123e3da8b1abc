//! One connection of a loop in which the peer answers question by question: what is asked, how much of it is sent, and
//! what came back.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::exchange::Ask;
use crate::transport::Transport;

/// Room for a 64 KB answer with its head in one read.
pub(crate) const READ_BUFFER: usize = 96 * 1024;
/// A question older than this at the end of the window counts as stalled: a lost wake-up looks like that.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(1);

/// A transport, the question on it, and the state of its answer.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    exchange: Box<dyn Ask>,
    sent: usize,
    /// When the present question was due, or the connection begun.
    pub(crate) started: Instant,
    /// The answer to the last question is complete, and nothing is asked.
    pub(crate) answered: bool,
}

/// How far one connection came.
pub(crate) enum Step {
    /// Nothing to do until the next event.
    Waiting,
    /// The answer is complete, and right.
    Answered,
    /// The peer has ended the connection after its answer.
    Ended,
}

impl Connection {
    /// A connection under way, with the first question asked.
    pub(crate) fn new(transport: Transport, exchange: Box<dyn Ask>) -> Self {
        let mut connection = Self { transport, exchange, sent: 0, started: Instant::now(), answered: false };
        connection.begin();
        connection
    }

    /// Puts a new transport in the place of one that ended or broke.
    pub(crate) fn replace(&mut self, transport: Transport) {
        self.transport = transport;
        self.exchange.connected();
        self.begin();
    }

    /// The next question: nothing of it is sent, nothing received. `started` is left to whoever knows the time.
    pub(crate) fn begin(&mut self) {
        self.exchange.renew();
        self.sent = 0;
        self.answered = false;
    }

    /// Whether the operation is older than an answer may take.
    pub(crate) fn stalled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.started) > STALLED_AFTER
    }

    /// Sends and receives until the answer is complete, the peer has ended, or the kernel has no more to give.
    pub(crate) fn step(&mut self, buffer: &mut [u8]) -> io::Result<Step> {
        loop {
            self.send()?;
            match self.transport.read(buffer) {
                Ok(0) if self.answered => return Ok(Step::Ended),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.answered => return Err(io::Error::other("bytes after the answer")),
                Ok(count) => {
                    if self.exchange.receive(&buffer[..count])? {
                        self.answered = true;
                        return Ok(Step::Answered);
                    }
                }
                Err(error) if would_wait(&error) => return Ok(Step::Waiting),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.exchange.request().len() {
            match self.transport.write(&self.exchange.request()[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if would_wait(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Not yet connected, nothing there, or no room: an event will follow.
fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
