//! The `burst` mode: every connection asks at the same moment, and nobody asks again until all are answered. What counts
//! is how long the first of them waits, and all on average.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::args::Args;
use crate::connection::{Connection, READ_BUFFER, Step};
use crate::exchange::{Exchange, fixed_body};
use crate::histogram::Histogram;
use crate::target::Target;
use crate::transport::Transport;
use crate::window::{Phase, Window};

/// Between the last answer of a burst and the next one: time enough for a server to go to sleep, as it does in life.
const PAUSE: Duration = Duration::from_millis(10);

/// Drives bursts of `--connections N` requests, answered with `--size` bytes each. A connection that breaks ends the run.
pub(crate) fn run(args: &Args) -> io::Result<String> {
    let count: usize = args.number("connections", 1)?;
    let body = fixed_body(args.number("size", 64)?);
    let target = Target::new(args)?;
    let mut window = Window::new(args)?;
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for index in 0..count {
        let transport = Transport::connect(&target, None, poll.registry(), Token(index), true)?;
        connections.push(Connection::new(transport, Box::new(Exchange::get(Arc::clone(&body), false))));
    }
    let mut buffer = vec![0; READ_BUFFER];
    let mut bursts = Bursts::new(count, Instant::now());
    let mut events = Events::with_capacity(count.max(64));
    loop {
        let now = Instant::now();
        match window.tick(now)? {
            Phase::Over => {
                let stalled = connections.iter().filter(|connection| !connection.answered && connection.stalled(now)).count();
                return window.report(now, &format!(r#","stalled":{stalled}{}"#, bursts.report()));
            }
            Phase::Opened => bursts.clear(),
            Phase::Running => {}
        }
        if bursts.begin(now) {
            for connection in &mut connections {
                connection.begin();
                connection.started = now;
                // Readiness is edge-triggered, and they could be written to all along.
                settle(connection, &mut buffer, &mut bursts, &mut window)?;
            }
        }
        let patience = bursts.patience(now).map_or(window.patience(now), |pause| pause.min(window.patience(now)));
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            connection.transport.ready(event)?;
            settle(connection, &mut buffer, &mut bursts, &mut window)?;
        }
    }
}

/// One connection as far as it goes.
fn settle(connection: &mut Connection, buffer: &mut [u8], bursts: &mut Bursts, window: &mut Window) -> io::Result<()> {
    match connection.step(buffer)? {
        Step::Waiting => Ok(()),
        Step::Answered => {
            let now = Instant::now();
            window.answer(now - connection.started);
            bursts.answer(now);
            Ok(())
        }
        Step::Ended => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// One burst after the other, and what they came to.
struct Bursts {
    size: usize,
    /// Answers that the present burst waits for.
    missing: usize,
    started: Instant,
    /// When the last answer came.
    over: Instant,
    /// Answers of the present burst are taken down: it began inside the window.
    counts: bool,
    firsts: Histogram,
    sum: Duration,
    answers: u64,
}

impl Bursts {
    /// Of `size` questions each. The first is under way: connections are made with a question.
    fn new(size: usize, now: Instant) -> Self {
        Self { size, missing: size, started: now, over: now, counts: false, firsts: Histogram::new(), sum: Duration::ZERO, answers: 0 }
    }

    /// The window opens: what was, and what is under way, does not count.
    fn clear(&mut self) {
        self.firsts.clear();
        self.sum = Duration::ZERO;
        self.answers = 0;
        self.counts = false;
    }

    /// Whether the next burst begins now.
    fn begin(&mut self, now: Instant) -> bool {
        if self.missing > 0 || now < self.over + PAUSE {
            return false;
        }
        self.missing = self.size;
        self.started = now;
        self.counts = true;
        true
    }

    fn answer(&mut self, now: Instant) {
        if self.counts {
            let took = now.saturating_duration_since(self.started);
            if self.missing == self.size {
                self.firsts.record(took);
            }
            self.sum += took;
            self.answers += 1;
        }
        self.missing -= 1;
        self.over = now;
    }

    /// How long until the next burst, where it waits for nothing else.
    fn patience(&self, now: Instant) -> Option<Duration> {
        (self.missing == 0).then(|| (self.over + PAUSE).saturating_duration_since(now))
    }

    /// Members for the line of JSON, if a burst was seen.
    fn report(&self) -> String {
        if self.answers == 0 {
            return String::new();
        }
        let mean = self.sum.as_secs_f64() * 1e6 / self.answers as f64;
        format!(r#","firstUs":{:.2},"meanUs":{mean:.2}"#, self.firsts.micros_at(0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_next_burst_waits_for_the_last_answer_and_a_pause() {
        let start = Instant::now();
        let mut bursts = Bursts::new(2, start);
        assert!(!bursts.begin(start + PAUSE * 9));
        bursts.answer(start + MS);
        assert!(!bursts.begin(start + PAUSE * 9));
        assert_eq!(bursts.patience(start + MS), None);
        bursts.answer(start + 2 * MS);
        assert!(!bursts.begin(start + 3 * MS));
        assert_eq!(bursts.patience(start + 3 * MS), Some(PAUSE - MS));
        assert!(bursts.begin(start + 2 * MS + PAUSE));
        assert!(!bursts.begin(start + 2 * MS + PAUSE));
    }

    #[test]
    fn the_first_answer_and_the_mean_are_told_apart() {
        let start = Instant::now();
        let mut bursts = Bursts::new(3, start);
        for _ in 0..3 {
            bursts.answer(start);
        }
        assert!(bursts.report().is_empty(), "what was asked before the window does not count");
        bursts.clear();
        let begun = start + PAUSE;
        assert!(bursts.begin(begun));
        for after in [2, 4, 9] {
            bursts.answer(begun + after * MS);
        }
        assert!((bursts.firsts.micros_at(0.5) - 2000.0).abs() < 20.0);
        assert_eq!(bursts.firsts.total(), 1);
        assert!(bursts.report().ends_with(r#""meanUs":5000.00"#), "{}", bursts.report());
    }

    #[test]
    fn a_burst_under_way_when_the_window_opens_does_not_count() {
        let start = Instant::now();
        let mut bursts = Bursts::new(1, start);
        bursts.answer(start);
        assert!(bursts.begin(start + PAUSE));
        bursts.clear();
        bursts.answer(start + PAUSE + MS);
        assert!(bursts.report().is_empty());
        assert!(bursts.begin(start + 3 * PAUSE));
    }
}
