//! The inline driver and the wake-up from the other one: the ways from libuv into a delivery.
//!
//! - `uv_poll` on the reactor's descriptor, or on a stream that libuv watches itself (`direct`): a turn on this thread (inline);
//! - `uv_async`: the other driver has filled a batch (offload);
//! - `uv_idle`, started only for one turn of libuv's loop: something is left to do without readiness.
//!
//! What JavaScript has put off within a turn of the loop runs in `phases`.

use std::ffi::c_int;
use std::time::Instant;

use tsloop_core::event::Batch;
use tsloop_core::reactor::policy::Load;
use tsloop_core::reactor::seat::Driver;

use crate::call::{Scope, call, caught};
use crate::env::{State, control};
use crate::{phases, uv};

/// The state behind a libuv handle of ours.
///
/// # Safety
/// Called in a callback of a handle of ours: all of them are closed before the state is freed.
pub(crate) unsafe fn state_of<'a>(handle: *mut uv::Handle) -> &'a State {
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
    caught(state, || deliver(state, heard));
    state.polling.set(false);
}

unsafe extern "C" fn on_idle(handle: *mut uv::Handle) {
    // SAFETY: one of our handles.
    let state = unsafe { state_of(handle) };
    caught(state, || {
        phases::run_turn(state);
        deliver(state, Heard::Something);
    });
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

/// One delivery: a batch of the other driver's if one waits, else (inline) a turn of our own.
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
    let began = Instant::now();
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
        state.core.admission.took(began.elapsed());
        let next = state.policy.borrow_mut().next(driver, load, &state.core.clocks());
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
    phases::watch_check(state);
    // Whatever comes of it the batch goes back: there are only so many.
    caught(state, || hand_over_in_pieces(state, &batch));
    if !state.ended.get() {
        state.core.give_back(batch);
    }
}

fn hand_over_in_pieces(state: &State, batch: &Batch) {
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
}

/// Passes the seat, libuv's watch with it. Where there is no thread for the other driver it stays here.
pub(crate) fn take_seat(state: &State, to: Driver) {
    let now = state.core.pass(to);
    state.set_control(control::DRIVER, now as i32);
    state.handles.watch((now == Driver::Inline).then_some(on_readiness));
}

/// Makes the next turn of libuv's loop come without waiting, or not.
pub(crate) fn set_idling(state: &State, on: bool) {
    if state.idling.replace(on) == on {
        return;
    }
    state.handles.idle(on.then_some(on_idle));
}
