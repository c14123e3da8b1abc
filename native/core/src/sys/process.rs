//! The moment between two programs: a child that shares our memory until it is another program.
//!
//! Why not `posix_spawn`: Node's lib/ can ask for more than it expresses. The program is searched in the `PATH` of the
//! child's environment, from the child's directory; a file without a known format goes to the shell; descriptors change
//! places; groups and users change. And its process is known by a number only, not by a descriptor. So this is its
//! technique, `clone` with `CLONE_VM | CLONE_VFORK`, with the steps that libuv 1.51 takes (`src/unix/process.c`,
//! `uv__process_child_init`), in its order. No page table is copied: the price does not grow with the heap.
//!
//! The rules of the child, which runs on a stack of its own in our memory while the calling thread waits:
//! - it makes system calls and reads the [`Plan`], which is complete before it starts: no allocation, no lock, no panic;
//! - no handler of ours runs in it: every signal is blocked before it starts, and each handler is gone before that ends;
//! - calls that libc spreads over all threads (`setuid` and its like) are made of the kernel itself.

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use super::{Errno, last_errno};
use crate::limits::SPAWN_STACK_BYTES;

/// The status of a child that did not become another program: nobody sees it.
const NEVER_STARTED: c_int = 127;

/// Signals whose disposition libuv resets, whatever it was; of those above, handlers only.
const FIRST_REAL_TIME: c_int = 32;
const LAST_SIGNAL: c_int = 64;

/// Bytes of the kernel's signal set.
const SIGNAL_SET: usize = size_of::<u64>();

/// Who runs a file that has no format of its own, as `execvp` has it; musl's has nobody.
#[cfg(not(target_env = "musl"))]
const SHELL: Option<&CStr> = Some(c"/bin/sh");
#[cfg(target_env = "musl")]
const SHELL: Option<&CStr> = None;

/// What a child does, complete: it only follows pointers into memory that the caller keeps.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Paths to try in turn.
    pub candidates: &'a [&'a CStr],
    /// Null-terminated, as the two below.
    pub arguments: &'a [*const libc::c_char],
    /// Room for the arguments of a shell: two more than `arguments` at the most.
    pub shell_arguments: &'a mut [*const libc::c_char],
    /// The environment.
    pub environment: &'a [*const libc::c_char],
    /// Where to go first.
    pub directory: Option<&'a CStr>,
    /// What the child has by each number; −1 for nothing, which is `/dev/null` below three. The child changes it.
    pub descriptors: &'a mut [RawFd],
    /// Leads a session of its own.
    pub detached: bool,
    /// Runs as this user.
    pub user: Option<u32>,
    /// Runs as this group.
    pub group: Option<u32>,
}

/// What the two sides share.
struct Shared<'a, 'b> {
    plan: &'a mut Plan<'b>,
    /// Why there is no other program; 0 as long as nothing failed.
    failure: AtomicI32,
}

/// A process that has started.
#[derive(Debug)]
pub struct Started {
    /// Its number, which is its own until it has been reaped.
    pub pid: libc::pid_t,
    /// Readable once it has ended.
    pub descriptor: OwnedFd,
}

/// Starts a process. Returns when it is another program or has failed to become one.
///
/// # Errors
/// What the step that failed answered; the process is gone then.
///
/// # Safety
/// Every pointer of the plan is null at the end of its list, or to a terminated string, and valid during the call.
pub unsafe fn start(plan: &mut Plan<'_>) -> Result<Started, Errno> {
    keep_statuses();
    let mut shared = Shared { plan, failure: AtomicI32::new(0) };
    let mut stack: Vec<MaybeUninit<u8>> = Vec::with_capacity(SPAWN_STACK_BYTES);
    let mut descriptor: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let everything = u64::MAX;
    let mut mask = 0_u64;
    // SAFETY: the top lies inside the stack or just behind it, aligned as the ABI asks. The child only uses what
    // `become_program` may (see the module), and it is over, or has memory of its own, when clone returns. The mask is that
    // of this thread, restored right after; raw calls, as libc's would leave its own two signals out.
    let pid = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const everything, &raw mut mask, SIGNAL_SET);
        let top = stack.as_mut_ptr().cast::<c_void>().wrapping_byte_add(SPAWN_STACK_BYTES);
        let top = top.wrapping_byte_sub(top.addr() % 16);
        let pid = libc::clone(child, top, flags, (&raw mut shared).cast(), &raw mut descriptor);
        let errno = if pid < 0 { last_errno() } else { 0 };
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, ptr::null_mut::<u64>(), SIGNAL_SET);
        if pid < 0 {
            return Err(errno);
        }
        pid
    };
    // SAFETY: clone just made it, as the kernel can (`is_available`).
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    match shared.failure.load(Ordering::Relaxed) {
        0 => Ok(Started { pid, descriptor }),
        errno => {
            // It ends at once, if it has not.
            // SAFETY: a null pointer says that the status is not wanted.
            while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0 && last_errno() == -libc::EINTR {}
            Err(errno)
        }
    }
}

