//! What must hold for every choice, and the rules one by one. Whether they are OpenSSL's is seen by test/tls, against plain Node.

use crate::writing::{GROUPS, SIGNATURES, SUITES, hellos};
use proptest::collection::vec;
use proptest::prelude::*;
use tsloop_core::tls::choose::{Choice, Context, Issuer, TLS12, TLS13, choose, provided};
use tsloop_core::tls::groups::Division;
use tsloop_core::tls::hello::Hello;
use tsloop_core::tls::reasons::Reason;
use tsloop_openssl::context::{Authentication, Exchange, KeyKind, Pair, Suite, options};

const OPENSSL_30: u64 = 0x3000_0130;
const OPENSSL_35: u64 = 0x3050_0080;

fn suite(id: u16) -> Suite {
    let (exchange, authentication, since) = match id {
        0x1301..=0x1304 => (Exchange::Any, Authentication::Any, TLS13),
        0xc02b | 0xc02c | 0xcca9 => (Exchange::Ecdhe, Authentication::Ecdsa, TLS12),
        0xc009 => (Exchange::Ecdhe, Authentication::Ecdsa, 0x0301),
        0x009e => (Exchange::Dhe, Authentication::Rsa, TLS12),
        0x002f => (Exchange::Rsa, Authentication::Rsa, 0x0301),
        _ => (Exchange::Ecdhe, Authentication::Rsa, TLS12),
    };
    Suite { id, exchange, authentication, since }
}

fn pair(kind: KeyKind) -> Pair {
    Pair { kind, key: Some(std::sync::Arc::default()), chain: vec![vec![0]], signs: true, compressed: false, signed_with: (0, 0) }
}

fn p256() -> Pair {
    pair(KeyKind::Ec(String::from("prime256v1")))
}

/// A context as Node makes it, with an RSA key.
fn usual() -> Context {
    Context {
        openssl: OPENSSL_35,
        suites: [0x1302, 0x1303, 0x1301, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0x009e, 0xc027, 0xcca9, 0xcca8, 0x002f].map(suite).to_vec(),
        min: TLS12,
        max: TLS13,
        options: options::SERVER_PREFERENCE,
        security_level: 2,
        special: false,
        pairs: vec![pair(KeyKind::Rsa(2048))],
        groups: vec![0x11ec, 29, 23, 30, 24, 25, 256, 257],
        signatures: vec![0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0303, 0x0301],
        division: Division::Default,
        diffie_hellman: false,
    }
}

/// A client as browsers are.
fn modern() -> Hello {
    Hello {
        version: TLS12,
        suites: vec![0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xcca9, 0xcca8],
        groups: Some(vec![0x11ec, 29, 23, 24]),
        signatures: Some(vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805]),
        versions: Some(vec![TLS13, TLS12]),
        key_shares: Some(vec![0x11ec, 29]),
        psk_modes: Some(vec![1]),
        ..Hello::default()
    }
}

/// A client of TLS 1.2.
fn older() -> Hello {
    Hello { versions: None, key_shares: None, groups: Some(vec![29, 23, 24]), ..modern() }
}

fn of(context: &Context, hello: &Hello) -> Result<Choice, Reason> {
    choose(context, hello, None, |_| Issuer::Nobody)
}

fn contexts() -> impl Strategy<Value = Context> {
    let kinds = proptest::sample::select(vec![
        KeyKind::Rsa(1024),
        KeyKind::Rsa(2048),
        KeyKind::Ec(String::from("prime256v1")),
        KeyKind::Ec(String::from("secp384r1")),
        KeyKind::Ec(String::from("secp256k1")),
        KeyKind::Ed25519,
        KeyKind::Other(String::from("RSA-PSS")),
    ]);
    let version = || proptest::sample::select(&[0_u16, 0x0301, TLS12, TLS13][..]);
    (
        proptest::sample::select(&[OPENSSL_30, OPENSSL_35][..]),
        proptest::sample::subsequence(&SUITES[..14], 1..14).prop_shuffle(),
        (version(), version()),
        proptest::sample::select(&[0, options::SERVER_PREFERENCE, options::NO_TLS13, options::PRIORITIZE_CHACHA][..]),
        0..4_i32,
        vec(kinds.prop_map(pair), 0..4),
        proptest::sample::subsequence(GROUPS, 0..8).prop_shuffle(),
        proptest::sample::subsequence(SIGNATURES, 0..14).prop_shuffle(),
        proptest::sample::select(&[Division::Default, Division::One, Division::Unknown][..]),
        any::<bool>(),
    )
        .prop_map(|(openssl, suites, (min, max), options, security_level, pairs, groups, signatures, division, diffie_hellman)| Context {
            openssl,
            suites: suites.into_iter().map(suite).collect(),
            min,
            max,
            options,
            security_level,
            special: false,
            pairs,
            groups,
            signatures,
            division,
            diffie_hellman,
        })
}

