//! Streams that libuv watches itself, a `uv_poll` each: see `tsloop_core::reactor::direct`.

use std::ffi::c_int;
use std::os::fd::RawFd;

use tsloop_core::reactor::direct::Watch;

use crate::call::caught;
use crate::driver::{self, Heard};
use crate::env::{self, State};
use crate::uv;

/// libuv's loop, by the state of the environment that runs on it.
#[derive(Debug)]
pub(crate) struct Poll(pub(crate) *const State);

// SAFETY: the core calls it on the JavaScript thread alone: streams are direct only while the inline driver has the seat,
// and come back before it passes. The state outlives the reactor's last stream, which `core.end` closes.
unsafe impl Send for Poll {}

impl Watch for Poll {
    fn watch(&self, place: usize, fd: RawFd) -> bool {
        // SAFETY: see above.
        let state = unsafe { &*self.0 };
        state.handles.watch_stream(place, fd, self.0.cast_mut().cast(), on_bytes, env::on_closed)
    }

    fn forget(&self, place: usize) {
        // SAFETY: see above.
        let state = unsafe { &*self.0 };
        state.handles.forget_stream(place, env::on_closed);
    }
}

unsafe extern "C" fn on_bytes(handle: *mut uv::Handle, status: c_int, events: c_int) {
    // SAFETY: data was set by `watch`; the state is freed after the last close callback.
    let state = unsafe { &*uv::uv_handle_get_data(handle).cast::<State>() };
    let Some(place) = state.handles.place_of(handle) else { return };
    let over = status != 0 || events != uv::READABLE;
    let Some(alone) = caught(state, || state.core.heard(place, over)) else { return };
    driver::deliver_polling(state, if alone { Heard::Bytes } else { Heard::Direct });
}
