//! One JavaScript environment on this side of the border: birth, what it holds, ordered teardown.
//!
//! A [`State`] lives on the heap from `open()` to the last close callback of its libuv handles. It is only touched on
//! its JavaScript thread; the core wakes it through `uv_async_send` alone.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use napi_sys as napi;
use tsloop_core::env::{Applied, Environment};
use tsloop_core::event::{Batch, WORDS};
use tsloop_core::limits::{BATCH_BYTES, BATCH_EVENTS};
use tsloop_core::pool;
use tsloop_core::reactor::policy::Policy;
use tsloop_core::reactor::seat::{Choice, Driver};

use crate::convert::Call;
use crate::driver::Delivered;
use crate::handles::Handles;
use crate::held::Held;
use crate::{counters, direct, driver, uv};

/// Words of the control buffer; `lib/native/protocol.ts` names the same.
pub(crate) mod control {
    /// Requests that the offload driver has applied, their bytes, full send buffers told of; written by the core.
    pub(crate) const APPLIED: usize = 0;
    /// Out: generation, descriptor, port or whatever a call returns second.
    pub(crate) const OUT: usize = 3;
    /// Out: a third result.
    pub(crate) const OUT2: usize = 4;
    /// Who has the seat: 0 inline, 1 offload.
    pub(crate) const DRIVER: usize = 5;
    /// Written by JavaScript's dispatcher: the first event that it did not come to.
    pub(crate) const NEXT: usize = 6;
    /// How many words there are.
    pub(crate) const WORDS: usize = 7;
}

/// See the module.
pub(crate) struct State {
    pub(crate) env: napi::napi_env,
    pub(crate) core: Arc<Environment>,
    pub(crate) policy: RefCell<Policy>,
    control: *mut i32,
    pub(crate) outbox: (*const u8, usize),
    pub(crate) handles: Handles,
    /// The check handle runs: the poll phase before it must not wait.
    pub(crate) check_due: Cell<bool>,
    /// Whether a batch has been handed over in this turn of libuv's loop.
    pub(crate) delivered: Cell<Delivered>,
    /// A callback of libuv's poll phase is on the stack: the check phase comes without waiting.
    pub(crate) polling: Cell<bool>,
    /// `uv_idle` runs: the next turn of libuv's loop does not wait.
    pub(crate) idling: Cell<bool>,
    /// JavaScript has deferred work for the next turn of the loop.
    pub(crate) deferred: Cell<bool>,
    /// Node's queue of immediates has an entry for us.
    pub(crate) immediate_due: Cell<bool>,
    /// The kind of the last event delivered, which the next one most likely shares.
    pub(crate) scoped: Cell<bool>,
    pub(crate) dispatch: Reference,
    pub(crate) run_deferred: Reference,
    pub(crate) run_closing: Reference,
    /// `this` of those three.
    pub(crate) receiver: Reference,
    pub(crate) held: Held,
    memory: Reference,
    /// Nothing of ours runs JavaScript any more.
    pub(crate) ended: Cell<bool>,
    /// JavaScript runs no more, though the environment has not ended yet.
    pub(crate) stopped: Cell<bool>,
    cleanup: Cell<napi::napi_async_cleanup_hook_handle>,
}

impl State {
    /// The state that a function was made with; none after the environment ended.
    pub(crate) fn of<'a>(call: &Call) -> Option<&'a State> {
        // SAFETY: every function of ours is made with the pointer from `open`, whose memory outlives JavaScript in
        // this environment (it is freed after the cleanup hook, when no JavaScript runs any more).
        let state = unsafe { call.data.cast::<State>().as_ref() }?;
        (!state.ended.get()).then_some(state)
    }

    pub(crate) fn control(&self, word: usize) -> i32 {
        assert!(word < control::WORDS, "a word of the table");
        // SAFETY: the buffer has control::WORDS words (checked in `open`) and lives as long as we do.
        unsafe { self.control.add(word).read() }
    }

    pub(crate) fn set_control(&self, word: usize, value: i32) {
        assert!(word < control::WORDS, "a word of the table");
        // SAFETY: as `control`.
        unsafe { self.control.add(word).write(value) };
    }
}

