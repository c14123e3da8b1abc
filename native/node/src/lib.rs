//! tsloop's addon: every export, in one list. It converts and decides nothing; the core acts.

mod call;
mod convert;
mod counters;
mod datagrams;
mod direct;
mod driver;
mod env;
mod handles;
mod held;
mod phases;
mod processes;
mod sockets;
mod uv;

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use napi_sys as napi;
use tsloop_core::env::Posted;
use tsloop_core::limits::CHUNK_BYTES;
use tsloop_core::reactor::blocks::Block;
use tsloop_core::stream::requests::Lent;
use tsloop_core::table::Id;

use convert::Call;
use env::{State, control};

/// Defines a Node-API callback: arguments read, the environment's state found, a panic turned into `undefined`.
macro_rules! function {
    ($name:ident, |$state:ident, $call:ident| $body:expr) => {
        pub(crate) unsafe extern "C" fn $name(env: napi_sys::napi_env, info: napi_sys::napi_callback_info) -> napi_sys::napi_value {
            // SAFETY: Node-API passes both, for this call.
            let call = unsafe { crate::convert::Call::new(env, info) };
            let act = |$state: &crate::env::State, $call: &crate::convert::Call| $body;
            crate::guarded(&call, act)
        }
    };
}
pub(crate) use function;

/// Runs a callback's body; after the environment's end, or when it panics (counted), the answer is `undefined`.
fn guarded(call: &Call, act: impl FnOnce(&State, &Call) -> napi::napi_value) -> napi::napi_value {
    let Some(state) = State::of(call) else { return ptr::null_mut() };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(state, call))).unwrap_or_else(|_| {
        state.core.count_panic();
        ptr::null_mut()
    })
}

/// After a hand-over: its status, and a turn of libuv's loop without waiting if one is due.
fn handed_over(state: &State, call: &Call, (status, due): (i32, bool)) -> napi::napi_value {
    if due {
        driver::set_idling(state, true);
    }
    call.return_int(status)
}

fn id(call: &Call) -> Id {
    Id { slot: call.uint(0), generation: call.uint(1) }
}

/// The first bytes of the outbox, as many as an argument says.
pub(crate) fn outbox<'a>(state: &'a State, call: &Call, argument: usize) -> &'a [u8] {
    let (outbox, capacity) = state.outbox;
    let length = usize::try_from(call.int(argument)).unwrap_or(0).min(capacity);
    // SAFETY: the outbox is referenced until teardown and has `capacity` bytes; JavaScript does not run meanwhile.
    unsafe { std::slice::from_raw_parts(outbox, length) }
}

/// As `outbox`, of commands that are handed over now.
fn commands<'a>(state: &'a State, call: &Call, argument: usize) -> &'a [u8] {
    let commands = outbox(state, call, argument);
    state.held.hand_over(commands);
    commands
}

function!(submit, |state, call| handed_over(state, call, state.core.submit(commands(state, call, 0))));

function!(write_lent, |state, call| {
    let Some((memory, length)) = call.bytes(2) else { return call.return_int(-libc::EINVAL) };
    let Some(memory) = NonNull::new(memory) else { return call.return_int(-libc::EINVAL) };
    // SAFETY: lib/bindings/stream-base.ts keeps the buffer referenced until the request's end, or that of its socket,
    // has been reported; Node's contract with its users forbids changing it before.
    let lent = unsafe { Lent::new(memory, length) };
    handed_over(state, call, state.core.submit_with(commands(state, call, 4), Posted::WriteLent(id(call), lent, call.int(3))))
});

function!(write_copied, |state, call| {
    let Some((memory, length)) = call.bytes(2) else { return call.return_int(-libc::EINVAL) };
    // SAFETY: a Uint8Array's memory of that length; JavaScript does not run during the call.
    let bytes = state.core.spares.copy(unsafe { std::slice::from_raw_parts(memory, length) });
    handed_over(state, call, state.core.submit_with(commands(state, call, 4), Posted::WriteCopied(id(call), bytes, call.int(3))))
});

function!(lend_block, |state, call| {
    let Some((memory, length)) = call.array_buffer(call.value(1)) else { return call.return_int(-libc::EINVAL) };
    let Some(memory) = NonNull::new(memory).filter(|_| length >= CHUNK_BYTES) else { return call.return_int(-libc::EINVAL) };
    // SAFETY: lib/dispatch.ts keeps the block in its table and does not touch it until it is told that it was filled.
    let block = unsafe { Block::new(call.uint(0), memory) };
    state.core.lend_block(block);
    call.return_int(0)
});

