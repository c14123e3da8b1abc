//! System calls on descriptors, with results as negative errno numbers: on Linux those are libuv's numbers too.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// A negative errno; what Node's `lib/` calls a libuv error.
pub type Errno = i32;

/// The calling thread's errno, negative.
#[must_use]
pub fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}

/// The negative errno inside an `io::Error`; `EIO` where the library made the error up itself.
#[must_use]
pub fn errno_of(error: &io::Error) -> Errno {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

fn checked(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

/// Repeats a call that a signal interrupted.
fn retried(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let errno = last_errno();
                if errno != -libc::EINTR {
                    return Err(errno);
                }
            }
        }
    }
}

/// `read(2)`.
///
/// # Errors
/// The negative errno; `EAGAIN` when nothing is there.
pub fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the slice is valid for writes of its length for the duration of the call.
    retried(|| unsafe { libc::read(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) })
}

/// `read(2)` into memory that somebody else owns.
///
/// # Errors
/// As [`read`].
///
/// # Safety
/// `into` is valid for writes of `length` bytes and nobody reads it meanwhile.
pub unsafe fn read_raw(fd: BorrowedFd<'_>, into: *mut u8, length: usize) -> Result<usize, Errno> {
    // SAFETY: promised by the caller.
    retried(|| unsafe { libc::read(fd.as_raw_fd(), into.cast(), length) })
}

/// `clock_gettime(2)`: time on a clock that every kernel has.
#[must_use]
pub fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that the call fills in.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// `pthread_getcpuclockid(3)`: the clock of a thread's processor time, for [`clock`]. None where the thread has no such clock, or has ended.
#[must_use]
pub fn thread_clock(thread: libc::pthread_t) -> Option<libc::clockid_t> {
    let mut id = 0;
    // SAFETY: the caller holds the thread's handle, so its number is that of a thread not yet joined; the pointer is to a local.
    (unsafe { libc::pthread_getcpuclockid(thread, &raw mut id) } == 0).then_some(id)
}

/// `write(2)`. Node ignores SIGPIPE for the whole process, so a closed peer is `EPIPE` on every kind of descriptor.
///
/// # Errors
/// The negative errno; `EAGAIN` when the kernel takes nothing.
pub fn write(fd: BorrowedFd<'_>, from: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the slice is valid for reads of its length for the duration of the call.
    retried(|| unsafe { libc::write(fd.as_raw_fd(), from.as_ptr().cast(), from.len()) })
}

/// `writev(2)`.
///
/// # Errors
/// As [`write()`].
///
/// # Safety
/// Every vector is valid for reads of its length.
pub unsafe fn writev(fd: BorrowedFd<'_>, vectors: &[libc::iovec]) -> Result<usize, Errno> {
    let count = libc::c_int::try_from(vectors.len()).expect("callers pass at most WRITE_IOVECS");
    // SAFETY: promised by the caller; the array lives across the call.
    retried(|| unsafe { libc::writev(fd.as_raw_fd(), vectors.as_ptr(), count) })
}

/// `accept4(2)`, non-blocking and close-on-exec.
///
/// # Errors
/// The negative errno.
pub fn accept(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let accepted = retried(|| {
        // SAFETY: null address pointers mean that the peer's address is not wanted.
        let fd = unsafe { libc::accept4(fd.as_raw_fd(), ptr::null_mut(), ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) };
        fd as isize
    })?;
    let raw = RawFd::try_from(accepted).expect("a descriptor is a small number");
    // SAFETY: accept4 just made this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Shuts the sending side down.
///
/// # Errors
/// The negative errno, `ENOTCONN` after a reset.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: plain call on a descriptor that the borrow keeps open.
    checked(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

/// The pending error of a socket (`SO_ERROR`), 0 without one.
#[must_use]
pub fn socket_error(fd: BorrowedFd<'_>) -> Errno {
    let mut error: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
    // SAFETY: both pointers are to locals of the sizes told.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &raw mut length) };
    if result < 0 { last_errno() } else { -error }
}

/// Sets one integer socket option.
///
/// # Errors
/// The negative errno.
pub fn set_option(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
    // SAFETY: the pointer is to a local of the size told.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), length) }).map(drop)
}

/// Sets a socket option that is a structure.
///
/// # Errors
/// The negative errno.
pub fn set_option_value<T>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("small");
    // SAFETY: the pointer is to a value of the size told.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, ptr::from_ref(value).cast(), length) }).map(drop)
}

/// Makes a datagram socket forget its peer.
///
/// # Errors
/// The negative errno.
pub fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let nobody = libc::sockaddr { sa_family: 0, sa_data: [0; 14] };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).expect("small");
    // SAFETY: the pointer is to a local of the size told; its family is AF_UNSPEC.
    checked(unsafe { libc::connect(fd.as_raw_fd(), &raw const nobody, length) }).map(drop)
}