/// Makes sure that the kernel keeps what children end with: a parent that has SIGCHLD ignored hears of none. libuv has a
/// handler there from its first child on; we need none, and leave one that is there alone.
fn keep_statuses() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the pointer is to a local, which the kernel fills; then the same with a flag or the disposition changed.
    unsafe {
        if libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) != 0 {
            return;
        }
        let mut action = action.assume_init();
        if action.sa_sigaction == libc::SIG_IGN {
            action.sa_sigaction = libc::SIG_DFL;
        } else if action.sa_flags & libc::SA_NOCLDWAIT == 0 {
            return;
        }
        action.sa_flags &= !libc::SA_NOCLDWAIT;
        libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut());
    }
}

extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: the pointer from `start`, whose thread waits; see the module for what may be done here.
    unsafe {
        let shared = &mut *shared.cast::<Shared<'_, '_>>();
        let errno = become_program(shared.plan);
        shared.failure.store(errno, Ordering::Relaxed);
        libc::_exit(NEVER_STARTED)
    }
}

/// Returns only with what failed.
///
/// # Safety
/// In the child of `start`.
unsafe fn become_program(plan: &mut Plan<'_>) -> Errno {
    // SAFETY: the caller's; each step is system calls on numbers and on pointers of the plan.
    unsafe {
        reset_dispositions();
        if plan.detached {
            libc::setsid();
        }
        if let Err(errno) = place_descriptors(plan.descriptors) {
            return errno;
        }
        if let Some(directory) = plan.directory
            && libc::chdir(directory.as_ptr()) != 0
        {
            return last_errno();
        }
        if plan.user.is_some() || plan.group.is_some() {
            // May fail: only who may change the user at all may drop groups as well.
            libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>());
        }
        if let Some(group) = plan.group
            && libc::syscall(libc::SYS_setgid, group) != 0
        {
            return last_errno();
        }
        if let Some(user) = plan.user
            && libc::syscall(libc::SYS_setuid, user) != 0
        {
            return last_errno();
        }
        let nothing = 0_u64;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const nothing, ptr::null_mut::<u64>(), SIGNAL_SET);
        execute(plan)
    }
}

/// The kernel's `struct sigaction`: all of it that is ever read here is the first word.
type KernelAction = [usize; 8];

/// # Safety
/// In the child of `start`.
unsafe fn reset_dispositions() {
    for signal in 1..=LAST_SIGNAL {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        let mut action: KernelAction = [0; 8];
        let fixed = SIGNAL_SET;
        // SAFETY: the kernel writes and reads fewer bytes than a KernelAction has, on every architecture; raw calls, as
        // libc's would refuse its own two signals.
        unsafe {
            if signal >= FIRST_REAL_TIME {
                libc::syscall(libc::SYS_rt_sigaction, signal, ptr::null::<KernelAction>(), &raw mut action, fixed);
                if action[0] == libc::SIG_DFL || action[0] == libc::SIG_IGN {
                    continue;
                }
            }
            action = [0; 8];
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, ptr::null_mut::<KernelAction>(), fixed);
        }
    }
}

/// Puts each descriptor where the child is to have it.
///
/// # Safety
/// In the child of `start`, whose table of descriptors is its own.
unsafe fn place_descriptors(descriptors: &mut [RawFd]) -> Result<(), Errno> {
    let count = c_int::try_from(descriptors.len()).unwrap_or(c_int::MAX);
    // SAFETY: plain calls on numbers; a bad one answers EBADF.
    unsafe {
        // What would be overwritten before it is used moves out of the way first.
        for (target, source) in (0..).zip(descriptors.iter_mut()) {
            if *source >= 0 && *source < target {
                *source = or_errno(libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, count))?;
            }
        }
        for (target, source) in (0..).zip(descriptors.iter()) {
            let mut source = *source;
            let opened = source < 0;
            if opened {
                if target > libc::STDERR_FILENO {
                    continue;
                }
                let mode = if target == libc::STDIN_FILENO { libc::O_RDONLY } else { libc::O_RDWR };
                source = or_errno(libc::open(c"/dev/null".as_ptr(), mode))?;
            }
            if source == target {
                if !opened {
                    or_errno(libc::fcntl(source, libc::F_SETFD, 0))?;
                }
            } else {
                or_errno(libc::dup2(source, target))?;
            }
            if opened && source >= count {
                libc::close(source);
            }
            if !opened && target <= libc::STDERR_FILENO {
                let flags = libc::fcntl(target, libc::F_GETFL);
                if flags >= 0 && flags & libc::O_NONBLOCK != 0 {
                    libc::fcntl(target, libc::F_SETFL, flags & !libc::O_NONBLOCK);
                }
            }
        }
    }
    Ok(())
}