/// A usual server and a usual client, with some things about them as they come: of two random ones hardly a pair agrees on anything.
fn pairs_of_peers() -> impl Strategy<Value = (Context, Hello)> {
    let changes = || vec(proptest::bool::weighted(0.15), 16);
    (contexts(), hellos(), changes(), changes(), any::<bool>()).prop_map(|(random, any, context, hello, new)| {
        let (mut server, mut client) = (usual(), if new { modern() } else { older() });
        macro_rules! take {
            ($into:ident, $from:ident, $changes:ident: $($field:ident),*) => {
                let mut changes = $changes.into_iter();
                $(if changes.next() == Some(true) { $into.$field = $from.$field; })*
            };
        }
        take!(server, random, context: openssl, suites, min, max, options, security_level, pairs, groups, signatures, division, diffie_hellman);
        take!(client, any, hello: suites, compression, groups, uncompressed_points, signatures, certificate_signatures, protocols, versions, key_shares, ticket, identities, psk_modes, max_fragment_length);
        (server, client)
    })
}

proptest! {
    #[test]
    fn never_panics(context in contexts(), hello in hellos()) {
        let _ = (context.fits(true), context.fits(false), of(&context, &hello));
    }

    #[test]
    fn is_made_of_what_both_have_and_rustls_too((context, hello) in pairs_of_peers()) {
        let protocols = hello.protocols.iter().flatten().last().cloned().into_iter().chain([b"h2".to_vec()]).collect::<Vec<_>>();
        let Ok(choice) = choose(&context, &hello, Some(&protocols), |_| Issuer::Nobody) else { return Ok(()) };
        prop_assert!(context.allows(choice.version));
        prop_assert!(hello.suites.contains(&choice.suite) && provided::SUITES.contains(&choice.suite));
        prop_assert!(context.suites.iter().any(|suite| suite.id == choice.suite && (suite.since == TLS13) == (choice.version == TLS13)));
        prop_assert!(context.groups.contains(&choice.group) && provided::GROUPS.contains(&choice.group));
        prop_assert!(hello.groups.as_ref().is_some_and(|groups| groups.contains(&choice.group)));
        let shared = hello.key_shares.as_ref().is_some_and(|shares| shares.contains(&choice.group));
        prop_assert_eq!(choice.retry, choice.version == TLS13 && !shared);
        prop_assert!(context.signatures.contains(&choice.scheme) && hello.signatures.as_ref().is_some_and(|list| list.contains(&choice.scheme)));
        prop_assert!(choice.pair < context.pairs.len());
        prop_assert_eq!(choice.protocol.is_some(), hello.protocols.is_some());
    }

    /// What nobody knows is there to be passed over.
    #[test]
    fn is_not_moved_by_numbers_that_mean_nothing((context, hello) in pairs_of_peers(), place in any::<prop::sample::Index>()) {
        let mut greased = hello.clone();
        greased.suites.insert(place.index(hello.suites.len() + 1), 0x3a3a);
        for list in [&mut greased.groups, &mut greased.signatures].into_iter().flatten() {
            let at = place.index(list.len() + 1);
            list.insert(at, 0x3afa);
        }
        prop_assert_eq!(of(&context, &greased), of(&context, &hello));
    }
}

#[test]
fn a_modern_client_at_a_usual_server() {
    let choice = Choice { version: TLS13, suite: 0x1302, group: 0x11ec, retry: false, pair: 0, scheme: 0x0804, protocol: None };
    assert_eq!(of(&usual(), &modern()), Ok(choice.clone()));
    let theirs = Context { options: 0, ..usual() };
    assert_eq!(of(&theirs, &modern()).map(|choice| choice.suite), Ok(0x1301), "by the client's order where that is asked for");
    let older = of(&usual(), &older()).expect("rustls can");
    assert_eq!((older.version, older.suite, older.group, older.scheme), (TLS12, 0xc02f, 29, 0x0804));
}

#[test]
fn openssls_own_suite_before_ours_is_openssls() {
    let hello = Hello { suites: vec![0xcca8, 0xc027], ..older() };
    assert_eq!(of(&usual(), &hello), Err(Reason::Suite), "CBC stands before ChaCha in the list");
    let hello = Hello { suites: vec![0xcca8, 0x009e], ..older() };
    assert_eq!(of(&usual(), &hello).map(|choice| choice.suite), Ok(0xcca8), "Diffie-Hellman without parameters is passed over");
    let context = Context { diffie_hellman: true, ..usual() };
    assert_eq!(of(&context, &hello), Err(Reason::Suite));
    assert_eq!(of(&usual(), &Hello { suites: vec![0x1304, 0xc02f], ..modern() }), Err(Reason::Suite), "1.3 without a suite of 1.3");
}

