//! Sessions of rustls', whose other end is Node's OpenSSL: the specs carry the bytes.

use std::sync::Mutex;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tsloop_core::tls::choose;
use tsloop_core::tls::context::{ClientOptions, Prepared, ServerOptions};
use tsloop_core::tls::session::{Rustls, Session};
use tsloop_core::tls::tickets::Tickets;

use crate::call::{Call, function};
use crate::json::{hex, object, quoted};
use crate::{context, hexes, opened, whole};

/// By the number that JavaScript has.
static SESSIONS: Mutex<Vec<Rustls>> = Mutex::new(Vec::new());
/// Contexts of clients with their sessions: what was prepared once is what resumes.
static CLIENTS: Mutex<Vec<(Prepared, Resumption)>> = Mutex::new(Vec::new());

fn put(session: Rustls) -> String {
    let mut sessions = SESSIONS.lock().expect("nobody panics with it");
    sessions.push(session);
    object(&[("session", (sessions.len() - 1).to_string())])
}

fn prepared(call: &Call) -> Option<Prepared> {
    Prepared::new(context(call)?, opened(call)?.snapshot.authorities.clone()).ok()
}

// A server's: context, hello, curves, parameters, protocols, and in one buffer the context's keys for tickets with two flags behind them.
function!(serve, |call| {
    let (Some(prepared), Some(hello)) = (prepared(call), whole(&call.bytes(1))) else { return String::from("null") };
    let (protocols, rest) = (call.buffers(4), call.bytes(5));
    let Some((keys, [request, require])) = rest.split_first_chunk() else { return String::from("null") };
    let Some(tickets) = Tickets::new(keys, 300) else { return String::from("null") };
    let asked = (!protocols.is_empty()).then_some(&protocols[..]);
    let choice = match choose::choose(prepared.context(), &hello, asked, |ticket| tickets.issuer(ticket)) {
        Ok(choice) => choice,
        Err(reason) => return object(&[("reason", quoted(reason.name()))]),
    };
    let options = ServerOptions { request: *request != 0, require: *require != 0, tickets: Some(std::sync::Arc::new(tickets)), ..ServerOptions::default() };
    match prepared.server(&choice, options).map(Rustls::server) {
        Ok(Ok(session)) => put(session),
        Ok(Err(failure)) => object(&[("failure", failure.reason.to_string())]),
        Err(reason) => object(&[("reason", quoted(reason.name()))]),
    }
});

// What a client's connections are made of: context, -, curves.
function!(client, |call| {
    let Some(prepared) = prepared(call) else { return String::from("null") };
    let mut clients = CLIENTS.lock().expect("nobody panics with it");
    clients.push((prepared, Resumption::in_memory_sessions(32)));
    (clients.len() - 1).to_string()
});

// One of them: client, name, -, -, protocols.
function!(connect, |call| {
    let clients = CLIENTS.lock().expect("nobody panics with it");
    let Some((prepared, resumption)) = usize::try_from(call.int(0)).ok().and_then(|place| clients.get(place)) else { return String::from("null") };
    let Ok(name) = ServerName::try_from(String::from_utf8_lossy(&call.bytes(1)).into_owned()) else { return String::from("null") };
    let options = ClientOptions { protocols: call.buffers(4), named: true, resumption: resumption.clone(), fragment: None };
    match prepared.client(options).map(|config| Rustls::client(config, name)) {
        Ok(Ok(session)) => put(session),
        Ok(Err(failure)) => object(&[("failure", failure.reason.to_string())]),
        Err(reason) => object(&[("reason", quoted(reason.name()))]),
    }
});

// A step: session, bytes from the peer, plaintext for it, whether it is the last. Answers what there is to send and to read.
function!(step, |call| {
    let mut sessions = SESSIONS.lock().expect("nobody panics with it");
    let Some(session) = usize::try_from(call.int(0)).ok().and_then(|place| sessions.get_mut(place)) else { return String::from("null") };
    let (bytes, sealed) = (call.bytes(1), call.bytes(2));
    let (mut rest, mut plaintext, mut failure) = (&bytes[..], Vec::new(), None);
    loop {
        let taken = match session.take(rest) {
            Ok(taken) => taken,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        rest = &rest[taken..];
        let mut buffer = [0; 16 * 1024];
        while let count @ 1.. = session.read(&mut buffer) {
            plaintext.extend(&buffer[..count]);
        }
        if rest.is_empty() {
            break;
        }
    }
    if !sealed.is_empty() {
        session.seal(&sealed);
    }
    if call.int(3) != 0 {
        session.close();
    }
    let mut records = Vec::new();
    session.records(&mut records);
    let state = session.state();
    object(&[
        ("records", hex(&records)),
        ("plaintext", hex(&plaintext)),
        ("failure", failure.map_or(String::from("null"), |failure| failure.reason.to_string())),
        ("handshaking", state.handshaking.to_string()),
        ("ended", state.ended.to_string()),
    ])
});

function!(facts, |call| {
    let sessions = SESSIONS.lock().expect("nobody panics with it");
    let session = usize::try_from(call.int(0)).ok().and_then(|place| sessions.get(place));
    let Some((session, facts)) = session.and_then(|session| Some((session, session.facts()?))) else { return String::from("null") };
    let mut exported = [0; 24];
    session.export(&mut exported, b"EXPORTER-tsloop", Some(b"context"));
    object(&[
        ("version", facts.version.to_string()),
        ("suite", facts.suite.to_string()),
        ("group", facts.group.to_string()),
        ("protocol", facts.protocol.map_or(String::from("null"), |protocol| quoted(&String::from_utf8_lossy(&protocol)))),
        ("reused", facts.reused.to_string()),
        ("chain", hexes(&facts.chain)),
        ("exported", hex(&exported)),
    ])
});
