//! Any hello at any context: whatever is chosen is something that both have, and rustls too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsloop_core::tls::choose::{Context, Issuer, choose, provided};
use tsloop_core::tls::groups::Division;
use tsloop_core::tls::hello::{Held, read};
use tsloop_openssl::context::{Authentication, Exchange, KeyKind, Pair, Suite};

/// What of the input makes the context; the rest is the hello.
const CONTEXT: usize = 40;

fn context(bytes: &[u8; CONTEXT]) -> Context {
    const SUITES: [u16; 8] = [0x1301, 0x1302, 0x1304, 0xc02b, 0xc02f, 0xcca8, 0x009e, 0x002f];
    const GROUPS: [u16; 8] = [29, 23, 24, 25, 30, 256, 0x11ec, 0x11eb];
    const SIGNATURES: [u16; 8] = [0x0403, 0x0503, 0x0804, 0x0806, 0x0401, 0x0807, 0x0303, 0x0201];
    let list = |from: usize, of: &[u16; 8]| bytes[from..from + 8].iter().map(|byte| of[usize::from(byte % 8)]).collect::<Vec<_>>();
    let kind = |byte: u8| match byte % 6 {
        0 => KeyKind::Rsa(2048),
        1 => KeyKind::Rsa(1024),
        2 => KeyKind::Ec(String::from("prime256v1")),
        3 => KeyKind::Ec(String::from("secp256k1")),
        4 => KeyKind::Ed25519,
        _ => KeyKind::Other(String::from("DSA")),
    };
    let exchanges = [Exchange::Any, Exchange::Ecdhe, Exchange::Dhe, Exchange::Rsa, Exchange::Other];
    let authentications = [Authentication::Any, Authentication::Rsa, Authentication::Ecdsa, Authentication::Dss, Authentication::None];
    Context {
        openssl: if bytes[24] % 2 == 0 { 0x3000_0000 } else { 0x3050_0000 },
        suites: list(0, &SUITES)
            .into_iter()
            .map(|id| Suite {
                id,
                exchange: exchanges[usize::from(bytes[25] % 5)],
                authentication: authentications[usize::from(bytes[26] % 5)],
                since: if id < 0x1400 && id > 0x1300 { 0x0304 } else { 0x0301 + u16::from(bytes[27] % 3) },
            })
            .collect(),
        groups: list(8, &GROUPS),
        signatures: list(16, &SIGNATURES),
        min: u16::from(bytes[28]) * 0x0101,
        max: u16::from_be_bytes([bytes[29] % 4, bytes[30]]),
        options: u64::from(u32::from_be_bytes([bytes[31], bytes[32], 0, bytes[33]])),
        security_level: i32::from(bytes[34] % 5),
        special: bytes[35] == 1,
        division: [Division::Default, Division::One, Division::Unknown][usize::from(bytes[36] % 3)],
        diffie_hellman: bytes[37] % 2 == 0,
        pairs: bytes[38..40]
            .iter()
            .map(|byte| Pair {
                kind: kind(*byte),
                key: (byte & 64 == 0).then(std::sync::Arc::default),
                chain: Vec::new(),
                signs: byte & 128 == 0,
                compressed: *byte == 255,
                signed_with: (0, 0),
            })
            .collect(),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first_chunk::<CONTEXT>() else { return };
    let context = context(first);
    let _ = (context.fits(true), context.fits(false));
    // A record and a message around it, and a random value in it, as there is nothing to find in those.
    let body = [&[3, 3][..], &[0; 32], rest].concat();
    let Ok(length) = u16::try_from(body.len()) else { return };
    let message = [&[1, 0][..], &length.to_be_bytes(), &body].concat();
    let Ok(length) = u16::try_from(message.len()) else { return };
    let Held::Whole(hello) = read(&[&[22, 3, 1][..], &length.to_be_bytes(), &message].concat()) else { return };
    let Ok(choice) = choose(&context, &hello, Some(&[b"h2".to_vec()]), |ticket| if ticket[0] == 0 { Issuer::OpenSsl } else { Issuer::Ours }) else { return };
    assert!(context.allows(choice.version));
    assert!(provided::SUITES.contains(&choice.suite) && hello.suites.contains(&choice.suite));
    assert!(provided::GROUPS.contains(&choice.group) && context.groups.contains(&choice.group));
    assert!(hello.groups.is_some_and(|groups| groups.contains(&choice.group)));
    assert!(hello.signatures.is_some_and(|signatures| signatures.contains(&choice.scheme)));
    assert!(choice.pair < context.pairs.len());
});