#[test]
fn versions() {
    let only12 = Context { max: TLS12, ..usual() };
    assert_eq!(of(&only12, &modern()).map(|choice| choice.version), Ok(TLS12));
    assert_eq!(of(&Context { min: TLS13, ..usual() }, &older()), Err(Reason::Version));
    assert_eq!(of(&usual(), &Hello { version: 0x0302, ..older() }), Err(Reason::Version));
    let fallen = Hello { suites: vec![0xc02f, 0x5600], ..older() };
    assert_eq!(of(&usual(), &fallen), Err(Reason::Version), "a fall-back that was not necessary");
    assert!(of(&only12, &fallen).is_ok());
    assert_eq!(of(&usual(), &Hello { compression: true, ..modern() }), Err(Reason::Version));
    assert!(of(&usual(), &Hello { compression: true, ..older() }).is_ok());
}

#[test]
fn groups_by_the_line() {
    let hello = Hello { key_shares: Some(vec![29]), ..modern() };
    let answer = |context: &Context, hello: &Hello| of(context, hello).map(|choice| (choice.group, choice.retry));
    assert_eq!(answer(&usual(), &hello), Ok((0x11ec, true)), "3.5 asks for a share of a better tuple");
    let groups = vec![29, 23, 30, 25, 24, 256];
    let old = Context { openssl: OPENSSL_30, groups: groups.clone(), ..usual() };
    let second = Hello { groups: Some(vec![24, 23, 29]), key_shares: Some(vec![24, 29]), ..modern() };
    assert_eq!(answer(&old, &second), Ok((24, false)), "3.0 takes the client's first share");
    let none = Hello { key_shares: Some(Vec::new()), ..second.clone() };
    assert_eq!(answer(&old, &none), Ok((29, true)), "and asks for its own first");
    let one = Context { groups: vec![23, 29], division: Division::One, ..usual() };
    let share = Hello { key_shares: Some(vec![24]), ..second.clone() };
    let late = Context { openssl: 0x3020_0000, groups: groups.clone(), ..usual() };
    assert_eq!(answer(&late, &share), Err(Reason::Group), "between the two the rules have to agree");
    assert_eq!(answer(&late, &Hello { key_shares: Some(vec![29]), ..second.clone() }), Ok((29, false)));
    let share = Hello { key_shares: Some(vec![29]), ..second };
    assert_eq!(answer(&one, &share), Ok((29, false)), "a share before a name within a tuple");
    assert_eq!(answer(&Context { division: Division::Unknown, ..one }, &share), Err(Reason::Group), "which is not known here");
    assert_eq!(answer(&usual(), &Hello { groups: Some(vec![25]), key_shares: Some(vec![25]), ..modern() }), Err(Reason::Group));
    assert_eq!(answer(&usual(), &Hello { key_shares: Some(vec![29]), groups: Some(vec![23]), ..modern() }), Err(Reason::Group));
}

#[test]
fn keys_and_signatures() {
    let two = Context { pairs: vec![pair(KeyKind::Rsa(2048)), p256()], ..usual() };
    assert_eq!(of(&two, &modern()).map(|choice| (choice.pair, choice.scheme)), Ok((1, 0x0403)));
    let plain = Hello { signatures: Some(vec![0x0804, 0x0401]), ..modern() };
    assert_eq!(of(&two, &plain).map(|choice| (choice.pair, choice.scheme)), Ok((0, 0x0804)));
    let weak = Hello { signatures: Some(vec![0x0401]), ..modern() };
    assert_eq!(of(&usual(), &weak), Err(Reason::Signature), "1.3 has no such signatures");
    assert_eq!(of(&usual(), &Hello { signatures: None, ..older() }), Err(Reason::Signature), "SHA-1 then");
    let p384 = Context { pairs: vec![pair(KeyKind::Ec(String::from("secp384r1")))], ..usual() };
    assert_eq!(of(&p384, &modern()).map(|choice| choice.scheme), Ok(0x0503));
    assert_eq!(of(&p384, &older()), Err(Reason::Signature), "OpenSSL signs with SHA-256 there");
    assert_eq!(of(&p384, &Hello { groups: Some(vec![29]), ..older() }), Err(Reason::Suite), "the client does not name its curve");
    let small = Context { pairs: vec![pair(KeyKind::Rsa(1024))], ..usual() };
    assert_eq!(of(&small, &modern()), Err(Reason::Signature));
    let unjudged = Context { pairs: vec![pair(KeyKind::Rsa(2048)), pair(KeyKind::Other(String::from("RSA-PSS")))], ..usual() };
    assert_eq!(of(&unjudged, &modern()), Err(Reason::Signature));
    let no_use = Context { pairs: vec![Pair { signs: false, ..p256() }], ..usual() };
    assert_eq!(of(&no_use, &older()), Err(Reason::Suite));
    let marked = Hello { certificate_signatures: Some(vec![0x0804]), ..modern() };
    assert_eq!(of(&usual(), &marked), Err(Reason::Signature));
}

