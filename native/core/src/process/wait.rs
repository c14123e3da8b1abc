//! A child that its caller waits for: input written, output gathered, time and output limited, all in one loop on the
//! caller's thread, with the order of things of Node's `spawn_sync` (`src/spawn_sync.cc` of Node 24, `SyncProcessRunner`).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::{Program, spawn};
use crate::limits::CHUNK_BYTES;
use crate::sys::process::{self, Started, Status};
use crate::sys::{self, Errno};

/// Chunks read from one pipe before others get their turn, as libuv has it.
const READS_IN_A_ROW: u32 = 32;

/// What the child does with one of its pipes.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// The number that the child knows it by.
    pub number: usize,
    /// It reads this, and then the end.
    pub input: Option<&'a [u8]>,
    /// It writes.
    pub output: bool,
}

/// What ends a wait early.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long the child may run.
    pub timeout: Option<Duration>,
    /// Bytes that it may write to all its pipes together.
    pub output: Option<f64>,
    /// What it is sent then.
    pub signal: i32,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Waited {
    /// The child's number, 0 if there was none.
    pub pid: libc::pid_t,
    /// How it ended, if it began.
    pub status: Option<Status>,
    /// Why it could not start or was ended early, or what failed at its pipes; 0 if nothing.
    pub error: Errno,
    /// What it wrote, by number.
    pub output: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug)]
struct Pipe<'a> {
    number: usize,
    /// None once the child has been ended.
    fd: Option<OwnedFd>,
    /// What is left to write; None once the end has been told.
    input: Option<&'a [u8]>,
    reading: bool,
    output: Option<Vec<u8>>,
}

/// How a wait goes on.
#[derive(Debug)]
struct Run<'a> {
    child: Started,
    pipes: Vec<Pipe<'a>>,
    bounds: Bounds,
    deadline: Option<Instant>,
    status: Option<Status>,
    /// The first of what went wrong with the child, and with its pipes: the former is told before the latter.
    error: Errno,
    pipe_error: Errno,
    gathered: f64,
    killed: bool,
}

/// Starts a child and waits for its end, and for that of its output.
#[must_use]
pub fn run(program: &Program<'_>, uses: &[Use<'_>], bounds: Bounds) -> Waited {
    let deadline = bounds.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let outcome = spawn(program);
    let child = match outcome.process {
        Ok(child) => child,
        Err(error) => return Waited { error, ..Waited::default() },
    };
    let pipes = outcome.pipes.into_iter().filter_map(|(number, fd)| {
        let used = uses.iter().find(|used| used.number == number)?;
        // A pipe that would make us wait is read and written no less: only when it is ready, and then for once.
        let fd = sys::adopt(std::os::fd::IntoRawFd::into_raw_fd(fd)).ok()?;
        Some(Pipe { number, fd: Some(fd), input: used.input, reading: used.output, output: used.output.then(Vec::new) })
    });
    let mut run = Run { pipes: pipes.collect(), child, bounds, deadline, status: None, error: 0, pipe_error: 0, gathered: 0.0, killed: false };
    while run.turn() {}
    let error = if run.error != 0 { run.error } else { run.pipe_error };
    let output = run.pipes.into_iter().filter_map(|pipe| Some((pipe.number, pipe.output?))).collect();
    Waited { pid: run.child.pid, status: run.status, error, output }
}

