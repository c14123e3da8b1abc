//! Calls that act on a descriptor at once: made, bound, connected, named, tuned. No reactor, no lock.
//!
//! Each returns 0 or a negative errno; a second result lies in the control word `OUT`, a third in `OUT2`.

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use tsloop_core::net::tcp::{Attempt, Slot};
use tsloop_core::net::{address, options, pipe, tcp};
use tsloop_core::sys::{self, Errno};

use crate::convert::Call;
use crate::env::{State, control};
use crate::function;

pub(crate) fn slot(fd: RawFd) -> Slot {
    // SAFETY: JavaScript names a descriptor that its handle owns and lends it for the call; `give_back` returns it.
    Slot((fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Tells the descriptor after a call that was given `before`, which may have been none.
pub(crate) fn give_back(state: &State, before: RawFd, slot: Slot) {
    let fd = slot.0.map_or(-1, IntoRawFd::into_raw_fd);
    if before < 0 && fd >= 0 {
        state.held.add(fd);
    }
    state.set_control(control::OUT, fd);
}

pub(crate) fn borrowed<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: JavaScript names a descriptor that its handle owns; nobody closes it during the call. A wrong number
    // answers EBADF.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

pub(crate) fn status(result: Result<(), Errno>) -> i32 {
    result.err().unwrap_or(0)
}

pub(crate) fn with_fd(call: &Call, f: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>) -> i32 {
    borrowed(call.int(0)).map_or(-libc::EBADF, |fd| status(f(fd)))
}

pub(crate) fn parse(call: &Call) -> Result<std::net::SocketAddr, Errno> {
    let host = String::from_utf8(call.string(2)).map_err(|_| -libc::EINVAL)?;
    let port = u16::try_from(call.int(3)).map_err(|_| -libc::EINVAL)?;
    if call.bool(1) { address::parse_v6(&host, port) } else { address::parse_v4(&host, port) }
}

function!(bind_tcp, |state, call| {
    state.set_control(control::OUT, call.int(0));
    let result = parse(call).and_then(|address| {
        let mut slot = slot(call.int(0));
        let result = tcp::bind(&mut slot, address, call.uint(4));
        give_back(state, call.int(0), slot);
        result
    });
    if let Ok(delayed) = result {
        state.set_control(control::OUT2, delayed);
    }
    call.return_int(result.err().unwrap_or(0))
});

function!(listen_tcp, |state, call| {
    let mut slot = slot(call.int(0));
    let result = tcp::listen(&mut slot, call.int(1));
    give_back(state, call.int(0), slot);
    call.return_int(status(result))
});

fn attempted(state: &State, attempt: Attempt) -> i32 {
    match attempt {
        Attempt::Pending => 0,
        Attempt::Ended(outcome) => {
            state.set_control(control::OUT2, outcome);
            1
        }
    }
}

function!(connect_tcp, |state, call| {
    state.set_control(control::OUT, call.int(0));
    let result = parse(call).and_then(|address| {
        let mut slot = slot(call.int(0));
        let result = tcp::connect(&mut slot, address);
        give_back(state, call.int(0), slot);
        result
    });
    call.return_int(result.map_or_else(|errno| errno, |attempt| attempted(state, attempt)))
});

function!(bind_pipe, |state, call| {
    let result = pipe::bind(&call.string(0)).map(|(fd, path)| {
        let fd = fd.into_raw_fd();
        state.held.add(fd);
        state.set_control(control::OUT, fd);
        state.set_control(control::OUT2, i32::from(path.is_some()));
    });
    call.return_int(status(result))
});

function!(listen_pipe, |_state, call| { call.return_int(with_fd(call, |fd| sys::listen(fd, call.int(1)))) });

function!(connect_pipe, |state, call| {
    let mut slot = slot(call.int(0));
    let result = pipe::connect(&mut slot, &call.string(1));
    give_back(state, call.int(0), slot);
    call.return_int(result.map_or_else(|errno| errno, |attempt| attempted(state, attempt)))
});

function!(unlink, |_state, call| {
    use std::os::unix::ffi::OsStrExt;
    let path = call.string(0);
    call.return_int(std::fs::remove_file(std::ffi::OsStr::from_bytes(&path)).map_or_else(|error| sys::errno_of(&error), |()| 0))
});

function!(name, |state, call| {
    let Some(fd) = borrowed(call.int(0)) else { return call.return_int(-libc::EBADF) };
    let socket = socket2::SockRef::from(&fd);
    let found = if call.bool(1) { socket.peer_addr() } else { socket.local_addr() };
    match found.map_err(|error| sys::errno_of(&error)).and_then(|address| address::name(&address)) {
        Ok(name) => {
            state.set_control(control::OUT, i32::from(name.port));
            state.set_control(control::OUT2, i32::from(name.v6));
            call.return_string(&name.address)
        }
        Err(errno) => call.return_int(errno),
    }
});

function!(set_no_delay, |_state, call| { call.return_int(with_fd(call, |fd| options::set_no_delay(fd, call.bool(1)))) });

function!(set_keep_alive, |_state, call| {
    call.return_int(with_fd(call, |fd| options::set_keep_alive(fd, call.bool(1), call.int(2), call.int(3), call.int(4))))
});

function!(set_type_of_service, |_state, call| { call.return_int(with_fd(call, |fd| options::set_type_of_service(fd, call.int(1)))) });

function!(type_of_service, |_state, call| {
    call.return_int(borrowed(call.int(0)).map_or(-libc::EBADF, |fd| options::type_of_service(fd).unwrap_or_else(|errno| errno)))
});

function!(adopt, |state, call| {
    // Checked and made non-blocking; the number stays JavaScript's until the reactor takes it.
    call.return_int(status(sys::adopt(call.int(0)).map(|fd| state.held.add(fd.into_raw_fd()))))
});

function!(access_mode, |_state, call| {
    let mode = borrowed(call.int(0)).ok_or(-libc::EBADF).and_then(sys::access_mode);
    call.return_int(mode.map_or_else(|errno| errno, |(readable, writable)| i32::from(readable) | i32::from(writable) << 1))
});

function!(duplicate, |state, call| {
    let copy = state.core.duplicate(call.int(0)).map(IntoRawFd::into_raw_fd);
    call.return_int(copy.inspect(|fd| state.held.add(*fd)).unwrap_or_else(|errno| errno))
});

// `claim(fd)`: JavaScript gives one that it holds to a handle of Node's, in its next breath.
function!(claim, |state, call| { call.return_int(if state.held.remove(call.int(0)) { call.int(0) } else { -libc::EBADF }) });

function!(close_descriptor, |state, call| {
    state.held.remove(call.int(0));
    drop(slot(call.int(0)));
    call.return_int(0)
});
