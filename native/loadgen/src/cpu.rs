//! Processor time of the program under test, read from outside at the edges of a window.

use std::fs;
use std::io;
use std::time::Duration;

use crate::args::{Args, bad};

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

/// Reads the processes of a program, added up. Pid 0 means nobody: the answer is zero.
pub(crate) struct Meter(Vec<libc::pid_t>);

impl Meter {
    /// Of the processes that `--pid` lists.
    pub(crate) fn new(args: &Args) -> io::Result<Self> {
        let list = args.text("pid").unwrap_or("0").split(',');
        list.map(|pid| pid.parse().map_err(|_| bad(format!("--pid: not a number: {pid:?}")))).collect::<io::Result<_>>().map(Self)
    }

    /// Two clocks, because no single one answers both: the kernel gives the precise clock of another *process*, but a
    /// *thread* of another process only through `schedstat` (nanoseconds too, though it may lag by one tick).
    pub(crate) fn read(&self) -> io::Result<Cpu> {
        let mut sum = Cpu::default();
        for &pid in self.0.iter().filter(|pid| **pid != 0) {
            let line = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
            let main = line.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
            sum.main += Duration::from_nanos(main);
            sum.process += process_clock(pid)?;
        }
        Ok(sum)
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