function!(allocate, |state, call| {
    let id = state.core.allocate();
    state.set_control(control::OUT, id.generation.cast_signed());
    call.return_int(id.slot.cast_signed())
});

function!(settle, |state, call| {
    state.core.settle();
    call.return_int(0)
});

function!(has_read, |state, call| { call.return_int(i32::from(state.core.has_read(id(call)))) });

function!(has_pending, |state, call| {
    let heard = call.int(2).cast_unsigned();
    call.return_int(i32::from(state.core.has_pending(id(call), heard)))
});

function!(unsent, |state, call| {
    let bytes = state.core.unsent(id(call));
    call.return_int(i32::try_from(bytes).unwrap_or(i32::MAX))
});

function!(accept_one, |state, call| {
    call.return_int(state.core.accept_one(id(call)).map_or_else(
        |errno| errno,
        |(id, fd)| {
            state.set_control(control::OUT, id.generation.cast_signed());
            state.set_control(control::OUT2, fd);
            id.slot.cast_signed()
        },
    ))
});

function!(flush, |state, call| {
    let (left, due) = state.core.flush();
    handed_over(state, call, (i32::try_from(left).unwrap_or(i32::MAX), due))
});

function!(hold, |state, call| {
    state.handles.hold(true);
    call.return_int(0)
});

function!(release, |state, call| {
    state.handles.hold(false);
    call.return_int(0)
});

function!(defer, |state, call| {
    phases::schedule_turn(state);
    call.return_int(0)
});

function!(defer_check, |state, call| {
    phases::schedule_check(state);
    call.return_int(0)
});

function!(defer_immediate, |state, call| {
    phases::schedule_immediate(state);
    call.return_int(0)
});

function!(schedule_closing, |state, call| {
    phases::schedule_closing(state);
    call.return_int(0)
});

function!(fatal_exception, |_state, call| {
    // SAFETY: the value belongs to this call.
    unsafe { napi::napi_fatal_exception(call.env, call.value(0)) };
    ptr::null_mut()
});

function!(take_seat, |state, call| {
    driver::take_seat(state, tsloop_core::reactor::seat::Driver::Inline);
    call.return_int(0)
});

function!(reset_stats, |state, call| {
    state.core.reset_stats();
    call.return_int(0)
});

type Callback = unsafe extern "C" fn(napi::napi_env, napi::napi_callback_info) -> napi::napi_value;

/// What an environment's object offers; `lib/native/index.ts` has the same list with types.
const FUNCTIONS: &[(&CStr, Callback)] = &[
    (c"submit", submit),
    (c"writeLent", write_lent),
    (c"writeCopied", write_copied),
    (c"lendBlock", lend_block),
    (c"allocate", allocate),
    (c"settle", settle),
    (c"hasRead", has_read),
    (c"hasPending", has_pending),
    (c"unsent", unsent),
    (c"acceptOne", accept_one),
    (c"flush", flush),
    (c"hold", hold),
    (c"release", release),
    (c"defer", defer),
    (c"deferCheck", defer_check),
    (c"deferImmediate", defer_immediate),
    (c"scheduleClosing", schedule_closing),
    (c"fatalException", fatal_exception),
    (c"stats", counters::stats),
    (c"takeSeat", take_seat),
    (c"resetStats", reset_stats),
    (c"bindTcp", sockets::bind_tcp),
    (c"listenTcp", sockets::listen_tcp),
    (c"connectTcp", sockets::connect_tcp),
    (c"bindPipe", sockets::bind_pipe),
    (c"listenPipe", sockets::listen_pipe),
    (c"connectPipe", sockets::connect_pipe),
    (c"unlink", sockets::unlink),
    (c"name", sockets::name),
    (c"setNoDelay", sockets::set_no_delay),
    (c"setKeepAlive", sockets::set_keep_alive),
    (c"setTypeOfService", sockets::set_type_of_service),
    (c"typeOfService", sockets::type_of_service),
    (c"adopt", sockets::adopt),
    (c"accessMode", sockets::access_mode),
    (c"duplicate", sockets::duplicate),
    (c"claim", sockets::claim),
    (c"closeDescriptor", sockets::close_descriptor),
    (c"bindUdp", datagrams::bind_udp),
    (c"bindAnyUdp", datagrams::bind_any_udp),
    (c"connectUdp", datagrams::connect_udp),
    (c"disconnectUdp", datagrams::disconnect_udp),
    (c"openUdp", datagrams::open_udp),
    (c"sendUdp", datagrams::send_udp),
    (c"setUdpNumber", datagrams::set_udp_number),
    (c"setMulticastInterface", datagrams::set_multicast_interface),
    (c"setMembership", datagrams::set_membership),
    (c"setSourceMembership", datagrams::set_source_membership),
    (c"bufferSize", datagrams::buffer_size),
    (c"peerText", datagrams::peer_text),
    (c"parseV6", datagrams::parse_v6),
    (c"datagramOffers", datagrams::datagram_offers),
    (c"spawn", processes::spawn),
    (c"spawnSync", processes::spawn_sync),
    (c"reap", processes::reap),
    (c"kill", processes::kill),
    (c"canSpawn", processes::can_spawn),
];

