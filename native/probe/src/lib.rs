//! An addon for tests alone: native/openssl and native/core/src/tls, asked from JavaScript inside a live Node.
//!
//! test/tls loads it. Answers are JSON, so that a spec compares them with what Node says of the same thing. It is not shipped, and nothing
//! that is shipped may look into a context like this: private keys come out of it.

mod call;
mod json;
mod sessions;

use std::sync::Arc;
use std::sync::Mutex;

use napi_sys as napi;
use tsloop_core::tls::choose::{self, Context, Issuer};
use tsloop_core::tls::groups::Division;
use tsloop_core::tls::hello::{self, Held, Hello};
use tsloop_openssl::OpenSsl;
use tsloop_openssl::context::Snapshot;
use tsloop_openssl::verify::Role;

use call::{Call, function};
use json::{hex, list, object, quoted};

/// A context that was read.
struct Opened {
    snapshot: Snapshot,
    own: Option<Hello>,
}

/// Contexts, by the number that JavaScript has.
static OPENED: Mutex<Vec<Arc<Opened>>> = Mutex::new(Vec::new());

fn opened(call: &Call) -> Option<Arc<Opened>> {
    let place = usize::try_from(call.int(0)).ok()?;
    OPENED.lock().expect("nobody panics with it").get(place).cloned()
}

fn whole(bytes: &[u8]) -> Option<Hello> {
    match hello::read(bytes) {
        Held::Whole(hello) => Some(*hello),
        Held::More(_) | Held::Refused(_) => None,
    }
}

function!(oracle, |_call| match OpenSsl::get() {
    Ok(openssl) => object(&[("version", openssl.version().to_string()), ("fips", openssl.fips().to_string())]),
    Err(absent) => object(&[("absent", quoted(&absent.to_string()))]),
});

function!(open, |call| {
    let Ok(openssl) = OpenSsl::get() else { return String::from("null") };
    if !call.is_external(0) {
        return String::from("null");
    }
    // SAFETY: an external, which the specs take from `_external` of a native secure context that they keep; this is its thread.
    let (snapshot, own) = unsafe {
        let Some(context) = openssl.context_of(call.value(0).cast()) else { return String::from("null") };
        (openssl.read(context), openssl.client_hello(context))
    };
    let Ok(snapshot) = snapshot else { return String::from("null") };
    let mut opened = OPENED.lock().expect("nobody panics with it");
    opened.push(Arc::new(Opened { snapshot, own: own.as_deref().and_then(whole) }));
    (opened.len() - 1).to_string()
});

function!(describe, |call| opened(call).map_or(String::from("null"), |opened| json::snapshot(&opened.snapshot, opened.own.as_ref())));

function!(judge, |call| {
    let (Some(opened), Ok(openssl)) = (opened(call), OpenSsl::get()) else { return String::from("null") };
    match opened.snapshot.trust.judge(role(call), &call.buffers(2)) {
        Ok(verdict) => object(&[
            ("number", verdict.0.to_string()),
            ("code", verdict.code().map_or(String::from("null"), quoted)),
            ("message", quoted(&openssl.sentence(verdict))),
        ]),
        Err(unverified) => object(&[("unverified", quoted(&format!("{unverified:?}")))]),
    }
});

function!(parse, |call| json::held(&hello::read(&call.bytes(0))));

function!(fits, |call| {
    let Some(context) = context(call) else { return String::from("null") };
    context.fits(call.int(1) != 0).err().map_or(String::from("null"), |reason| quoted(reason.name()))
});

function!(choice, |call| {
    let (Some(context), Some(hello)) = (context(call), whole(&call.bytes(1))) else { return String::from("null") };
    let protocols = call.buffers(4);
    let asked = (!protocols.is_empty()).then_some(&protocols[..]);
    match choose::choose(&context, &hello, asked, |_| Issuer::Nobody) {
        Ok(choice) => object(&[
            ("version", choice.version.to_string()),
            ("suite", choice.suite.to_string()),
            ("group", choice.group.to_string()),
            ("retry", choice.retry.to_string()),
            ("pair", choice.pair.to_string()),
            ("scheme", choice.scheme.to_string()),
            ("protocol", choice.protocol.map_or(String::from("null"), |protocol| quoted(&String::from_utf8_lossy(&protocol)))),
        ]),
        Err(reason) => object(&[("reason", quoted(reason.name()))]),
    }
});

function!(reason, |call| {
    let words = OpenSsl::get().ok().and_then(|openssl| openssl.reason(call.int(0).cast_unsigned()));
    words.map_or(String::from("null"), |words| quoted(&words))
});

function!(alert, |call| {
    let words = OpenSsl::get().ok().zip(u8::try_from(call.int(0)).ok()).and_then(|(openssl, number)| openssl.alert(number));
    words.map_or(String::from("null"), |words| quoted(&words))
});

// Judges one chain again and again on threads that nobody joins: what a process may end under.
function!(storm, |call| {
    let Some(opened) = opened(call) else { return String::from("null") };
    let (role, chain) = (role(call), call.buffers(2));
    for _ in 0..call.int(3) {
        let (opened, chain) = (Arc::clone(&opened), chain.clone());
        std::thread::spawn(move || while opened.snapshot.trust.judge(role, &chain).is_ok() {});
    }
    String::from("true")
});

fn role(call: &Call) -> Role {
    if call.int(1) == 0 { Role::Client } else { Role::Server }
}

/// A context as the choice wants it: what its curves were set to, and whether there are parameters, come third and fourth.
fn context(call: &Call) -> Option<Context> {
    let opened = opened(call)?;
    let curves = call.bytes(2);
    let curves = str::from_utf8(&curves).ok().filter(|curves| !curves.is_empty());
    Some(Context::new(&opened.snapshot, opened.own.as_ref(), Division::of(curves), call.int(3) != 0))
}

/// What Node calls when it loads the addon.
///
/// # Safety
/// Called by Node-API alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: napi::napi_env, exports: napi::napi_value) -> napi::napi_value {
    // SAFETY: what Node passes to the registration.
    unsafe {
        for (name, function) in [
            (c"oracle", oracle as call::Function),
            (c"open", open),
            (c"describe", describe),
            (c"judge", judge),
            (c"parse", parse),
            (c"fits", fits),
            (c"choice", choice),
            (c"reason", reason),
            (c"alert", alert),
            (c"storm", storm),
            (c"serve", sessions::serve),
            (c"client", sessions::client),
            (c"connect", sessions::connect),
            (c"step", sessions::step),
            (c"facts", sessions::facts),
        ] {
            call::export(env, exports, name, function);
        }
    }
    exports
}

/// The snapshot's lists of bytes as hexadecimal strings.
fn hexes<B: AsRef<[u8]>>(items: &[B]) -> String {
    list(items.iter().map(|item| hex(item.as_ref())))
}
