//! The inline driver and the wake-up from the runtime: the ways from libuv into JavaScript.
//!
//! - `uv_poll` on the reactor's descriptor, or on a stream that libuv watches itself (`direct`): a turn on this thread (inline);
//! - `uv_async`: the runtime has filled a batch (offload);
//! - `uv_idle`, started only for one turn of libuv's loop: something is left to do without readiness;
//! - `uv_check`: the end of the poll phase, where libuv runs what it put off within a turn;
//! - Node's queue of native immediates, right after it, where OpenSSL waits for its writes;
//! - the closing phase: close callbacks run where Node's would (a handle of ours passes through `uv_close`).

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use napi_sys as napi;
use tsloop_core::event::Batch;
use tsloop_core::reactor::policy::{Load, System};
use tsloop_core::reactor::seat::Driver;
use tsloop_core::runtime;

use crate::convert;
use crate::env::{self, Reference, State, control};
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

/// The state behind a libuv handle of ours.
///
/// # Safety
/// Called in a callback of a handle of ours: all of them are closed before the state is freed.
unsafe fn state_of<'a>(handle: *mut uv::Handle) -> &'a State {
    // SAFETY: data was set when the handle was made.
    unsafe { &*uv::uv_handle_get_data(handle).cast::<State>() }
}

pub(crate) unsafe extern "C" fn on_wake(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    deliver_polling(unsafe { state_of(handle) }, Heard::Something);
}

unsafe extern "C" fn on_readiness(handle: *mut uv::Handle, _status: c_int, _events: c_int) {
    // SAFETY: one of our handles.
    deliver_polling(unsafe { state_of(handle) }, Heard::Something);
}

pub(crate) fn deliver_polling(state: &State, heard: Heard) {
    state.polling.set(true);
    deliver(state, heard);
    state.polling.set(false);
}

unsafe extern "C" fn on_check(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    let state = unsafe { state_of(handle) };
    state.handles.check(None);
    state.delivered.set(Delivered::Nothing);
    if state.check_due.replace(false) && !state.ended.get() {
        call(state, &state.run_deferred, &[phase::CHECK], Scope::Open);
    }
    if !state.ended.get() && immediates().is_none() && state.immediate_due.replace(false) {
        call(state, &state.run_deferred, &[phase::IMMEDIATE], Scope::None);
    }
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
        call(state, &state.run_deferred, &[phase::IMMEDIATE], Scope::None);
    }
}

/// Has JavaScript's `deferred` run in the check phase of this turn of libuv's loop.
pub(crate) fn schedule_check(state: &State) {
    state.handles.check(Some(on_check));
    state.check_due.set(true);
    if !state.polling.get() {
        set_idling(state, true);
    }
}

unsafe extern "C" fn on_idle(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    let state = unsafe { state_of(handle) };
    if state.deferred.replace(false) {
        call(state, &state.run_deferred, &[phase::TURN], Scope::Open);
    }
    deliver(state, Heard::Something);
}

/// Whether a batch has been handed over in a turn of libuv's loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    Nothing,
    /// Before its poll phase.
    Early,
    /// In its poll phase.
    Polling,
}

/// What brings about a delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Something is ready, or left to do.
    Something,
    /// libuv's poll phase found bytes of a stream that it watches itself, and nothing else waits.
    Bytes,
    /// libuv's poll phase found something about a stream that it watched itself.
    Direct,
}

/// One delivery: a batch of the runtime's if one waits, else (inline) a turn of our own.
///
/// At most one in a turn of libuv's loop, though both its idle phase and two handles of its poll phase come here. What a
/// peer answers to the first must not be heard before Node's immediates have run: with libuv's own sockets it cannot be,
/// and OpenSSL loses the end of a handshake if the answer finds its last write unfinished. What libuv found about a stream that
/// it watches itself it found before the first: that is delivered in the same phase, as libuv would.
fn deliver(state: &State, heard: Heard) {
    if state.ended.get() || state.stopped.get() {
        return;
    }
    let waits = match state.delivered.get() {
        Delivered::Nothing => false,
        Delivered::Early => true,
        Delivered::Polling => heard == Heard::Something,
    };
    if waits {
        set_idling(state, true);
        return;
    }
    let driver = state.core.driver();
    let mut more = false;
    let mut load = Load::default();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    if state.handles.is_passing() {
        // What was closed since the last delivery must be found closed by this one, with what that did to its peers here.
        state.core.catch_up();
    }
    if let Some(batch) = state.core.take() {
        load = Load::new(count(batch.len()), count(batch.datagrams()), count(batch.len()), batch.received());
        hand_over(state, batch);
        more = state.core.has_more();
    } else if driver == Driver::Inline {
        let mut round = state.core.inline_turn(heard != Heard::Bytes);
        while let Some((batch, turn)) = round {
            load = load.and(Load::new(turn.sockets, turn.datagrams, count(batch.len()), batch.received()));
            hand_over(state, batch);
            round = if turn.goes_on && !state.ended.get() { state.core.inline_round() } else { None };
        }
    } else {
        more = state.core.has_more();
    }
    if state.ended.get() {
        return;
    }
    if !load.is_nothing() {
        let next = state.policy.borrow_mut().next(driver, load, &System);
        if next != driver {
            take_seat(state, next);
            more = true;
        }
    }
    if state.core.driver() == Driver::Inline {
        more |= state.core.is_due();
    }
    set_idling(state, more || state.deferred.get() || (state.check_due.get() && !state.polling.get()));
}