/// Reads one integer socket option.
///
/// # Errors
/// The negative errno.
pub fn option(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> Result<libc::c_int, Errno> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
    // SAFETY: both pointers are to locals of the sizes told.
    checked(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) })?;
    Ok(value)
}

/// True of a socket of TCP.
#[must_use]
pub fn is_tcp(fd: BorrowedFd<'_>) -> bool {
    matches!(option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL), Ok(libc::IPPROTO_TCP))
}

/// Makes `close` send a reset and forget unsent bytes (`SO_LINGER` with zero).
///
/// # Errors
/// The negative errno.
pub fn reset_on_close(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("small");
    // SAFETY: the pointer is to a local of the size told.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), length) }).map(drop)
}

/// Access mode of a descriptor as (readable, writable).
///
/// # Errors
/// `EBADF`.
pub fn access_mode(fd: BorrowedFd<'_>) -> Result<(bool, bool), Errno> {
    // SAFETY: F_GETFL takes no argument.
    let flags = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let mode = flags & libc::O_ACCMODE;
    Ok((mode != libc::O_WRONLY, mode != libc::O_RDONLY))
}

/// Takes over a descriptor that JavaScript names by number; it becomes non-blocking.
///
/// # Errors
/// `EBADF` for a number that is no descriptor.
pub fn adopt(fd: RawFd) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(-libc::EBADF);
    }
    // SAFETY: F_GETFL on any number is harmless; a bad one answers EBADF.
    let flags = checked(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: sets one flag on a descriptor that was just seen to exist.
        checked(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    }
    // SAFETY: `open(fd)` of Node's handles transfers the descriptor to the handle; the caller keeps that rule.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A second descriptor for the same open file, close-on-exec.
///
/// # Errors
/// `EMFILE`, `EBADF`.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC on any number is harmless; a bad one answers EBADF.
    let copy = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: fcntl just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Whether a read would not have to wait: for bytes, the end or an error.
#[must_use]
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut entry = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
    wait_any(&mut entry, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

/// Waits until something is true of one of several descriptors, at most so long; how many there are, 0 also when a signal
/// came in between.
///
/// # Errors
/// The negative errno of what another try meets as well: more entries than the process may have descriptors, or no memory.
pub fn wait_any(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<usize, Errno> {
    // Rounded up, so that the time is over when the wait is.
    let timeout = timeout.map_or(-1, |time| libc::c_int::try_from(time.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX));
    let count = libc::nfds_t::try_from(entries.len()).expect("no more than descriptors");
    // SAFETY: a slice of that length.
    match checked(unsafe { libc::poll(entries.as_mut_ptr(), count, timeout) }) {
        Err(errno) if errno == -libc::EINTR => Ok(0),
        result => result.map(|count| usize::try_from(count).expect("checked")),
    }
}

/// Signals that the kernel sends to the thread which brought them about; blocked, they would end the process unheard.
const OWN_FAULTS: [libc::c_int; 7] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Does something, in it: makes a thread, which inherits what is blocked, with every signal blocked that is sent to the process.
pub fn with_signals_blocked<R>(act: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: pointers to locals of the right type; the first is filled before it is read, and the calls fail for bad arguments alone.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for signal in OWN_FAULTS {
            libc::sigdelset(all.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = act();
    // SAFETY: filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// Index of a network interface by name or number, 0 if there is none.
#[must_use]
pub fn interface_index(name: &CStr) -> u32 {
    // SAFETY: the string is terminated.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// Name of a network interface.
#[must_use]
pub fn interface_name(index: u32) -> Option<String> {
    let mut buffer = [0 as libc::c_char; libc::IF_NAMESIZE];
    // SAFETY: the buffer has IF_NAMESIZE bytes, as the call demands.
    let found = unsafe { libc::if_indextoname(index, buffer.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: on success the buffer holds a terminated string.
    Some(unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy().into_owned())
}

/// A descriptor kept in reserve, so that a listener that has run out can still accept and shed what waits: without
/// it the backlog would stay readable for ever (libuv keeps one for the same reason, `uv__emfile_trick`).
#[derive(Debug)]
pub struct Reserve(Option<OwnedFd>);

impl Default for Reserve {
    fn default() -> Self {
        Self(Self::open())
    }
}

impl Reserve {
    fn open() -> Option<OwnedFd> {
        // SAFETY: a constant, terminated path.
        let fd = unsafe { libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        // SAFETY: open just made this descriptor.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Makes up for a reserve that was lost: whoever had just been given a descriptor can get one for this too.
    pub fn restore(&mut self) {
        if self.0.is_none() {
            self.0 = Self::open();
        }
    }

    /// Duplicates a descriptor, with the reserve's own where there is no other: what is sent to another process needs
    /// one for a moment, where plain Node needs none.
    ///
    /// # Errors
    /// As [`duplicate`].
    pub fn duplicate(&mut self, fd: RawFd) -> Result<OwnedFd, Errno> {
        match duplicate(fd) {
            Err(errno) if errno == -libc::EMFILE && self.0.take().is_some() => duplicate(fd),
            result => result,
        }
    }

    /// Accepts and closes what waits on a listener, at most so many: how many were shed, and whether nobody waits any more.
    /// Only the kernel's own word (`EAGAIN`) says that: another thread may have taken the descriptor that was given up for
    /// it, another process the last one of the system, and a peer may have given up meanwhile.
    pub fn shed(&mut self, listener: BorrowedFd<'_>, most: usize) -> (u64, bool) {
        self.restore();
        if self.0.take().is_none() {
            return (0, false);
        }
        let (mut shed, mut drained) = (0, false);
        for _ in 0..most {
            match accept(listener) {
                Ok(connection) => {
                    drop(connection);
                    shed += 1;
                }
                Err(errno) if errno == -libc::ECONNABORTED || errno == -libc::EPROTO => {}
                Err(errno) => {
                    drained = errno == -libc::EAGAIN;
                    break;
                }
            }
        }
        self.restore();
        (shed, drained)
    }
}

/// Index of the first interface that has a link-local IPv6 address, 0 if none has.
#[must_use]
pub fn link_local_scope() -> u32 {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the call fills the pointer with a list that is ours to free.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return 0;
    }
    let mut scope = 0;
    let mut entry = list;
    while !entry.is_null() && scope == 0 {
        // SAFETY: entries of the list stay valid until freeifaddrs below.
        let interface = unsafe { &*entry };
        let address = interface.ifa_addr;
        // SAFETY: a non-null address has at least its family; an AF_INET6 one is a sockaddr_in6.
        if !address.is_null() && i32::from(unsafe { (*address).sa_family }) == libc::AF_INET6 {
            // SAFETY: see above.
            let v6 = unsafe { &*address.cast::<libc::sockaddr_in6>() };
            if v6.sin6_addr.s6_addr[0] == 0xfe && v6.sin6_addr.s6_addr[1] & 0xc0 == 0x80 {
                scope = v6.sin6_scope_id;
            }
        }
        entry = interface.ifa_next;
    }
    // SAFETY: the list came from getifaddrs and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    scope
}

/// `listen(2)`.
///
/// # Errors
/// The negative errno.
pub fn listen(fd: BorrowedFd<'_>, backlog: i32) -> Result<(), Errno> {
    // SAFETY: plain call on a descriptor that the borrow keeps open.
    checked(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}
