//! The measured window: a warm-up that is thrown away, then a fixed time in which answers count.

use std::io;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::cpu::{self, Cpu, Meter};
use crate::histogram::Histogram;

/// One window. The edges are taken here, by whoever sees the answers, so that operations and processor time cover the
/// same stretch to within one answer.
pub(crate) struct Window {
    meter: Meter,
    opens: Instant,
    seconds: Duration,
    opened: Option<Edge>,
    histogram: Histogram,
    operations: u64,
    /// Answers that were wrong and connections that broke, from the first moment on.
    pub(crate) errors: u64,
}

struct Edge {
    at: Instant,
    cpu: Cpu,
    own: Duration,
}

/// Past this many errors the cell is broken, and its numbers would only hide that.
const ERRORS_TOLERATED: u64 = 100;

impl Window {
    /// `--warmup` and `--seconds` are seconds, `--pid` lists the processes to meter.
    pub(crate) fn new(args: &Args) -> io::Result<Self> {
        let warmup = Duration::from_secs_f64(args.number("warmup", 1.0)?);
        Ok(Self {
            meter: Meter::new(args)?,
            opens: Instant::now() + warmup,
            seconds: Duration::from_secs_f64(args.number("seconds", 3.0)?),
            opened: None,
            histogram: Histogram::new(),
            operations: 0,
            errors: 0,
        })
    }

    /// One answer that took `latency`.
    pub(crate) fn answer(&mut self, latency: Duration) {
        self.count();
        self.latency(latency);
    }

    /// One operation beside those whose latency is wanted.
    pub(crate) fn count(&mut self) {
        self.operations += 1;
    }

    /// One latency beside the operations that count.
    pub(crate) fn latency(&mut self, latency: Duration) {
        self.histogram.record(latency);
    }

    /// Work whose latency nobody can see from outside, in operations.
    pub(crate) fn progress(&mut self, operations: u64) {
        self.operations = operations;
    }

    /// One wrong answer or broken connection; an error once there are too many.
    pub(crate) fn fault(&mut self, what: &io::Error) -> io::Result<()> {
        self.errors += 1;
        if self.errors > ERRORS_TOLERATED {
            return Err(io::Error::other(format!("too many errors, the last: {what}")));
        }
        Ok(())
    }

    /// How long to wait for readiness at most, so that an edge is noticed even when nothing answers.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        let edge = self.opened.as_ref().map_or(self.opens, |opened| opened.at + self.seconds);
        edge.saturating_duration_since(now) + Duration::from_millis(1)
    }

    /// Looks at the clock: opens the window when the warm-up is over, and says when it has ended.
    pub(crate) fn tick(&mut self, now: Instant) -> io::Result<Phase> {
        match &self.opened {
            None if now >= self.opens => {
                self.histogram.clear();
                self.operations = 0;
                self.opened = Some(Edge { at: now, cpu: self.meter.read()?, own: cpu::own()? });
                Ok(Phase::Opened)
            }
            Some(opened) if now >= opened.at + self.seconds => Ok(Phase::Over),
            _ => Ok(Phase::Running),
        }
    }

    /// The line of JSON. `more` is appended as it is: further members, each with a leading comma.
    pub(crate) fn report(&self, now: Instant, more: &str) -> io::Result<String> {
        let Some(opened) = &self.opened else {
            return Err(io::Error::other("the window never opened"));
        };
        let cpu = self.meter.read()?.since(opened.cpu);
        let own = cpu::own()?.saturating_sub(opened.own);
        let seconds = (now - opened.at).as_secs_f64();
        let latency = if self.histogram.total() == 0 {
            "null".to_owned()
        } else {
            format!(
                r#"{{"p50":{:.2},"p90":{:.2},"p99":{:.2},"max":{:.2}}}"#,
                self.histogram.micros_at(0.5),
                self.histogram.micros_at(0.9),
                self.histogram.micros_at(0.99),
                self.histogram.max_micros(),
            )
        };
        Ok(format!(
            r#"{{"operations":{},"seconds":{seconds:.6},"perSecond":{:.3},"latencyUs":{latency},"errors":{},"cpu":{},"loadgenNs":{}{more}}}"#,
            self.operations,
            self.operations as f64 / seconds,
            self.errors,
            cpu.json(),
            own.as_nanos(),
        ))
    }
}

/// Where the clock stands.
pub(crate) enum Phase {
    /// Warm-up or window, as before.
    Running,
    /// The window has just opened: cumulative counters start here.
    Opened,
    /// The window has ended.
    Over,
}
