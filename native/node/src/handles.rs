//! The libuv handles of one environment: their only owner. It knows which of them libuv knows, so one `close` serves a birth that
//! failed half-way and the end alike, and memory goes back when, and only when, libuv is done with it.
//!
//! All of it is touched on the JavaScript thread, save [`Wake::send`].

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use tsloop_core::limits::DIRECT_STREAMS;

use crate::uv::{self, Callback, PollCallback};

/// Memory for one handle, and whether libuv knows it.
struct Slot {
    memory: *mut uv::Handle,
    known: Cell<bool>,
}

impl Slot {
    fn new(kind: c_int) -> Option<Self> {
        let memory = uv::allocate(kind);
        (!memory.is_null()).then_some(Self { memory, known: Cell::new(false) })
    }

    fn known(&self) -> Option<*mut uv::Handle> {
        self.known.get().then_some(self.memory)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The state, and with it this, is dropped once libuv knows none of them any more, or before it has known any.
        if !self.known.get() {
            // SAFETY: allocated in `new`, and libuv does not know it.
            unsafe { uv::free(self.memory) };
        }
    }
}

/// See the module.
pub(crate) struct Handles {
    event_loop: *mut uv::Loop,
    wake: Slot,
    idle: Slot,
    check: Slot,
    poll: Slot,
    /// On its way through libuv's closing phase, again and again.
    passer: Slot,
    /// Streams that libuv watches itself, by place; null where there is none. A place is free again at once, so what is being
    /// closed is only counted.
    direct: [Cell<*mut uv::Handle>; DIRECT_STREAMS],
    direct_closing: Cell<usize>,
}

/// The `uv_async` of one environment, for the core to wake it.
pub(crate) struct Wake(*mut uv::Handle);

// SAFETY: the only use is uv_async_send, which libuv allows from any thread. The core is made with it before libuv knows the
// handle, and uses it only while a driver turns, which begins after that and is over when `Environment::end` returns, before the
// handle is closed.
unsafe impl Send for Wake {}
// SAFETY: see above.
unsafe impl Sync for Wake {}

impl Wake {
    pub(crate) fn send(&self) {
        // SAFETY: see above.
        unsafe { uv::uv_async_send(self.0) };
    }
}

impl Handles {
    /// Memory for all of them, which libuv does not know yet; None without memory.
    pub(crate) fn new(event_loop: *mut uv::Loop) -> Option<Self> {
        Some(Self {
            event_loop,
            wake: Slot::new(uv::ASYNC)?,
            idle: Slot::new(uv::IDLE)?,
            check: Slot::new(uv::CHECK)?,
            poll: Slot::new(uv::POLL)?,
            passer: Slot::new(uv::IDLE)?,
            direct: [const { Cell::new(ptr::null_mut()) }; DIRECT_STREAMS],
            direct_closing: Cell::new(0),
        })
    }

    /// How the core wakes this environment.
    pub(crate) fn wake(&self) -> Wake {
        Wake(self.wake.memory)
    }

    /// Makes them known to libuv, unreferenced, with `data` behind each. False where libuv refuses one (a descriptor that it cannot
    /// watch, say): [`Handles::close`] then closes those before it.
    pub(crate) fn open(&self, data: *mut c_void, descriptor: RawFd, on_wake: Callback) -> bool {
        // SAFETY: zeroed memory of the right size on this thread's loop, each initialised once.
        unsafe {
            self.know(&self.wake, data, |uv_loop, handle| uv::uv_async_init(uv_loop, handle, Some(on_wake)))
                && self.know(&self.idle, data, |uv_loop, handle| uv::uv_idle_init(uv_loop, handle))
                && self.know(&self.check, data, |uv_loop, handle| uv::uv_check_init(uv_loop, handle))
                && self.know(&self.poll, data, |uv_loop, handle| uv::uv_poll_init(uv_loop, handle, descriptor))
        }
    }

    fn know(&self, slot: &Slot, data: *mut c_void, init: impl FnOnce(*mut uv::Loop, *mut uv::Handle) -> c_int) -> bool {
        if slot.known.get() || init(self.event_loop, slot.memory) != 0 {
            return false;
        }
        slot.known.set(true);
        // SAFETY: just initialised.
        unsafe {
            uv::uv_handle_set_data(slot.memory, data);
            uv::uv_unref(slot.memory);
        }
        true
    }

    fn slots(&self) -> [&Slot; 5] {
        [&self.wake, &self.idle, &self.check, &self.poll, &self.passer]
    }

    /// Closes what libuv knows and is not closing already; `closed` is called for each, later, and answers with
    /// [`Handles::forget`].
    pub(crate) fn close(&self, closed: Callback) {
        for handle in self.slots().into_iter().filter_map(Slot::known) {
            // SAFETY: initialised, and closed once: asked.
            unsafe {
                if uv::uv_is_closing(handle) == 0 {
                    uv::uv_close(handle, Some(closed));
                }
            }
        }
        for place in 0..self.direct.len() {
            self.forget_stream(place, closed);
        }
    }

