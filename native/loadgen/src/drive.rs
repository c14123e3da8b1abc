//! The closed loop behind the `http`, `echo`, `connect` and `websocket` modes: every connection asks, waits for the whole
//! answer, checks it, and asks again.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::args::Args;
use crate::connection::{Connection, READ_BUFFER, Step};
use crate::exchange::{Ask, Exchange, fixed_body, payload};
use crate::target::Target;
use crate::tls::TlsSettings;
use crate::transport::Transport;
use crate::websocket::WebSocket;
use crate::window::{Phase, Window};

/// The connections of one closed loop. Their tokens are their places.
pub(crate) struct Loop {
    targets: Vec<Target>,
    tls: Option<TlsSettings>,
    connections: Vec<Connection>,
    /// A fresh connection for every operation, ended by the server.
    one_shot: bool,
    /// The latencies of the window are somebody else's: answers are only counted.
    silent: bool,
    resumed: u64,
    buffer: Vec<u8>,
}

/// Drives `--connections N` for the window. `http`: `--size` bytes expected, or `--post` bytes echoed, `--one-shot` for
/// a connection per request, `--tls CERT`. `echo`: `--size` bytes. `connect`: the same, a connection each. `websocket`:
/// the same in frames.
pub(crate) fn run(mode: &str, args: &Args) -> io::Result<String> {
    let count: usize = args.number("connections", 1)?;
    let size: usize = args.number("size", 64)?;
    let posted: usize = args.number("post", 0)?;
    let one_shot = mode == "connect" || args.has("one-shot");
    let mut poll = Poll::new()?;
    let mut window = Window::new(args)?;
    let body = fixed_body(size);
    let ask = |index| -> io::Result<Box<dyn Ask>> {
        Ok(match mode {
            "http" if posted > 0 => Box::new(Exchange::post(payload(posted, index))?),
            "http" => Box::new(Exchange::get(Arc::clone(&body), one_shot)),
            "websocket" => Box::new(WebSocket::new(payload(size, index))),
            _ => Box::new(Exchange::echo(payload(size, index))),
        })
    };
    let mut all = Loop::new(Target::all(args)?, TlsSettings::new(args)?, one_shot);
    for index in 0..count {
        all.add(&poll, ask(index)?)?;
    }
    let mut events = Events::with_capacity(count.max(64));
    loop {
        let now = Instant::now();
        match window.tick(now)? {
            Phase::Over => return window.report(now, &all.report(now)),
            Phase::Opened => all.open(),
            Phase::Running => {}
        }
        match poll.poll(&mut events, Some(window.patience(now))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            all.turn(&poll, &mut window, event)?;
        }
    }
}

impl Loop {
    pub(crate) fn new(targets: Vec<Target>, tls: Option<TlsSettings>, one_shot: bool) -> Self {
        Self { targets, tls, connections: Vec::new(), one_shot, silent: false, resumed: 0, buffer: vec![0; READ_BUFFER] }
    }

    /// Counts answers without their latencies.
    pub(crate) fn silent(self) -> Self {
        Self { silent: true, ..self }
    }

    /// One more connection, the targets taking turns.
    pub(crate) fn add(&mut self, poll: &Poll, ask: Box<dyn Ask>) -> io::Result<()> {
        let transport = self.connect(poll, self.connections.len())?;
        self.connections.push(Connection::new(transport, ask));
        Ok(())
    }

    fn connect(&self, poll: &Poll, index: usize) -> io::Result<Transport> {
        let target = &self.targets[index % self.targets.len()];
        Transport::connect(target, self.tls.as_ref(), poll.registry(), Token(index), !self.one_shot)
    }

    /// The window opens: what was earned in the warm-up is spent from now on.
    pub(crate) fn open(&mut self) {
        self.resumed = 0;
        if let Some(tls) = &self.tls {
            tls.spend_tickets();
        }
    }

    /// One event of one connection. A connection that breaks is counted and made anew.
    pub(crate) fn turn(&mut self, poll: &Poll, window: &mut Window, event: &Event) -> io::Result<()> {
        let index = event.token().0;
        match self.connections[index].transport.ready(event).and_then(|()| self.advance(window, index)) {
            Ok(Advance::Waiting) => return Ok(()),
            Ok(Advance::Ended) => {
                if self.connections[index].transport.resumed() {
                    self.resumed += 1;
                }
            }
            Err(error) => window.fault(&error)?,
        }
        self.connections[index].started = Instant::now();
        let transport = self.connect(poll, index)?;
        self.connections[index].replace(transport);
        Ok(())
    }

    fn advance(&mut self, window: &mut Window, index: usize) -> io::Result<Advance> {
        let connection = &mut self.connections[index];
        loop {
            match connection.step(&mut self.buffer)? {
                Step::Waiting => return Ok(Advance::Waiting),
                // Its end is part of the operation.
                Step::Answered if self.one_shot => {}
                Step::Answered => {
                    let now = Instant::now();
                    window.answer(now - connection.started);
                    connection.started = now;
                    connection.begin();
                }
                Step::Ended => {
                    if self.silent {
                        window.count();
                    } else {
                        window.answer(connection.started.elapsed());
                    }
                    return Ok(Advance::Ended);
                }
            }
        }
    }

    /// Members for the line of JSON.
    pub(crate) fn report(&self, now: Instant) -> String {
        let stalled = self.connections.iter().filter(|connection| connection.stalled(now)).count();
        format!(r#","stalled":{stalled},"resumed":{}"#, self.resumed)
    }
}

enum Advance {
    /// Nothing to do until the next event.
    Waiting,
    /// The answer was complete and the server has ended the connection.
    Ended,
}