/// Gives a batch to JavaScript and back to the core.
///
/// Events for `lib/` run inside a callback scope, as libuv's callbacks reach it through `MakeCallback`. Events for a
/// native consumer (http's parser, http2, OpenSSL) run outside one, as `uv_read_cb` reaches it: it opens a scope for
/// each of its own callbacks and drains ticks between them. JavaScript stops where the kind changes and says where.
fn hand_over(state: &State, batch: Batch) {
    state.delivered.set(if state.polling.get() { Delivered::Polling } else { Delivered::Early });
    state.handles.check(Some(on_check));
    let events = i32::try_from(batch.len()).unwrap_or(0);
    let wants_blocks = i32::from(state.core.wants_blocks());
    let mut at = 0;
    let mut misses = 0;
    while at < events && misses < 2 {
        let scope = if state.scoped.get() { Scope::Open } else { Scope::None };
        let arguments = [batch.index.cast_signed(), at, events, wants_blocks, i32::from(state.scoped.get())];
        if !call(state, &state.dispatch, &arguments, scope) {
            break;
        }
        if state.ended.get() {
            return;
        }
        let next = state.control(control::NEXT);
        misses = if next > at { 0 } else { misses + 1 };
        at = next;
        if at < events {
            state.scoped.set(!state.scoped.get());
        }
    }
    state.core.give_back(batch);
}

/// Whether a call into JavaScript opens a callback scope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Open,
    None,
}

/// Calls JavaScript from libuv, with whatever escapes reported as an uncaught exception: save for null, which stands for one
/// that was reported where it happened and after which the callback scope, having failed, drains nothing. True when JavaScript
/// did what it was asked.
fn call(state: &State, function: &Reference, arguments: &[i32], callback_scope: Scope) -> bool {
    let env = state.env;
    let mut scope = ptr::null_mut();
    // SAFETY: called from libuv on the JavaScript thread of a live environment (`ended` was looked at); every value
    // made here belongs to the scope opened first and closed last.
    unsafe {
        if napi::napi_open_handle_scope(env, &raw mut scope) != napi::Status::napi_ok {
            return false;
        }
        let mut result = ptr::null_mut();
        // An object of ours that inherits nothing: Node asks the receiver of a callback for its `domain`, and the global object,
        // or one with a prototype, has what the program put there.
        let (callee, receiver) = (function.value(), state.receiver.value());
        let mut values = [ptr::null_mut(); 5];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = convert::int(env, *argument);
        }
        let status = match callback_scope {
            Scope::Open => napi::napi_make_callback(env, ptr::null_mut(), receiver, callee, arguments.len(), values.as_ptr(), &raw mut result),
            Scope::None => napi::napi_call_function(env, receiver, callee, arguments.len(), values.as_ptr(), &raw mut result),
        };
        let mut done = status == napi::Status::napi_ok;
        if status == napi::Status::napi_pending_exception {
            let mut error = ptr::null_mut();
            if napi::napi_get_and_clear_last_exception(env, &raw mut error) == napi::Status::napi_ok {
                let mut kind = napi::ValueType::napi_undefined;
                done = napi::napi_typeof(env, error, &raw mut kind) == napi::Status::napi_ok && kind == napi::ValueType::napi_null;
                if !done {
                    napi::napi_fatal_exception(env, error);
                }
            }
        }
        if status != napi::Status::napi_ok && !runs(env) {
            state.stopped.set(true);
            done = false;
        }
        napi::napi_close_handle_scope(env, scope);
        done && !state.ended.get()
    }
}

/// Whether JavaScript runs at all: not in a thread that is being terminated. What waits in the kernel then stays there, unread.
///
/// # Safety
/// A live environment, inside a handle scope.
unsafe fn runs(env: napi::napi_env) -> bool {
    let mut text = ptr::null_mut();
    // SAFETY: promised by the caller. Of what can be asked of a number this is refused where nothing may run.
    unsafe { napi::napi_coerce_to_string(env, convert::int(env, 0), &raw mut text) == napi::Status::napi_ok }
}

/// Passes the seat, libuv's watch with it. A runtime that cannot start leaves it here.
pub(crate) fn take_seat(state: &State, to: Driver) {
    let to = if to == Driver::Offload && !runtime::is_available() { Driver::Inline } else { to };
    if state.core.driver() != to {
        state.set_control(control::SEAT_CHANGES, state.control(control::SEAT_CHANGES).wrapping_add(1));
    }
    state.core.pass(to);
    state.set_control(control::DRIVER, to as i32);
    state.handles.watch((to == Driver::Inline).then_some(on_readiness));
}

/// Makes the next turn of libuv's loop come without waiting, or not.
pub(crate) fn set_idling(state: &State, on: bool) {
    if state.idling.replace(on) == on {
        return;
    }
    state.handles.idle(on.then_some(on_idle));
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
    // A port and a descriptor are free again when 'close' is emitted.
    state.core.catch_up();
    call(state, &state.run_closing, &[], Scope::Open);
}
