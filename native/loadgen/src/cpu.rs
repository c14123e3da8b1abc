//! Processor time of the program under test, read from outside at the edges of a window.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time at one moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// The main thread, which in a Node process is the one that runs JavaScript.
    pub(crate) main: Duration,
    /// Every thread the process ever had, those that ended included.
    pub(crate) process: Duration,
}

impl Cpu {
    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { main: self.main.saturating_sub(earlier.main), process: self.process.saturating_sub(earlier.process) }
    }

    /// Both clocks in nanoseconds, as JSON.
    pub(crate) fn json(self) -> String {
        format!(r#"{{"mainNs":{},"processNs":{}}}"#, self.main.as_nanos(), self.process.as_nanos())
    }
}

/// Reads one process. Pid 0 means nobody: the answer is zero.
pub(crate) struct Meter {
    pid: libc::pid_t,
    schedstat: String,
}

impl Meter {
    pub(crate) fn new(pid: libc::pid_t) -> Self {
        Self { pid, schedstat: format!("/proc/{pid}/task/{pid}/schedstat") }
    }

    /// Two clocks, because no single one answers both: the kernel gives the precise clock of another *process*, but a
    /// *thread* of another process only through `schedstat` (nanoseconds too, though it may lag by one tick).
    pub(crate) fn read(&self) -> io::Result<Cpu> {
        if self.pid == 0 {
            return Ok(Cpu::default());
        }
        let line = fs::read_to_string(&self.schedstat)?;
        let main = line.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
        Ok(Cpu { main: Duration::from_nanos(main), process: process_clock(self.pid)? })
    }
}

/// Processor time this program used itself: when it nears the window, the cell measured us and not the server.
pub(crate) fn own() -> io::Result<Duration> {
    process_clock(0)
}

fn process_clock(pid: libc::pid_t) -> io::Result<Duration> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: both calls only write the one out-parameter, which lives on this stack frame.
    let refused = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Ok(Duration::new(seconds, nanos))
}