#[test]
fn protocols_tickets_fragments() {
    let ours = [b"h2".to_vec(), b"http/1.1".to_vec()];
    let ask = |hello: &Hello| choose(&usual(), hello, Some(&ours), |_| Issuer::Nobody).map(|choice| choice.protocol);
    let offering = |names: &[&[u8]]| Hello { protocols: Some(names.iter().map(|name| name.to_vec()).collect()), ..modern() };
    assert_eq!(ask(&offering(&[b"http/1.1", b"h2"])), Ok(Some(b"h2".to_vec())), "by the server's order");
    assert_eq!(ask(&offering(&[b"spdy"])), Err(Reason::Alpn));
    assert_eq!(ask(&modern()), Ok(None));

    let of_openssl = |ticket: &[u8]| if ticket == [1] { Issuer::OpenSsl } else { Issuer::Ours };
    let resume = |hello: &Hello| choose(&usual(), hello, None, of_openssl).map(|_| ());
    assert_eq!(resume(&Hello { identities: Some(vec![vec![2], vec![1]]), ..modern() }), Err(Reason::ForeignTicket));
    assert_eq!(resume(&Hello { identities: Some(vec![vec![2]]), ..modern() }), Ok(()));
    assert_eq!(resume(&Hello { identities: Some(vec![vec![2]]), psk_modes: Some(vec![0]), ..modern() }), Err(Reason::ForeignTicket));
    assert_eq!(resume(&Hello { ticket: Some(vec![1]), ..older() }), Err(Reason::ForeignTicket));
    assert_eq!(resume(&Hello { ticket: Some(vec![1]), ..modern() }), Ok(()), "which 1.3 does not look at");
    assert_eq!(resume(&Hello { ticket: Some(Vec::new()), ..older() }), Ok(()));

    assert_eq!(of(&usual(), &Hello { max_fragment_length: true, ..modern() }), Err(Reason::FragmentLength));
}

#[test]
fn contexts_that_are_not_for_rustls() {
    let why = |change: fn(&mut Context), server: bool| {
        let mut context = usual();
        change(&mut context);
        context.fits(server).err()
    };
    assert_eq!(why(|_| {}, true), None);
    assert_eq!(why(|context| context.pairs.clear(), false), None);
    assert_eq!(why(|context| context.pairs.clear(), true), Some(Reason::Key));
    assert_eq!(why(|context| context.security_level = 0, true), Some(Reason::SecurityLevel));
    assert_eq!(why(|context| context.special = true, true), Some(Reason::Options));
    assert_eq!(why(|context| context.options |= options::PRIORITIZE_CHACHA, true), Some(Reason::Options));
    assert_eq!(why(|context| context.options |= options::NO_TICKET, true), None);
    assert_eq!(why(|context| context.max = 0x0302, true), Some(Reason::NoVersion));
    assert_eq!(why(|context| context.options |= options::NO_TLS12 | options::NO_TLS13, true), Some(Reason::NoVersion));
    assert_eq!(why(|context| context.min = 0x0301, true), None);
    assert_eq!(why(|context| context.min = 0x0301, false), Some(Reason::LowMinimum));
    assert_eq!(why(|context| context.suites = vec![suite(0x002f)], true), Some(Reason::NoSuite));
    assert_eq!(why(|context| context.groups = vec![25, 30], true), Some(Reason::NoGroup));
    assert_eq!(why(|context| context.groups.clear(), true), Some(Reason::NoGroup));
    assert_eq!(why(|context| context.pairs[0].key = None, true), Some(Reason::EngineKey));
    assert_eq!(why(|context| context.pairs = vec![pair(KeyKind::Rsa(1024))], true), Some(Reason::Key));
    assert_eq!(why(|context| context.pairs.push(pair(KeyKind::Rsa(1024))), true), None, "another key may do");
    assert_eq!(why(|context| context.pairs.push(pair(KeyKind::Rsa(1024))), false), Some(Reason::Key));
}

#[test]
fn divisions() {
    for (curves, division) in [
        (None, Division::Default),
        (Some("auto"), Division::Default),
        (Some("P-256:X25519"), Division::One),
        (Some("secp384r1"), Division::One),
        (Some("P-256/X25519"), Division::Unknown),
        (Some("?X25519MLKEM768:P-256"), Division::Unknown),
        (Some("DEFAULT:-P-256"), Division::Unknown),
        (Some("P-256:default"), Division::Unknown),
    ] {
        assert_eq!(Division::of(curves), division, "{curves:?}");
    }
}