fn define(env: napi::napi_env, object: napi::napi_value, name: &CStr, callback: Callback, data: *mut c_void) {
    let mut function = ptr::null_mut();
    // SAFETY: a live environment, terminated names and a local.
    unsafe {
        napi::napi_create_function(env, name.as_ptr(), name.count_bytes().cast_signed(), Some(callback), data, &raw mut function);
        napi::napi_set_named_property(env, object, name.as_ptr(), function);
    }
}

/// Functions made by Node-API share one entry point, and V8's profiler calls that by the name of the last one made, whichever
/// function runs: the last one made says so.
fn name_for_profiles(env: napi::napi_env) {
    let name = c"(native add-on)";
    let mut function = ptr::null_mut();
    // SAFETY: a live environment, a terminated name and a local. Nobody is given the function.
    unsafe { napi::napi_create_function(env, name.as_ptr(), name.count_bytes().cast_signed(), Some(build_info), ptr::null_mut(), &raw mut function) };
}

/// `open(memory, callbacks, driver, seed, threads)`: this thread's environment as an object of functions, or
/// `undefined` when the system refuses.
unsafe extern "C" fn open(env: napi::napi_env, info: napi::napi_callback_info) -> napi::napi_value {
    // SAFETY: Node-API passes both, for this call.
    let call = unsafe { Call::new(env, info) };
    if !stays_mapped() {
        return ptr::null_mut();
    }
    let Some(state) = env::open(&call) else { return ptr::null_mut() };
    let mut object = ptr::null_mut();
    // SAFETY: a live environment and a local.
    unsafe { napi::napi_create_object(env, &raw mut object) };
    for (name, callback) in FUNCTIONS {
        define(env, object, name, *callback, state.cast());
    }
    name_for_profiles(env);
    object
}

/// `buildInfo()`: what this addon was built from, as JSON.
unsafe extern "C" fn build_info(env: napi::napi_env, info: napi::napi_callback_info) -> napi::napi_value {
    // SAFETY: Node-API passes both, for this call.
    let call = unsafe { Call::new(env, info) };
    call.return_string(&format!(
        r#"{{"version":"{}","target":"{}-{}","profile":"{}"}}"#,
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        if cfg!(debug_assertions) { "debug" } else { "release" },
    ))
}

/// Keeps this code mapped until the process ends: Node lets go of it with the last environment that has loaded it, which may be a
/// Worker's, and a driver's thread is still on its way out then. False where the loader refuses, and no thread may be made.
fn stays_mapped() -> bool {
    static STAYS: OnceLock<bool> = OnceLock::new();
    *STAYS.get_or_init(|| {
        let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
        let own: unsafe extern "C" fn(napi::napi_env, napi::napi_value) -> napi::napi_value = napi_register_module_v1;
        // SAFETY: an address of ours and a local, which is filled in where the call says so; the path that it names is the loader's own.
        // It is loaded already, so no code runs, and the handle is left open on purpose.
        unsafe {
            libc::dladdr(own as *const c_void, found.as_mut_ptr()) != 0
                && !libc::dlopen(found.assume_init().dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE).is_null()
        }
    })
}

/// What Node calls when it loads the addon, once per environment.
///
/// # Safety
/// Called by Node alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: napi::napi_env, exports: napi::napi_value) -> napi::napi_value {
    define(env, exports, c"open", open, ptr::null_mut());
    define(env, exports, c"buildInfo", build_info, ptr::null_mut());
    define(env, exports, c"counters", counters::counters, ptr::null_mut());
    exports
}
