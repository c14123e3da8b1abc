//! Children: started and reaped on JavaScript's thread; the reactor says when one has ended.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, IntoRawFd};

use napi_sys as napi;
use tsloop_core::command::{self, OPEN_PROCESS, OPEN_STREAM, WATCHED};
use tsloop_core::process::wait::{self, Bounds, Use};
use tsloop_core::process::{self, Program, Stdio};
use tsloop_core::sys::Errno;
use tsloop_core::sys::process as system;

use crate::convert::Call;
use crate::env::{State, control};
use crate::sockets::{borrowed, status};
use crate::{driver, function};

/// Words before those of the descriptors; `lib/native/protocol.ts` names the same.
mod layout {
    /// How many arguments there are.
    pub(super) const ARGUMENTS: usize = 0;
    /// How many entries the environment has.
    pub(super) const ENVIRONMENT: usize = 1;
    /// The flags below.
    pub(super) const FLAGS: usize = 2;
    /// Another user.
    pub(super) const USER: usize = 3;
    /// Another group.
    pub(super) const GROUP: usize = 4;
    /// Where the descriptors begin.
    pub(super) const STDIO: usize = 5;
}

const DETACHED: i32 = 1;
/// A directory comes second among the strings.
const DIRECTORY: i32 = 2;
const USER: i32 = 4;
const GROUP: i32 = 8;

/// A connection to us, among the descriptors: its descriptor is given out.
const PIPE: i32 = -2;
/// The same by what the child does with it: our end is a stream, or this thread's who waits for the child.
const PIPE_IN: i32 = -3;
const PIPE_OUT: i32 = -4;
const PIPE_BOTH: i32 = -5;

const INVALID: Errno = -libc::EINVAL;

/// The words of the layout, which JavaScript does not touch during the call.
fn words<'a>(call: &Call, index: usize) -> Option<&'a mut [i32]> {
    let (memory, bytes) = call.array_buffer(call.value(index))?;
    let count = bytes / size_of::<i32>();
    // SAFETY: an ArrayBuffer's memory, aligned for words, of that length.
    (count > layout::STDIO).then(|| unsafe { std::slice::from_raw_parts_mut(memory.cast::<i32>(), count) })
}

/// The strings of a request, taken apart.
struct Strings<'a> {
    file: &'a CStr,
    directory: Option<&'a CStr>,
    arguments: Vec<&'a CStr>,
    environment: Vec<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// `text` ends in a zero.
    fn new(text: &'a [u8], head: &[i32]) -> Result<Self, Errno> {
        let mut strings = text.split_inclusive(|byte| *byte == 0).map(|bytes| CStr::from_bytes_with_nul(bytes).map_err(|_| INVALID));
        let mut next = || strings.next().unwrap_or(Err(INVALID));
        let file = next()?;
        let directory = if head[layout::FLAGS] & DIRECTORY != 0 { Some(next()?) } else { None };
        let mut several = |count: i32| (0..count).map(|_| next()).collect::<Result<Vec<_>, _>>();
        let (arguments, environment) = (several(head[layout::ARGUMENTS])?, several(head[layout::ENVIRONMENT])?);
        // A zero inside a string would move all behind it.
        if strings.next().is_some() {
            return Err(INVALID);
        }
        Ok(Self { file, directory, arguments, environment })
    }

    fn request(&'a self, head: &[i32], stdio: &'a [Stdio]) -> Program<'a> {
        let id = |flag: i32, word: usize| (head[layout::FLAGS] & flag != 0).then(|| head[word].cast_unsigned());
        Program {
            file: self.file,
            arguments: &self.arguments,
            environment: &self.environment,
            directory: self.directory,
            stdio,
            detached: head[layout::FLAGS] & DETACHED != 0,
            user: id(USER, layout::USER),
            group: id(GROUP, layout::GROUP),
        }
    }
}

fn terminated(call: &Call) -> Vec<u8> {
    let mut text = call.string(0);
    text.push(0);
    text
}

fn stdio_of(number: i32) -> Stdio {
    match number {
        fd if fd >= 0 => Stdio::Descriptor(fd),
        fd if fd <= PIPE => Stdio::Pipe,
        _ => Stdio::Ignore,
    }
}

