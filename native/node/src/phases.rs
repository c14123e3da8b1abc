//! JavaScript's work at its places in a turn of libuv's loop, where Node's own would run: early in the next turn, in the check phase,
//! among Node's native immediates, in the closing phase.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use napi_sys as napi;

use crate::call::{Scope, call, caught};
use crate::driver::{Delivered, set_idling, state_of};
use crate::env::{self, State};
use crate::uv;

/// What JavaScript's `deferred` is asked to run; `lib/native/protocol.ts` names the same.
mod phase {
    /// Early in the next turn of the loop.
    pub(super) const TURN: i32 = 0;
    /// The check phase of this turn.
    pub(super) const CHECK: i32 = 1;
    /// Node's native immediates.
    pub(super) const IMMEDIATE: i32 = 2;
}

/// Has JavaScript's `deferred` run early in the next turn of libuv's loop.
pub(crate) fn schedule_turn(state: &State) {
    state.deferred.set(true);
    set_idling(state, true);
}

/// In the idle phase: what was to run early in this turn.
pub(crate) fn run_turn(state: &State) {
    if state.deferred.replace(false) {
        call(state, &state.run_deferred, &[phase::TURN], Scope::Open);
    }
}

/// Has the end of this turn's poll phase told of.
pub(crate) fn watch_check(state: &State) {
    state.handles.check(Some(on_check));
}

unsafe extern "C" fn on_check(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    let state = unsafe { state_of(handle) };
    state.handles.check(None);
    state.delivered.set(Delivered::Nothing);
    caught(state, || {
        if state.check_due.replace(false) && !state.ended.get() {
            call(state, &state.run_deferred, &[phase::CHECK], Scope::Open);
        }
        if !state.ended.get() && immediates().is_none() && state.immediate_due.replace(false) {
            call(state, &state.run_deferred, &[phase::IMMEDIATE], Scope::None);
        }
    });
}

/// `node_api_post_finalizer`, the one way from an addon into Node's queue of native immediates.
type PostFinalizer = unsafe extern "C" fn(napi::napi_env, napi::napi_finalize, *mut c_void, *mut c_void) -> napi::napi_status;

/// Node 20.10 and newer have it. Before that the check phase has to do, a moment ahead of Node's own immediates.
fn immediates() -> Option<PostFinalizer> {
    static FOUND: OnceLock<Option<PostFinalizer>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: a terminated name; a symbol of this name has this type since it exists.
        unsafe {
            let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"node_api_post_finalizer".as_ptr());
            std::mem::transmute::<*mut c_void, Option<PostFinalizer>>(symbol)
        }
    })
}

/// Has JavaScript's `deferred` run among Node's native immediates, in the order of those that Node's C++ sets itself.
pub(crate) fn schedule_immediate(state: &State) {
    if state.immediate_due.replace(true) {
        return;
    }
    match immediates() {
        // SAFETY: a live environment; the state is not freed while `immediate_due` is set.
        Some(post) => unsafe {
            post(state.env, Some(on_immediate), ptr::from_ref(state).cast_mut().cast(), ptr::null_mut());
        },
        None => schedule_check(state),
    }
}

unsafe extern "C" fn on_immediate(_env: napi::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the pointer from `schedule_immediate`; Node runs this once, at the environment's end at the latest.
    let state = unsafe { &*data.cast::<State>() };
    state.immediate_due.set(false);
    if state.ended.get() {
        // SAFETY: see above, and nothing uses the state after this.
        unsafe { env::free_if_done(data.cast()) };
    } else {
        caught(state, || call(state, &state.run_deferred, &[phase::IMMEDIATE], Scope::None));
    }
}

/// Has JavaScript's `deferred` run in the check phase of this turn of libuv's loop.
pub(crate) fn schedule_check(state: &State) {
    watch_check(state);
    state.check_due.set(true);
    if !state.polling.get() {
        set_idling(state, true);
    }
}

/// Has JavaScript's close callbacks run in this turn's closing phase.
pub(crate) fn schedule_closing(state: &State) {
    state.handles.pass_closing(ptr::from_ref(state).cast_mut().cast(), on_closing);
}

unsafe extern "C" fn on_closing(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    let state = unsafe { state_of(handle) };
    if state.ended.get() {
        // SAFETY: libuv is done with the handle, and nothing here uses the state after this.
        unsafe { env::on_closed(handle) };
        return;
    }
    state.handles.forget(handle);
    caught(state, || {
        // A port and a descriptor are free again when 'close' is emitted.
        state.core.catch_up();
        call(state, &state.run_closing, &[], Scope::Open);
    });
}