    /// libuv is done with this handle.
    pub(crate) fn forget(&self, handle: *mut uv::Handle) {
        if let Some(slot) = self.slots().into_iter().find(|slot| slot.memory == handle) {
            slot.known.set(false);
        } else {
            self.direct_closing.set(self.direct_closing.get() - 1);
            // SAFETY: allocated in `watch_stream`, and libuv has closed it.
            unsafe { uv::free(handle) };
        }
    }

    /// True when libuv knows none of them (any more).
    pub(crate) fn are_closed(&self) -> bool {
        self.slots().iter().all(|slot| slot.known().is_none()) && self.direct_closing.get() == 0 && self.direct.iter().all(|place| place.get().is_null())
    }

    /// Has libuv's loop watch the reactor's descriptor, or not.
    pub(crate) fn watch(&self, on_readiness: Option<PollCallback>) {
        let Some(poll) = self.poll.known() else { return };
        // SAFETY: initialised, and not closing: whoever calls has seen that the environment has not ended.
        unsafe {
            match on_readiness {
                Some(callback) => uv::uv_poll_start(poll, uv::READABLE, Some(callback)),
                None => uv::uv_poll_stop(poll),
            };
        }
    }

    /// Makes turns of the loop come without waiting, or not.
    pub(crate) fn idle(&self, on_idle: Option<Callback>) {
        let Some(idle) = self.idle.known() else { return };
        // SAFETY: as `watch`.
        unsafe {
            match on_idle {
                Some(callback) => uv::uv_idle_start(idle, Some(callback)),
                None => uv::uv_idle_stop(idle),
            };
        }
    }

    /// Tells of the end of the loop's poll phases, or not. Twice is once.
    pub(crate) fn check(&self, on_check: Option<Callback>) {
        let Some(check) = self.check.known() else { return };
        // SAFETY: as `watch`.
        unsafe {
            match on_check {
                Some(callback) => uv::uv_check_start(check, Some(callback)),
                None => uv::uv_check_stop(check),
            };
        }
    }

    /// Whether the loop goes on for our sake.
    pub(crate) fn hold(&self, on: bool) {
        let Some(wake) = self.wake.known() else { return };
        // SAFETY: initialised.
        unsafe { if on { uv::uv_ref(wake) } else { uv::uv_unref(wake) } };
    }

    /// Has `passed` called in this turn's closing phase, and answer with [`Handles::forget`]. Once, however often it is asked for
    /// before.
    pub(crate) fn pass_closing(&self, data: *mut c_void, passed: Callback) {
        // SAFETY: zeroed, or closed by libuv since.
        if self.know(&self.passer, data, |uv_loop, handle| unsafe { uv::uv_idle_init(uv_loop, handle) }) {
            // SAFETY: just initialised, and closed once.
            unsafe { uv::uv_close(self.passer.memory, Some(passed)) };
        }
    }

    /// Whether that is under way.
    pub(crate) fn is_passing(&self) -> bool {
        self.passer.known().is_some()
    }

    /// Has the loop watch a stream itself, at one of its places; false where it cannot.
    pub(crate) fn watch_stream(&self, place: usize, fd: RawFd, data: *mut c_void, on_bytes: PollCallback, closed: Callback) -> bool {
        let Some(slot) = self.direct.get(place).filter(|slot| slot.get().is_null()) else { return false };
        let handle = uv::allocate(uv::POLL);
        // SAFETY: a zeroed handle of the right size on this thread's loop, and a descriptor that stays open until `forget_stream`.
        unsafe {
            if handle.is_null() || uv::uv_poll_init(self.event_loop, handle, fd) != 0 {
                uv::free(handle);
                return false;
            }
            uv::uv_handle_set_data(handle, data);
            uv::uv_unref(handle);
            slot.set(handle);
            if uv::uv_poll_start(handle, uv::READABLE | uv::DISCONNECT, Some(on_bytes)) != 0 {
                self.forget_stream(place, closed);
                return false;
            }
        }
        true
    }

    /// Ends that; libuv lets go of the descriptor within the call.
    pub(crate) fn forget_stream(&self, place: usize, closed: Callback) {
        let handle = self.direct.get(place).map_or(ptr::null_mut(), |slot| slot.replace(ptr::null_mut()));
        if !handle.is_null() {
            self.direct_closing.set(self.direct_closing.get() + 1);
            // SAFETY: initialised by `watch_stream`, and closed once, as it has left its place.
            unsafe { uv::uv_close(handle, Some(closed)) };
        }
    }

    /// The place of a stream's handle.
    pub(crate) fn place_of(&self, handle: *mut uv::Handle) -> Option<usize> {
        self.direct.iter().position(|slot| slot.get() == handle)
    }
}
