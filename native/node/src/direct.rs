//! Streams that libuv watches itself, a `uv_poll` each: see `tsloop_core::reactor::direct`.

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::ptr;

use tsloop_core::reactor::direct::Watch;

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
        let Some(slot) = state.direct.get(place).filter(|slot| slot.get().is_null()) else { return false };
        let handle = uv::allocate(uv::POLL);
        // SAFETY: a zeroed handle of the right size on this thread's loop, and a descriptor that stays open until `forget`.
        unsafe {
            if handle.is_null() || uv::uv_poll_init(state.event_loop, handle, fd) != 0 {
                uv::free(handle);
                return false;
            }
            uv::uv_handle_set_data(handle, self.0.cast_mut().cast());
            uv::uv_unref(handle);
            slot.set(handle);
            state.open_handles.set(state.open_handles.get() + 1);
            if uv::uv_poll_start(handle, uv::READABLE | uv::DISCONNECT, Some(on_bytes)) != 0 {
                self.forget(place);
                return false;
            }
        }
        true
    }

    fn forget(&self, place: usize) {
        // SAFETY: see above.
        let state = unsafe { &*self.0 };
        let handle = state.direct.get(place).map_or(ptr::null_mut(), |slot| slot.replace(ptr::null_mut()));
        if !handle.is_null() {
            // SAFETY: initialised by `watch` and closed once; libuv lets go of the descriptor within the call.
            unsafe { uv::uv_close(handle, Some(env::on_closed)) };
        }
    }
}

unsafe extern "C" fn on_bytes(handle: *mut uv::Handle, status: c_int, events: c_int) {
    // SAFETY: data was set by `watch`; the state is freed after the last close callback.
    let state = unsafe { &*uv::uv_handle_get_data(handle).cast::<State>() };
    let Some(place) = state.direct.iter().position(|slot| slot.get() == handle) else { return };
    let over = status != 0 || events != uv::READABLE;
    let alone = state.core.heard(place, over);
    driver::deliver_polling(state, if alone { Heard::Bytes } else { Heard::Direct });
}