/// `spawn(strings, layout)`: the child's number, or an errno. Behind the descriptors of the layout is room for as many slots
/// and as many generations: our ends of its pipes are in the reactor when this returns, by these, and in the place of what
/// asked for them, there also after an errno, as far as they were made. The first words are written over: descriptor, slot
/// and generation of the child.
///
/// All that is made here has an owner when JavaScript goes on, as it may not: a Worker that is terminated meanwhile.
fn spawn_child(state: &State, call: &Call) -> Result<i32, Errno> {
    let text = terminated(call);
    let (head, rest) = words(call, 1).ok_or(INVALID)?.split_at_mut(layout::STDIO);
    let (numbers, ids) = rest.split_at_mut(rest.len() / 3);
    let strings = Strings::new(&text, head)?;
    let stdio: Vec<Stdio> = numbers.iter().map(|number| stdio_of(*number)).collect();
    let outcome = process::spawn(&strings.request(head, &stdio));
    let mut commands = Vec::new();
    let slots = numbers.len();
    for (number, pipe) in outcome.pipes {
        let asked = std::mem::replace(&mut numbers[number], pipe.as_raw_fd());
        if asked == PIPE {
            state.held.add(pipe.into_raw_fd());
            continue;
        }
        let id = state.core.allocate();
        (ids[number], ids[slots + number]) = (id.slot.cast_signed(), id.generation.cast_signed());
        // Where the child reads: a write after it has closed its end is to fail as one, not to count as written. The others
        // wait for their first use: one that another child is to have must not be read from.
        let flags = if asked == PIPE_IN { WATCHED } else { 0 };
        command::append(&mut commands, OPEN_STREAM, id, pipe.into_raw_fd(), flags);
    }
    let result = outcome.process.map(|started| {
        let (id, fd) = (state.core.allocate(), started.descriptor.into_raw_fd());
        head[..3].copy_from_slice(&[fd, id.slot.cast_signed(), id.generation.cast_signed()]);
        command::append(&mut commands, OPEN_PROCESS, id, fd, 0);
        started.pid
    });
    if state.core.open_now(&commands) {
        driver::set_idling(state, true);
    }
    result
}

/// `spawnSync(strings, layout, input, bounds)`: behind the descriptors of the layout come as many lengths of what each of
/// them is to read, out of `input` in that order; `bounds`, doubles, are milliseconds, bytes and a signal. Returns what the
/// child wrote, by number. The first words of the layout are written over: pid, whether it ran, exit code, signal, errno.
fn wait_for_child(call: &Call) -> Result<napi::napi_value, Errno> {
    let text = terminated(call);
    let (head, rest) = words(call, 1).ok_or(INVALID)?.split_at_mut(layout::STDIO);
    let (numbers, lengths) = rest.split_at(rest.len() / 2);
    let (bounds, bytes) = call.array_buffer(call.value(3)).ok_or(INVALID)?;
    if bytes < size_of::<[f64; 3]>() {
        return Err(INVALID);
    }
    // SAFETY: an ArrayBuffer's memory, aligned for doubles, of that length at least.
    let [milliseconds, most, signal] = unsafe { bounds.cast::<[f64; 3]>().read() };
    // SAFETY: a Uint8Array's memory of that length; JavaScript does not run during the call.
    let mut input = call.bytes(2).map_or(&[][..], |(memory, length)| unsafe { std::slice::from_raw_parts(memory, length) });
    let mut uses = Vec::new();
    for (number, (kind, length)) in numbers.iter().zip(lengths).enumerate() {
        let length = usize::try_from(*length).map_err(|_| INVALID)?;
        let (own, behind) = input.split_at_checked(length).ok_or(INVALID)?;
        input = behind;
        uses.push(Use { number, input: matches!(*kind, PIPE_IN | PIPE_BOTH).then_some(own), output: matches!(*kind, PIPE_OUT | PIPE_BOTH) });
    }
    let strings = Strings::new(&text, head)?;
    let stdio: Vec<Stdio> = numbers.iter().map(|number| stdio_of(*number)).collect();
    #[allow(clippy::cast_possible_truncation, reason = "a signal's number")]
    let bounds = Bounds {
        timeout: std::time::Duration::try_from_secs_f64(milliseconds / 1e3).ok().filter(|timeout| !timeout.is_zero()),
        output: (most > 0.0).then_some(most),
        signal: signal as i32,
    };
    let waited = wait::run(&strings.request(head, &stdio), &uses, bounds);
    let status = waited.status.unwrap_or(system::Status { code: 0, signal: 0 });
    head.copy_from_slice(&[waited.pid, i32::from(waited.status.is_some()), status.code, status.signal, waited.error]);
    Ok(call.buffers(numbers.len(), waited.output))
}

function!(spawn_sync, |_state, call| { wait_for_child(call).unwrap_or_else(|errno| call.return_int(errno)) });

function!(spawn, |state, call| { call.return_int(spawn_child(state, call).unwrap_or_else(|errno| errno)) });

// 1 and the status in `OUT` (exit code) and `OUT2` (signal), 0 while the child runs, or an errno.
function!(reap, |state, call| {
    let Some(child) = borrowed(call.int(0)) else { return call.return_int(-libc::EBADF) };
    call.return_int(match system::reap(child) {
        Ok(Some(ended)) => {
            state.set_control(control::OUT, ended.code);
            state.set_control(control::OUT2, ended.signal);
            1
        }
        Ok(None) => 0,
        Err(errno) => errno,
    })
});

function!(kill, |_state, call| { call.return_int(status(system::kill(call.int(0), call.int(1)))) });

function!(can_spawn, |_state, call| { call.return_int(i32::from(system::is_available())) });