/// A value that is kept from the collector.
pub(crate) struct Reference {
    env: napi::napi_env,
    raw: Cell<napi::napi_ref>,
}

impl Reference {
    fn new(env: napi::napi_env, value: napi::napi_value) -> Option<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live environment and a local.
        let status = unsafe { napi::napi_create_reference(env, value, 1, &raw mut raw) };
        (status == napi::Status::napi_ok).then_some(Self { env, raw: Cell::new(raw) })
    }

    /// The value, in the handle scope that is open.
    pub(crate) fn value(&self) -> napi::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: of a live environment, as JavaScript still runs; a local.
        unsafe { napi::napi_get_reference_value(self.env, self.raw.get(), &raw mut value) };
        value
    }

    /// Gives the value up; the environment's end at the latest.
    fn release(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if !raw.is_null() {
            // SAFETY: made in `new`, deleted once, and the environment is there: its end waits for our cleanup hook.
            unsafe { napi::napi_delete_reference(self.env, raw) };
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.release();
    }
}

fn batches(call: &Call, memory: napi::napi_value) -> Option<Vec<Batch>> {
    let (words, bytes) = (call.property(memory, c"words"), call.property(memory, c"bytes"));
    let mut count = 0;
    // SAFETY: a live environment and a local.
    unsafe { napi::napi_get_array_length(call.env, words, &raw mut count) };
    (0..count)
        .map(|index| {
            let (words, word_bytes) = call.array_buffer(call.element(words, index))?;
            let (bytes, byte_capacity) = call.array_buffer(call.element(bytes, index))?;
            if word_bytes < BATCH_EVENTS * WORDS * 4 || byte_capacity < BATCH_BYTES {
                return None;
            }
            // SAFETY: two buffers of JavaScript's, of the sizes just seen; `memory` is referenced until teardown,
            // nobody detaches them, and an ArrayBuffer's memory never moves.
            Some(unsafe { Batch::from_raw(index, NonNull::new(words.cast())?, BATCH_EVENTS * WORDS, NonNull::new(bytes)?, byte_capacity) })
        })
        .collect()
}

/// `open(memory, callbacks, driver, seed, threads)`: makes this thread's environment. Returns its state, to make the
/// functions with; None when the system refuses (descriptors, memory) or a buffer is too small.
pub(crate) fn open(call: &Call) -> Option<*mut State> {
    let (memory, callbacks) = (call.value(0), call.value(1));
    let (control, control_bytes) = call.array_buffer(call.property(memory, c"control"))?;
    let (outbox, outbox_bytes) = call.array_buffer(call.property(memory, c"outbox"))?;
    if control_bytes < control::WORDS * 4 {
        return None;
    }
    let mut event_loop = ptr::null_mut();
    // SAFETY: a live environment and a local.
    if unsafe { napi::napi_get_uv_event_loop(call.env, &raw mut event_loop) } != napi::Status::napi_ok {
        return None;
    }
    let event_loop: *mut uv::Loop = event_loop.cast();
    pool::configure(usize::try_from(call.int(4)).unwrap_or(1));
    let choice = match call.int(2) {
        1 => Choice::Fixed(Driver::Inline),
        2 => Choice::Fixed(Driver::Offload),
        3 => Choice::Random(u64::from(call.uint(3)) << 16 | 0x9e37),
        _ => Choice::Auto,
    };
    let reference = |name| Reference::new(call.env, call.property(callbacks, name));
    let (dispatch, run_deferred) = (reference(c"dispatch")?, reference(c"deferred")?);
    let (run_closing, receiver) = (reference(c"closing")?, reference(c"receiver")?);
    let memory_kept = Reference::new(call.env, memory)?;
    let handles = Handles::new(event_loop)?;
    let wake = handles.wake();
    // SAFETY: the first three words of the control buffer, which is referenced until teardown.
    let applied = unsafe { Applied::new(NonNull::new(control.cast::<i32>().wrapping_add(control::APPLIED))?) };
    let core = Environment::new(applied, batches(call, memory)?, Box::new(move || wake.send())).ok()?;
    let state = Box::into_raw(Box::new(State {
        env: call.env,
        core,
        policy: RefCell::new(Policy::new(choice)),
        control: control.cast(),
        outbox: (outbox, outbox_bytes),
        handles,
        check_due: Cell::new(false),
        delivered: Cell::new(Delivered::Nothing),
        polling: Cell::new(false),
        idling: Cell::new(false),
        deferred: Cell::new(false),
        immediate_due: Cell::new(false),
        scoped: Cell::new(true),
        dispatch,
        run_deferred,
        run_closing,
        receiver,
        memory: memory_kept,
        held: Held::default(),
        ended: Cell::new(false),
        stopped: Cell::new(false),
        cleanup: Cell::new(ptr::null_mut()),
    }));
    // SAFETY: just made, and only this thread knows it.
    let live = unsafe { &*state };
    // SAFETY: answers a number.
    live.core.end_at_hang_up(unsafe { uv::uv_version() } < uv::ASKS_BEHIND_HANG_UP);
    live.core.watch_with(Box::new(direct::Poll(state)), matches!(choice, Choice::Random(_)));
    if !start(live, state.cast()) {
        // SAFETY: nobody else knows it.
        unsafe { end(state) };
        return None;
    }
    counters::register(&live.core);
    Some(state)
}

