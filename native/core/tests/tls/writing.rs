//! Writes ClientHellos, as the parser is to read them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tsloop_core::tls::hello::Hello;

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("short")], bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("not long").to_be_bytes(), bytes].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The handshake message: a header of four bytes and the hello.
pub(crate) fn message(hello: &Hello) -> Vec<u8> {
    let mut extensions: Vec<(u16, Vec<u8>)> = vec![
        // Numbers that nobody has, as clients send them to keep servers honest, and two that mean something elsewhere.
        (0x0a0a, Vec::new()),
        (23, Vec::new()),
        (0xff01, vec![0]),
    ];
    let mut put = |kind: u16, contents: Option<Vec<u8>>| extensions.extend(contents.map(|contents| (kind, contents)));
    put(0, hello.server_name.as_ref().map(|name| long(&[vec![0], long(name)].concat())));
    put(1, hello.max_fragment_length.then(|| vec![2]));
    put(5, hello.status_request.then(|| vec![1, 0, 0, 0, 0]));
    put(10, hello.groups.as_ref().map(|groups| long(&words(groups))));
    put(11, hello.uncompressed_points.map(|uncompressed| short(if uncompressed { &[1, 0] } else { &[1, 2] })));
    put(13, hello.signatures.as_ref().map(|signatures| long(&words(signatures))));
    put(50, hello.certificate_signatures.as_ref().map(|signatures| long(&words(signatures))));
    put(16, hello.protocols.as_ref().map(|names| long(&names.iter().flat_map(|name| short(name)).collect::<Vec<_>>())));
    put(43, hello.versions.as_ref().map(|versions| short(&words(versions))));
    let share = |group: &u16| [&group.to_be_bytes()[..], &long(&[7; 32])].concat();
    put(51, hello.key_shares.as_ref().map(|groups| long(&groups.iter().flat_map(share).collect::<Vec<_>>())));
    put(35, hello.ticket.clone());
    put(45, hello.psk_modes.as_ref().map(|modes| short(modes)));
    let identity = |identity: &Vec<u8>| [long(identity), vec![0; 4]].concat();
    put(
        41,
        hello.identities.as_ref().map(|identities| {
            let binders: Vec<u8> = identities.iter().flat_map(|_| short(&[5; 32])).collect();
            [long(&identities.iter().flat_map(identity).collect::<Vec<_>>()), long(&binders)].concat()
        }),
    );
    let extensions: Vec<u8> = extensions.iter().flat_map(|(kind, contents)| [kind.to_be_bytes().to_vec(), long(contents)].concat()).collect();
    let body = [
        hello.version.to_be_bytes().to_vec(),
        vec![9; 32],
        short(&hello.session_id),
        long(&words(&hello.suites)),
        short(if hello.compression { &[1, 0] } else { &[0] }),
        long(&extensions),
    ]
    .concat();
    [vec![1], u32::try_from(body.len()).expect("small").to_be_bytes()[1..].to_vec(), body].concat()
}

/// A message in records of so many bytes each, over and over.
pub(crate) fn records(message: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut rest = message;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        records.extend([22, 3, 1]);
        records.extend(long(piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    records
}

/// Lists in which what there is stands beside what there is not.
fn numbers(of: &'static [u16], most: usize) -> impl Strategy<Value = Vec<u16>> {
    vec(prop_oneof![4 => proptest::sample::select(of), 1 => any::<u16>()], 1..most)
}

pub(crate) const SUITES: &[u16] =
    &[0x1301, 0x1302, 0x1303, 0x1304, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xc027, 0xc009, 0x009e, 0x002f, 0x5600, 0x00ff];
pub(crate) const GROUPS: &[u16] = &[29, 23, 24, 25, 30, 256, 257, 0x11ec, 0x11eb];
pub(crate) const SIGNATURES: &[u16] = &[0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0303, 0x0809];

/// Any hello that the parser takes.
pub(crate) fn hellos() -> impl Strategy<Value = Hello> {
    let bytes = |most| vec(any::<u8>(), 1..most);
    let first = (
        prop_oneof![Just(0x0303_u16), Just(0x0301), any::<u16>()],
        vec(any::<u8>(), 0..=32),
        numbers(SUITES, 24),
        any::<bool>(),
        option::of(vec(1_u8.., 1..=255)),
        option::of(numbers(GROUPS, 10)),
        option::of(any::<bool>()),
        option::of(numbers(SIGNATURES, 14)),
    );
    let second = (
        option::weighted(0.1, numbers(SIGNATURES, 4)),
        option::of(vec(bytes(9), 1..4)),
        option::of(vec(proptest::sample::select(&[0x0304_u16, 0x0303, 0x0301, 0x7a7a][..]), 1..4)),
        option::of(proptest::sample::subsequence(GROUPS, 0..4)),
        option::of(vec(any::<u8>(), 0..200)),
        option::of(vec(bytes(200), 1..3)),
        option::of(vec(0_u8..3, 1..3)),
        proptest::bool::weighted(0.1),
        any::<bool>(),
    );
    (first, second).prop_map(|(first, second)| {
        let (version, session_id, suites, compression, server_name, groups, uncompressed_points, signatures) = first;
        let (certificate_signatures, protocols, versions, key_shares, ticket, identities, psk_modes, max_fragment_length, status_request) = second;
        Hello {
            version,
            session_id,
            suites,
            compression,
            server_name,
            groups,
            uncompressed_points,
            signatures,
            certificate_signatures,
            protocols,
            versions,
            key_shares,
            ticket,
            identities,
            psk_modes,
            max_fragment_length,
            status_request,
            length: 0,
        }
    })
}
