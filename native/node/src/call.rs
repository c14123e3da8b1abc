//! Calls into JavaScript from callbacks of libuv's and Node's, and what may come out of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi_sys as napi;

use crate::convert;
use crate::env::{Reference, State};

/// Runs the body of a callback. A panic in it is ours, not the program's: it is counted, and what it was about is lost; further out it
/// would end the process.
pub(crate) fn caught<R>(state: &State, body: impl FnOnce() -> R) -> Option<R> {
    let result = catch_unwind(AssertUnwindSafe(body));
    if result.is_err() {
        state.core.count_panic();
    }
    result.ok()
}

/// Whether a call into JavaScript opens a callback scope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Open,
    None,
}

/// Calls JavaScript from libuv, with whatever escapes reported as an uncaught exception: save for null, which stands for one
/// that was reported where it happened and after which the callback scope, having failed, drains nothing. True when JavaScript
/// did what it was asked.
pub(crate) fn call(state: &State, function: &Reference, arguments: &[i32], callback_scope: Scope) -> bool {
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
