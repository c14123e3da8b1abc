//! What the specs compare, as JSON.

use tsloop_core::tls::hello::{Held, Hello};
use tsloop_openssl::context::{KeyKind, Pair, Snapshot};

use crate::hexes;

/// A string, of which nothing here needs more escapes than these.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            ' '.. => json.push(character),
            _ => json.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    json + "\""
}

pub(crate) fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    format!("{{{}}}", members.join(","))
}

pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    quoted(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn words(words: &[u16]) -> String {
    list(words.iter().map(u16::to_string))
}

fn maybe<T>(value: Option<T>, json: impl Fn(T) -> String) -> String {
    value.map_or(String::from("null"), json)
}

fn pair(pair: &Pair) -> String {
    let kind = match &pair.kind {
        KeyKind::Rsa(bits) => format!("RSA {bits}"),
        KeyKind::Ec(curve) => format!("EC {curve}"),
        KeyKind::Ed25519 => String::from("ED25519"),
        KeyKind::Other(name) => name.clone(),
    };
    object(&[
        ("kind", quoted(&kind)),
        ("key", maybe(pair.key.as_ref(), |key| hex(key))),
        ("chain", hexes(&pair.chain)),
        ("signs", pair.signs.to_string()),
        ("compressed", pair.compressed.to_string()),
    ])
}

/// All of a context.
pub(crate) fn snapshot(snapshot: &Snapshot, own: Option<&Hello>) -> String {
    object(&[
        ("suites", list(snapshot.suites.iter().map(|suite| suite.id.to_string()))),
        ("exchanges", list(snapshot.suites.iter().map(|suite| quoted(&format!("{:?} {:?}", suite.exchange, suite.authentication))))),
        ("since", list(snapshot.suites.iter().map(|suite| suite.since.to_string()))),
        ("min", snapshot.min.to_string()),
        ("max", snapshot.max.to_string()),
        // As a string: JavaScript's numbers have no 64 bits.
        ("options", quoted(&snapshot.options.to_string())),
        ("securityLevel", snapshot.security_level.to_string()),
        ("special", snapshot.special.to_string()),
        ("pairs", list(snapshot.pairs.iter().map(pair))),
        ("timeout", snapshot.timeout.to_string()),
        ("authorities", hexes(&snapshot.authorities)),
        ("groups", maybe(own.and_then(|hello| hello.groups.as_ref()), |groups| words(groups))),
        ("signatures", maybe(own.and_then(|hello| hello.signatures.as_ref()), |signatures| words(signatures))),
        // Nothing of a key may be in what is logged.
        ("debug", quoted(&format!("{snapshot:?}"))),
    ])
}

/// What the parser says of bytes.
pub(crate) fn held(held: &Held) -> String {
    match held {
        Held::More(least) => object(&[("more", least.to_string())]),
        Held::Refused(refusal) => object(&[("refused", quoted(&format!("{refusal:?}")))]),
        Held::Whole(hello) => object(&[
            ("length", hello.length.to_string()),
            ("suites", words(&hello.suites)),
            ("sessionId", hex(&hello.session_id)),
            ("serverName", maybe(hello.server_name.as_ref(), |name| quoted(&String::from_utf8_lossy(name)))),
            ("protocols", maybe(hello.protocols.as_ref(), |protocols| list(protocols.iter().map(|protocol| quoted(&String::from_utf8_lossy(protocol)))))),
            ("groups", maybe(hello.groups.as_ref(), |groups| words(groups))),
            ("signatures", maybe(hello.signatures.as_ref(), |signatures| words(signatures))),
            ("versions", maybe(hello.versions.as_ref(), |versions| words(versions))),
            ("keyShares", maybe(hello.key_shares.as_ref(), |groups| words(groups))),
            ("ticket", maybe(hello.ticket.as_ref(), |ticket| hex(ticket))),
            ("identities", maybe(hello.identities.as_ref(), |identities| hexes(identities))),
            ("maxFragmentLength", hello.max_fragment_length.to_string()),
            ("statusRequest", hello.status_request.to_string()),
        ]),
    }
}
