//! The closed loop behind the `http`, `echo` and `connect` modes: every connection asks, waits for the whole answer,
//! checks it, and asks again.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::args::Args;
use crate::exchange::{Exchange, fixed_body, payload};
use crate::target::Target;
use crate::tls::TlsSettings;
use crate::transport::Transport;
use crate::window::{Phase, Window};

/// Room for a 64 KB answer with its head in one read.
const READ_BUFFER: usize = 96 * 1024;
/// A question older than this at the end of the window counts as stalled: a lost wake-up looks like that.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// One run's settings and counters.
struct Run {
    poll: Poll,
    target: Target,
    tls: Option<TlsSettings>,
    window: Window,
    /// A fresh connection for every operation, ended by the server.
    one_shot: bool,
    resumed: u64,
    buffer: Vec<u8>,
}

struct Connection {
    transport: Transport,
    exchange: Exchange,
    sent: usize,
    started: Instant,
    answered: bool,
}

/// Drives `--connections N` for the window. `http`: `--size` bytes expected, or `--post` bytes echoed, `--one-shot` for
/// a connection per request, `--tls CERT`. `echo`: `--size` bytes. `connect`: the same, a connection each.
pub(crate) fn run(mode: &str, args: &Args) -> io::Result<String> {
    let count: usize = args.number("connections", 1)?;
    let size: usize = args.number("size", 64)?;
    let posted: usize = args.number("post", 0)?;
    let mut run = Run {
        poll: Poll::new()?,
        target: Target::new(args)?,
        tls: TlsSettings::new(args)?,
        window: Window::new(args)?,
        one_shot: mode == "connect" || args.has("one-shot"),
        resumed: 0,
        buffer: vec![0; READ_BUFFER],
    };
    let body = fixed_body(size);
    let mut connections = Vec::with_capacity(count);
    for index in 0..count {
        let exchange = match mode {
            "http" if posted > 0 => Exchange::post(payload(posted, index))?,
            "http" => Exchange::get(body.clone(), run.one_shot),
            _ => Exchange::echo(payload(size, index)),
        };
        let transport = run.connect(index)?;
        connections.push(Connection { transport, exchange, sent: 0, started: Instant::now(), answered: false });
    }
    for connection in &mut connections {
        connection.exchange.renew();
    }
    let mut events = Events::with_capacity(count.max(64));
    loop {
        let now = Instant::now();
        match run.window.tick(now)? {
            Phase::Over => return run.report(now, &connections),
            Phase::Opened => run.open(),
            Phase::Running => {}
        }
        match run.poll.poll(&mut events, Some(run.window.patience(now))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            let index = event.token().0;
            run.turn(&mut connections[index], index, event)?;
        }
    }
}

impl Run {
    fn connect(&self, index: usize) -> io::Result<Transport> {
        Transport::connect(&self.target, self.tls.as_ref(), self.poll.registry(), Token(index), !self.one_shot)
    }

    fn open(&mut self) {
        self.resumed = 0;
        if let Some(tls) = &self.tls {
            tls.spend_tickets();
        }
    }

    /// One event of one connection. A connection that breaks is counted and made anew.
    fn turn(&mut self, connection: &mut Connection, index: usize, event: &Event) -> io::Result<()> {
        match connection.transport.ready(event).and_then(|()| self.advance(connection)) {
            Ok(Advance::Waiting) => return Ok(()),
            Ok(Advance::Ended) => {
                if connection.transport.resumed() {
                    self.resumed += 1;
                }
            }
            Err(error) => self.window.fault(&error)?,
        }
        connection.started = Instant::now();
        connection.transport = self.connect(index)?;
        connection.begin();
        Ok(())
    }

    /// Sends and receives until the kernel has no more to give.
    fn advance(&mut self, connection: &mut Connection) -> io::Result<Advance> {
        loop {
            connection.send()?;
            match connection.transport.read(&mut self.buffer) {
                Ok(0) if self.one_shot && connection.answered => {
                    self.window.answer(connection.started.elapsed());
                    return Ok(Advance::Ended);
                }
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if connection.answered => {
                    return Err(io::Error::other("bytes after the answer"));
                }
                Ok(count) if !connection.exchange.receive(&self.buffer[..count])? => {}
                Ok(_) if self.one_shot => connection.answered = true,
                Ok(_) => {
                    let now = Instant::now();
                    self.window.answer(now - connection.started);
                    connection.started = now;
                    connection.begin();
                }
                Err(error) if would_wait(&error) => return Ok(Advance::Waiting),
                Err(error) => return Err(error),
            }
        }
    }

    fn report(&self, now: Instant, connections: &[Connection]) -> io::Result<String> {
        let stalled = connections.iter().filter(|connection| now - connection.started > STALLED_AFTER).count();
        self.window.report(now, &format!(r#","stalled":{stalled},"resumed":{}"#, self.resumed))
    }
}

enum Advance {
    /// Nothing to do until the next event.
    Waiting,
    /// The answer was complete and the server has ended the connection.
    Ended,
}

impl Connection {
    fn begin(&mut self) {
        self.exchange.renew();
        self.sent = 0;
        self.answered = false;
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