impl Run<'_> {
    /// Waits for what comes next and takes it; false when there is nothing left to wait for.
    fn turn(&mut self) -> bool {
        let mut entries: Vec<libc::pollfd> = Vec::with_capacity(self.pipes.len() + 1);
        for pipe in &self.pipes {
            let wanted = if pipe.input.is_some() { libc::POLLOUT } else { 0 } | if pipe.reading { libc::POLLIN } else { 0 };
            let fd = pipe.fd.as_ref().filter(|_| wanted != 0).map_or(-1, AsRawFd::as_raw_fd);
            entries.push(libc::pollfd { fd, events: wanted, revents: 0 });
        }
        let child = if self.status.is_some() { -1 } else { self.child.descriptor.as_raw_fd() };
        entries.push(libc::pollfd { fd: child, events: libc::POLLIN, revents: 0 });
        if entries.iter().all(|entry| entry.fd < 0) {
            return false;
        }
        let deadline = self.deadline.filter(|_| self.status.is_none() && !self.killed);
        let told = match sys::wait_any(&mut entries, deadline.map(|at| at.saturating_duration_since(Instant::now()))) {
            Ok(told) => told,
            Err(errno) => {
                self.give_up(errno);
                return false;
            }
        };
        if told == 0 {
            if deadline.is_some_and(|at| Instant::now() >= at) {
                self.fail(-libc::ETIMEDOUT);
                self.kill();
            }
            return true;
        }
        let ended = entries.pop().is_some_and(|entry| entry.revents != 0);
        for (index, entry) in entries.iter().enumerate() {
            if entry.revents != 0 {
                self.write(index);
                self.read(index);
            }
        }
        // Last, as libuv looks for ended children.
        if ended {
            self.take_status();
        }
        true
    }

    /// The kernel will not say any more what happens: the child is not left behind, nor without a status.
    fn give_up(&mut self, errno: Errno) {
        self.fail(errno);
        if self.status.is_none() {
            self.kill();
            self.keep_status(process::reap_at_the_end(self.child.descriptor.as_fd()));
        }
    }

    fn take_status(&mut self) {
        self.keep_status(process::reap(self.child.descriptor.as_fd()));
    }

    fn keep_status(&mut self, status: Result<Option<Status>, Errno>) {
        match status {
            Ok(None) => {}
            Ok(Some(status)) => self.status = Some(status),
            // Somebody else has taken it: nobody will ever know it, and waiting on would be for ever.
            Err(errno) => {
                self.fail(errno);
                self.status = Some(Status { code: 0, signal: 0 });
            }
        }
    }

    fn fail(&mut self, errno: Errno) {
        if self.error == 0 {
            self.error = errno;
        }
    }

    fn fail_pipe(&mut self, errno: Errno) {
        if self.pipe_error == 0 {
            self.pipe_error = errno;
        }
    }

    fn write(&mut self, index: usize) {
        let pipe = &mut self.pipes[index];
        let (Some(mut left), Some(fd)) = (pipe.input, &pipe.fd) else { return };
        let mut failure = 0;
        while !left.is_empty() {
            match sys::write(fd.as_fd(), left) {
                Ok(count) => left = &left[count..],
                Err(errno) if errno == -libc::EAGAIN => {
                    pipe.input = Some(left);
                    return;
                }
                Err(errno) => {
                    left = &[];
                    failure = errno;
                }
            }
        }
        pipe.input = None;
        let shut = sys::shutdown_write(fd.as_fd()).err().unwrap_or(0);
        for errno in [failure, shut] {
            self.fail_pipe(errno);
        }
    }

    fn read(&mut self, index: usize) {
        for _ in 0..READS_IN_A_ROW {
            let pipe = &mut self.pipes[index];
            let (Some(output), Some(fd), true) = (&mut pipe.output, &pipe.fd, pipe.reading) else { return };
            // Buffers of Node's size, filled one after the other: a limit is noticed at the same places.
            let (at, room) = (output.len(), CHUNK_BYTES - output.len() % CHUNK_BYTES);
            output.resize(at + room, 0);
            let result = sys::read(fd.as_fd(), &mut output[at..]);
            output.truncate(at + result.unwrap_or(0));
            match result {
                Ok(0) => pipe.reading = false,
                Ok(count) => {
                    if !self.gather(count) || count < room {
                        return;
                    }
                }
                Err(errno) if errno == -libc::EAGAIN => return,
                Err(errno) => {
                    pipe.reading = false;
                    self.fail_pipe(errno);
                }
            }
        }
    }

    /// Counts output; false when it is too much, and the child has been told so.
    fn gather(&mut self, count: usize) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "no output is so large")]
        let count = count as f64;
        self.gathered += count;
        let fits = self.bounds.output.is_none_or(|most| self.gathered <= most);
        if !fits {
            self.fail(-libc::ENOBUFS);
            self.kill();
        }
        fits
    }

    /// Ends the child, once, and closes the pipes, though others may still have their other ends: in this order, or a
    /// child that writes could die of the pipe instead of its signal.
    fn kill(&mut self) {
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        if self.status.is_none() {
            self.signal();
        }
        for pipe in &mut self.pipes {
            pipe.fd = None;
        }
    }

    fn signal(&mut self) {
        match process::kill(self.child.pid, self.bounds.signal) {
            Ok(()) => {}
            Err(errno) if errno == -libc::ESRCH => {}
            // No such signal: the caller learns that, and the child ends all the same.
            Err(errno) => {
                self.fail(errno);
                let _ = process::kill(self.child.pid, libc::SIGKILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stdio;
    use super::*;

    const FREE: Bounds = Bounds { timeout: None, output: None, signal: libc::SIGTERM };
    const STDIO: &[Stdio] = &[Stdio::Pipe, Stdio::Pipe, Stdio::Pipe];

    fn sh(script: &std::ffi::CStr, input: &[u8], bounds: Bounds) -> Waited {
        let arguments = [c"sh", c"-c", script];
        let environment = [c"PATH=/bin:/usr/bin"];
        let uses = [0, 1, 2].map(|number| Use { number, input: (number == 0).then_some(input), output: number > 0 });
        let program = Program {
            file: c"/bin/sh",
            arguments: &arguments,
            environment: &environment,
            directory: None,
            stdio: STDIO,
            detached: false,
            user: None,
            group: None,
        };
        run(&program, &uses, bounds)
    }

    #[test]
    #[cfg_attr(miri, ignore = "starts a child")]
    fn input_goes_in_and_output_comes_out() {
        let input: Vec<u8> = (0..=u8::MAX).cycle().take(1_000_000).collect();
        let waited = sh(c"cat; echo end >&2; exit 3", &input, FREE);
        assert_eq!((waited.status, waited.error), (Some(Status { code: 3, signal: 0 }), 0));
        assert_eq!(waited.output, [(1, input), (2, b"end\n".to_vec())]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "starts a child")]
    fn time_and_output_are_bounded() {
        let late = sh(c"exec sleep 60", b"", Bounds { timeout: Some(Duration::from_millis(50)), ..FREE });
        assert_eq!((late.status, late.error), (Some(Status { code: 0, signal: libc::SIGTERM }), -libc::ETIMEDOUT));
        let loud = sh(c"while echo 0123456789; do :; done", b"", Bounds { output: Some(100_000.0), signal: libc::SIGKILL, ..FREE });
        assert_eq!((loud.status, loud.error), (Some(Status { code: 0, signal: libc::SIGKILL }), -libc::ENOBUFS));
        let (_, text) = &loud.output[0];
        assert!(text.len() > 100_000 && text.len() <= 100_000 + CHUNK_BYTES);
    }

    #[test]
    #[cfg_attr(miri, ignore = "starts a child")]
    fn who_inherits_the_output_is_waited_for() {
        let waited = sh(c"(sleep 0.2; echo late) & exit 4", b"", FREE);
        assert_eq!((waited.status, waited.output[0].1.as_slice()), (Some(Status { code: 4, signal: 0 }), b"late\n".as_slice()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "starts a child")]
    fn input_that_nobody_reads_is_an_error_of_the_pipe() {
        let waited = sh(c"exec 0<&-; sleep 0.1; exit 5", &vec![0; 1_000_000], FREE);
        assert_eq!((waited.status, waited.error), (Some(Status { code: 5, signal: 0 }), -libc::EPIPE));
    }
}
