//! Child processes: what is asked for, and what comes of it.
//!
//! A child is started on the caller's thread, which has to know whether that worked, by `sys::process`; its end is
//! readiness of a descriptor in the reactor (`reactor::processes`), its status is taken by whoever is told of that.
//! No handler for SIGCHLD: the program's own, and libuv's, see what they see without us.

mod search;
pub mod wait;

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::sys::Errno;
use crate::sys::process::{self, Plan, Started};

/// What the child has by one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Nothing; `/dev/null` for the first three.
    Ignore,
    /// A connection to us.
    Pipe,
    /// A descriptor of ours.
    Descriptor(RawFd),
}

/// A process to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// A path, or a name to search for.
    pub file: &'a CStr,
    /// All of them, the program's own name first.
    pub arguments: &'a [&'a CStr],
    /// `NAME=value`.
    pub environment: &'a [&'a CStr],
    /// Ours without.
    pub directory: Option<&'a CStr>,
    /// By number.
    pub stdio: &'a [Stdio],
    /// Leads a session of its own.
    pub detached: bool,
    /// Another user.
    pub user: Option<u32>,
    /// Another group.
    pub group: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The process, or why there is none.
    pub process: Result<Started, Errno>,
    /// Our ends of the pipes, by number. There also when the program could not be started: then their peers are closed.
    pub pipes: Vec<(usize, OwnedFd)>,
}

/// Pointers to strings, with null behind them.
fn listed(strings: &[&CStr]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Starts a process.
#[must_use]
pub fn spawn(program: &Program<'_>) -> Outcome {
    let (mut pipes, mut theirs, mut descriptors) = (Vec::new(), Vec::new(), Vec::new());
    for (number, stdio) in program.stdio.iter().enumerate() {
        descriptors.push(match stdio {
            Stdio::Ignore => -1,
            Stdio::Descriptor(fd) => *fd,
            Stdio::Pipe => match process::socket_pair() {
                Ok((ours, their)) => {
                    let fd = their.as_raw_fd();
                    pipes.push((number, ours));
                    theirs.push(their);
                    fd
                }
                Err(errno) => return Outcome { process: Err(errno), pipes: Vec::new() },
            },
        });
    }
    let arguments = listed(program.arguments);
    let mut shell_arguments = vec![ptr::null(); arguments.len() + 2];
    let environment = listed(program.environment);
    let candidates = match search::candidates(program.file, &environment) {
        Ok(candidates) => candidates,
        Err(errno) => return Outcome { process: Err(errno), pipes },
    };
    let mut plan = Plan {
        candidates: &candidates.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        arguments: &arguments,
        shell_arguments: &mut shell_arguments,
        environment: &environment,
        directory: program.directory,
        descriptors: &mut descriptors,
        detached: program.detached,
        user: program.user,
        group: program.group,
    };
    // SAFETY: lists made just above, of strings that are borrowed until we return.
    let process = unsafe { process::start(&mut plan) };
    Outcome { process, pipes }
}