fn or_errno(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

/// `execvp`, with what to try worked out before: a path that is not there or not allowed leaves it to the next.
///
/// # Safety
/// In the child of `start`.
unsafe fn execute(plan: &mut Plan<'_>) -> Errno {
    let mut refused = false;
    let mut errno = -libc::ENOENT;
    for path in plan.candidates {
        // SAFETY: lists and strings of the plan, as `start` was promised.
        unsafe {
            libc::execve(path.as_ptr(), plan.arguments.as_ptr(), plan.environment.as_ptr());
            errno = last_errno();
            if errno == -libc::ENOEXEC
                && let Some(shell) = SHELL
            {
                prepare_shell(plan.shell_arguments, shell, path, plan.arguments);
                libc::execve(shell.as_ptr(), plan.shell_arguments.as_ptr(), plan.environment.as_ptr());
                errno = last_errno();
            }
        }
        match -errno {
            libc::EACCES => refused = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return errno,
        }
    }
    if refused { -libc::EACCES } else { errno }
}

/// The shell, the file, and the arguments after the first.
fn prepare_shell(into: &mut [*const libc::c_char], shell: &CStr, path: &CStr, arguments: &[*const libc::c_char]) {
    let all = [shell.as_ptr(), path.as_ptr()].into_iter().chain(arguments.iter().skip(1).copied());
    for (place, argument) in into.iter_mut().zip(all) {
        *place = argument;
    }
}

/// How a process ended: its exit code, or the signal that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// 0 where a signal ended it.
    pub code: i32,
    /// 0 where it ended by itself.
    pub signal: i32,
}

/// Reaps a process that has ended; None while it runs.
///
/// # Errors
/// `ECHILD` when somebody else has reaped it.
pub fn reap(process: BorrowedFd<'_>) -> Result<Option<Status>, Errno> {
    take_status(process, libc::WNOHANG)
}

/// As [`reap`], once it ends, by a descriptor that has not been made non-blocking.
///
/// # Errors
/// As [`reap`].
pub fn reap_at_the_end(process: BorrowedFd<'_>) -> Result<Option<Status>, Errno> {
    take_status(process, 0)
}

fn take_status(process: BorrowedFd<'_>, options: c_int) -> Result<Option<Status>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = libc::id_t::try_from(process.as_raw_fd()).map_err(|_| -libc::EBADF)?;
    // SAFETY: the pointer is to a local, which the kernel fills.
    while unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), libc::WEXITED | options) } < 0 {
        let errno = last_errno();
        if errno != -libc::EINTR {
            return Err(errno);
        }
    }
    // SAFETY: zeroed, then filled or left so; a pid of 0 says that nothing has ended, and any other that the fields of
    // SIGCHLD are set.
    unsafe {
        let info = info.assume_init();
        if info.si_pid() == 0 {
            return Ok(None);
        }
        let value = info.si_status();
        Ok(Some(if info.si_code == libc::CLD_EXITED { Status { code: value, signal: 0 } } else { Status { code: 0, signal: value } }))
    }
}

/// Whether the kernel makes descriptors of processes, waits for them and lets us: asked once.
#[must_use]
pub fn is_available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: plain calls; the first makes a descriptor of our own process.
        let own = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0);
            let Ok(fd) = RawFd::try_from(fd) else { return false };
            if fd < 0 {
                return false;
            }
            OwnedFd::from_raw_fd(fd)
        };
        // Who is not our child is answered so by a kernel that knows the question.
        reap(std::os::fd::AsFd::as_fd(&own)) == Err(-libc::ECHILD)
    })
}

/// Two connected sockets that no other program inherits.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [-1; 2];
    // SAFETY: the pointer is to two places.
    or_errno(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) })?;
    // SAFETY: just made.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// `kill(2)`.
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn kill(pid: libc::pid_t, signal: c_int) -> Result<(), Errno> {
    // SAFETY: a plain call.
    or_errno(unsafe { libc::kill(pid, signal) }).map(drop)
}
