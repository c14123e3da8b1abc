//! The `storm` mode: full TLS handshakes as fast as the server makes them, and beside them a trickle of http requests to
//! another port of the same program. The handshakes are the operations, the latencies those of the trickle, which is an
//! open loop: each request has a moment at which it is due, and its time runs from there, whoever is late.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::args::{Args, bad};
use crate::connection::{Connection, READ_BUFFER, STALLED_AFTER, Step};
use crate::drive::Loop;
use crate::exchange::{Exchange, fixed_body};
use crate::target::Target;
use crate::tls::TlsSettings;
use crate::transport::Transport;
use crate::window::{Phase, Window};

/// Keep-alive connections of the trickle: at 400 a second, as many as are under way in an answer of 160 ms.
const LANES: usize = 64;

/// Drives `--connections N` closed loops of one https request on a connection of its own to `--secure-port`, and
/// `--rate N` http requests a second to `--port`; `--size` bytes answer either.
pub(crate) fn run(args: &Args) -> io::Result<String> {
    let count: usize = args.number("connections", 1)?;
    let rate: u32 = args.number("rate", 400)?;
    if rate == 0 {
        return Err(bad("--rate: at least one a second".to_owned()));
    }
    let body = fixed_body(args.number("size", 64)?);
    let target = Target::new(args)?;
    let tls = TlsSettings::new(args)?.ok_or_else(|| bad("storm needs --tls".to_owned()))?;
    let mut poll = Poll::new()?;
    let mut window = Window::new(args)?;
    let mut shakes = Loop::new(vec![Target::named(args, "secure-port")?], Some(tls), true).silent();
    for _ in 0..count {
        shakes.add(&poll, Box::new(Exchange::get(Arc::clone(&body), true)))?;
    }
    // Each lane begins with a question, by which it is known to be open; only what is due later is timed.
    let mut lanes = Vec::new();
    for index in 0..LANES {
        let transport = Transport::connect(&target, None, poll.registry(), Token(count + index), true)?;
        lanes.push(Connection::new(transport, Box::new(Exchange::get(Arc::clone(&body), false))));
    }
    let mut trickle = Trickle::new(rate, Instant::now());
    let mut buffer = vec![0; READ_BUFFER];
    let mut events = Events::with_capacity(count + LANES);
    loop {
        let now = Instant::now();
        match window.tick(now)? {
            Phase::Over => {
                let mut late = lanes.iter().filter(|lane| !lane.answered && lane.stalled(now)).count();
                late += trickle.late(now);
                return window.report(now, &format!(r#"{},"late":{late}"#, shakes.report(now)));
            }
            Phase::Opened => shakes.open(),
            Phase::Running => {}
        }
        trickle.fall_due(now);
        while let Some((lane, due)) = trickle.assign() {
            let connection = &mut lanes[lane];
            connection.begin();
            connection.started = due;
            settle(connection, lane, &mut buffer, &mut trickle, &mut window)?;
        }
        let patience = window.patience(now).min(trickle.patience(now));
        sleep(poll.as_raw_fd(), patience)?;
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            match event.token().0.checked_sub(count) {
                None => shakes.turn(&poll, &mut window, event)?,
                Some(lane) => {
                    lanes[lane].transport.ready(event)?;
                    settle(&mut lanes[lane], lane, &mut buffer, &mut trickle, &mut window)?;
                }
            }
        }
    }
}

/// One lane as far as it goes.
fn settle(connection: &mut Connection, lane: usize, buffer: &mut [u8], trickle: &mut Trickle, window: &mut Window) -> io::Result<()> {
    match connection.step(buffer)? {
        Step::Waiting => Ok(()),
        Step::Answered => {
            if trickle.free(lane) {
                window.latency(connection.started.elapsed());
            }
            Ok(())
        }
        Step::Ended => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Waits until something is ready, or for so long to the microsecond: what is due in half a millisecond must not wait for
/// a whole one, which is all that mio's timeout can say.
fn sleep(poll: RawFd, patience: Duration) -> io::Result<()> {
    let mut descriptor = libc::pollfd { fd: poll, events: libc::POLLIN, revents: 0 };
    let time = libc::timespec { tv_sec: patience.as_secs() as libc::time_t, tv_nsec: libc::c_long::from(patience.subsec_nanos()) };
    // SAFETY: one descriptor, which the caller's poll keeps open, and a time, both on this stack frame; no signal mask.
    if unsafe { libc::ppoll(&raw mut descriptor, 1, &raw const time, std::ptr::null()) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

/// When requests are due, and which lanes are free for them.
struct Trickle {
    interval: Duration,
    next: Instant,
    /// What is due and has no lane yet.
    waiting: VecDeque<Instant>,
    /// The one that rested longest goes next: a server ends a connection that says nothing for seconds.
    idle: VecDeque<usize>,
    /// Lanes whose first answer, that of the connection itself, has come.
    open: Vec<bool>,
}

impl Trickle {
    fn new(rate: u32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / rate, next: now, waiting: VecDeque::new(), idle: VecDeque::new(), open: vec![false; LANES] }
    }

    /// Takes down everything whose moment has come, were it long ago.
    fn fall_due(&mut self, now: Instant) {
        while self.next <= now {
            self.waiting.push_back(self.next);
            self.next += self.interval;
        }
    }

    /// The oldest request that is due and a lane for it.
    fn assign(&mut self) -> Option<(usize, Instant)> {
        if self.waiting.is_empty() {
            return None;
        }
        let lane = self.idle.pop_front()?;
        Some((lane, self.waiting.pop_front()?))
    }

    /// A lane was answered and may be used again. Whether the answer was to a request that was due.
    fn free(&mut self, lane: usize) -> bool {
        self.idle.push_back(lane);
        std::mem::replace(&mut self.open[lane], true)
    }

    /// How long until the next request is due; no time at all if one waits and could go.
    fn patience(&self, now: Instant) -> Duration {
        if !self.waiting.is_empty() && !self.idle.is_empty() {
            return Duration::ZERO;
        }
        self.next.saturating_duration_since(now)
    }

    /// Requests that wait for a lane for longer than an answer may take.
    fn late(&self, now: Instant) -> usize {
        self.waiting.iter().filter(|due| now.saturating_duration_since(**due) > STALLED_AFTER).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_from_the_moment_a_request_is_due() {
        let start = Instant::now();
        let interval = Duration::from_millis(10);
        let mut trickle = Trickle::new(100, start);
        assert!(!trickle.free(7), "the answer that opens a lane is none of the trickle's");
        // Nobody looked for 25 ms: three are due, and only one has a lane.
        trickle.fall_due(start + Duration::from_millis(25));
        assert_eq!(trickle.assign(), Some((7, start)));
        assert_eq!(trickle.assign(), None);
        assert_eq!(trickle.patience(start + Duration::from_millis(25)), Duration::from_millis(5));
        assert!(trickle.free(7));
        assert_eq!(trickle.patience(start + Duration::from_millis(25)), Duration::ZERO);
        assert_eq!(trickle.assign(), Some((7, start + interval)));
        assert_eq!(trickle.late(start + Duration::from_millis(900)), 0);
        assert_eq!(trickle.late(start + Duration::from_secs(2)), 1);
    }
}
