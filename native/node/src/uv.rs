//! libuv, as the running process has it: declarations of the few functions that the inline driver needs.
//!
//! Sizes come from `uv_handle_size`, so no layout is assumed but the place of the one field that is for programs. All of
//! it runs on the JavaScript thread, except `uv_async_send`, which libuv allows from any.

use std::ffi::{c_int, c_void};

/// `uv_handle_t`: its first field is for programs, the rest is opaque.
#[repr(C)]
pub(crate) struct Handle {
    data: *mut c_void,
}

/// `uv_loop_t`, opaque.
#[repr(C)]
pub(crate) struct Loop {
    _opaque: [u8; 0],
}

/// `UV_ASYNC` of `uv_handle_type`.
pub(crate) const ASYNC: c_int = 1;
/// `UV_CHECK`.
pub(crate) const CHECK: c_int = 2;
/// `UV_IDLE`.
pub(crate) const IDLE: c_int = 6;
/// `UV_POLL`.
pub(crate) const POLL: c_int = 8;
/// `UV_READABLE`.
pub(crate) const READABLE: c_int = 1;
/// `UV_DISCONNECT`.
pub(crate) const DISCONNECT: c_int = 4;

/// From this version on (`uv_version`, 1.52.0) `EPOLLHUP` behind bytes is not taken for the end: the kernel is asked.
pub(crate) const ASKS_BEHIND_HANG_UP: u32 = (1 << 16) | (52 << 8);

pub(crate) type Callback = unsafe extern "C" fn(*mut Handle);
pub(crate) type PollCallback = unsafe extern "C" fn(*mut Handle, c_int, c_int);

unsafe extern "C" {
    pub(crate) fn uv_version() -> u32;
    pub(crate) fn uv_handle_size(kind: c_int) -> usize;
    pub(crate) fn uv_is_closing(handle: *const Handle) -> c_int;
    pub(crate) fn uv_close(handle: *mut Handle, callback: Option<Callback>);
    pub(crate) fn uv_ref(handle: *mut Handle);
    pub(crate) fn uv_unref(handle: *mut Handle);
    pub(crate) fn uv_async_init(event_loop: *mut Loop, handle: *mut Handle, callback: Option<Callback>) -> c_int;
    pub(crate) fn uv_async_send(handle: *mut Handle) -> c_int;
    pub(crate) fn uv_idle_init(event_loop: *mut Loop, handle: *mut Handle) -> c_int;
    pub(crate) fn uv_idle_start(handle: *mut Handle, callback: Option<Callback>) -> c_int;
    pub(crate) fn uv_idle_stop(handle: *mut Handle) -> c_int;
    pub(crate) fn uv_check_init(event_loop: *mut Loop, handle: *mut Handle) -> c_int;
    pub(crate) fn uv_check_start(handle: *mut Handle, callback: Option<Callback>) -> c_int;
    pub(crate) fn uv_check_stop(handle: *mut Handle) -> c_int;
    pub(crate) fn uv_poll_init(event_loop: *mut Loop, handle: *mut Handle, fd: c_int) -> c_int;
    pub(crate) fn uv_poll_start(handle: *mut Handle, events: c_int, callback: Option<PollCallback>) -> c_int;
    pub(crate) fn uv_poll_stop(handle: *mut Handle) -> c_int;
}

/// Keeps a pointer of ours with a handle. The field itself rather than libuv's functions for it: every name that the
/// loader looks up brings pages of Node's own tables of names into memory.
///
/// # Safety
/// The memory came from [`allocate`] and has not been freed.
pub(crate) unsafe fn uv_handle_set_data(handle: *mut Handle, data: *mut c_void) {
    // SAFETY: promised by the caller.
    unsafe { (*handle).data = data };
}

/// What [`uv_handle_set_data`] was given.
///
/// # Safety
/// As there.
pub(crate) unsafe fn uv_handle_get_data(handle: *const Handle) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe { (*handle).data }
}

/// Zeroed memory for a handle of a kind, null without any; freed by [`free`], once libuv is done with it.
pub(crate) fn allocate(kind: c_int) -> *mut Handle {
    // SAFETY: calloc of a size that libuv tells.
    unsafe { libc::calloc(1, uv_handle_size(kind)).cast() }
}

/// Frees a handle that libuv has closed, or one that was never initialised.
///
/// # Safety
/// The memory came from [`allocate`] and libuv does not know it (any more).
pub(crate) unsafe fn free(handle: *mut Handle) {
    // SAFETY: promised by the caller.
    unsafe { libc::free(handle.cast()) };
}