/// Asks to be told when the environment ends, which from then on waits for our handles, and starts these.
fn start(state: &State, data: *mut c_void) -> bool {
    let mut hook = ptr::null_mut();
    // SAFETY: a live environment, and a state that is there until the hook is removed.
    let status = unsafe { napi::napi_add_async_cleanup_hook(state.env, Some(on_cleanup), data, &raw mut hook) };
    state.cleanup.set(hook);
    if status != napi::Status::napi_ok || !state.handles.open(data, state.core.descriptor(), driver::on_wake) {
        return false;
    }
    let first = state.policy.borrow().first();
    driver::take_seat(state, first);
    true
}

/// The environment ends (Worker terminated, main thread done).
unsafe extern "C" fn on_cleanup(_hook: napi::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the pointer from `start`; the hook is removed before the state is freed.
    unsafe { end(data.cast()) };
}

/// Nothing of ours runs JavaScript from here on; what libuv knows is closed, and the state freed behind that. Also of a birth that
/// failed, whose environment lives on or ends meanwhile.
///
/// # Safety
/// A state that has not been freed, and that the caller does not use again.
unsafe fn end(data: *mut State) {
    // SAFETY: promised by the caller.
    let state = unsafe { &*data };
    if state.ended.replace(true) {
        return;
    }
    state.core.end();
    state.held.close();
    state.handles.close(on_closed);
    // SAFETY: promised by the caller. libuv calls nobody back within `close`.
    unsafe { free_if_done(data) };
}

/// libuv is done with one of our handles.
///
/// # Safety
/// The callback of `uv_close` for one of them; nobody on the stack uses the state again.
pub(crate) unsafe extern "C" fn on_closed(handle: *mut uv::Handle) {
    // SAFETY: data was set where the handle was initialised, and the state is freed only after the last of them.
    let data: *mut State = unsafe { uv::uv_handle_get_data(handle) }.cast();
    // SAFETY: see above.
    unsafe {
        (*data).handles.forget(handle);
        if (*data).ended.get() {
            free_if_done(data);
        }
    }
}

/// Frees the state of an environment that has ended, once libuv knows none of its handles and Node's queue of immediates has
/// nothing of it. Once libuv knows none, Node may go on with the environment's end.
///
/// # Safety
/// The state has ended and has not been freed, and the caller does not use it again.
pub(crate) unsafe fn free_if_done(data: *mut State) {
    // SAFETY: promised by the caller.
    let state = unsafe { &*data };
    if !state.handles.are_closed() {
        return;
    }
    for reference in [&state.dispatch, &state.run_deferred, &state.run_closing, &state.receiver, &state.memory] {
        reference.release();
    }
    let hook = state.cleanup.replace(ptr::null_mut());
    if !hook.is_null() {
        // SAFETY: from napi_add_async_cleanup_hook, and removed once.
        unsafe { napi::napi_remove_async_cleanup_hook(hook) };
    }
    if !state.immediate_due.get() {
        // SAFETY: from Box::into_raw in `open`, and nobody else is left.
        drop(unsafe { Box::from_raw(data) });
    }
}
