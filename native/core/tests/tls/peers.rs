//! Two sessions joined in memory, as a server and a client of contexts that are made up.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tsloop_core::tls::choose::{self, Choice, Context, TLS12, TLS13};
use tsloop_core::tls::context::{ClientOptions, Prepared, ServerOptions};
use tsloop_core::tls::groups::Division;
use tsloop_core::tls::hello::{self, Held};
use tsloop_core::tls::session::{Failure, Rustls, Session};
use tsloop_core::tls::tickets::{KEYS, Tickets};
use tsloop_openssl::context::{Authentication, Exchange, KeyKind, Pair, Suite, options};

/// A key and a certificate of that name. Nobody looks at the signature on it here.
pub(crate) fn identity(curve: &str) -> Pair {
    pair(curve, true)
}

/// The same with a certificate of version 1, which webpki does not read.
pub(crate) fn old_identity() -> Pair {
    pair("prime256v1", false)
}

fn pair(curve: &str, newer: bool) -> Pair {
    let (key, public) = if curve == "ED25519" {
        let key = Ed25519KeyPair::generate().expect("a key");
        (key.to_pkcs8v1().expect("its bytes").as_ref().to_vec(), der_of(key.public_key()))
    } else {
        let algorithm = match curve {
            "secp384r1" => &ECDSA_P384_SHA384_ASN1_SIGNING,
            "secp521r1" => &ECDSA_P521_SHA512_ASN1_SIGNING,
            _ => &ECDSA_P256_SHA256_ASN1_SIGNING,
        };
        let key = EcdsaKeyPair::generate(algorithm).expect("a key");
        (key.to_pkcs8v1().expect("its bytes").as_ref().to_vec(), der_of(key.public_key()))
    };
    Pair {
        kind: if curve == "ED25519" { KeyKind::Ed25519 } else { KeyKind::Ec(String::from(curve)) },
        key: Some(Arc::new(key.into())),
        chain: vec![certificate(&public, newer)],
        signs: true,
        compressed: false,
        signed_with: (0, 0),
    }
}

fn der_of<'a>(key: &impl AsDer<PublicKeyX509Der<'a>>) -> Vec<u8> {
    key.as_der().expect("its bytes").as_ref().to_vec()
}

fn certificate(key: &[u8], newer: bool) -> Vec<u8> {
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let length = u16::try_from(contents.len()).expect("small").to_be_bytes();
        [&[tag, 0x82][..], &length, &contents].concat()
    }
    let algorithm = der(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let name = der(0x30, &[&der(0x31, &[&der(0x30, &[&[6, 3, 0x55, 4, 3], b"\x0c\x09localhost"])])]);
    let validity = der(0x30, &[b"\x17\x0d250101000000Z", b"\x17\x0d350101000000Z"]);
    let version: &[u8] = if newer { &[0xa0, 3, 2, 1, 2] } else { &[] };
    let body = der(0x30, &[version, &[2, 1, 1], &algorithm, &name, &validity, &name, key]);
    der(0x30, &[&body, &algorithm, &der(3, &[&[0; 71]])])
}

pub(crate) fn context(pairs: Vec<Pair>) -> Context {
    let suite = |id: u16, since, authentication| Suite { id, exchange: if since == TLS13 { Exchange::Any } else { Exchange::Ecdhe }, authentication, since };
    Context {
        openssl: 0x3050_0080,
        suites: vec![
            suite(0x1302, TLS13, Authentication::Any),
            suite(0x1303, TLS13, Authentication::Any),
            suite(0x1301, TLS13, Authentication::Any),
            suite(0xc02b, TLS12, Authentication::Ecdsa),
            suite(0xc02f, TLS12, Authentication::Rsa),
            suite(0xc02c, TLS12, Authentication::Ecdsa),
            suite(0xcca9, TLS12, Authentication::Ecdsa),
        ],
        min: TLS12,
        max: TLS13,
        options: options::SERVER_PREFERENCE,
        security_level: 2,
        special: false,
        pairs,
        groups: vec![0x11ec, 29, 23, 30, 24, 25, 256, 257],
        signatures: vec![0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601],
        division: Division::Default,
        diffie_hellman: false,
    }
}

pub(crate) fn prepared(context: Context) -> Prepared {
    Prepared::new(context, Vec::new()).expect("a context for rustls")
}

pub(crate) fn tickets() -> Arc<Tickets> {
    Arc::new(Tickets::new(&[7; KEYS], 300).expect("tickets"))
}

/// What a client may ask for.
pub(crate) struct Asked {
    pub(crate) protocols: Vec<Vec<u8>>,
    pub(crate) resumption: Resumption,
    pub(crate) name: &'static str,
}

impl Default for Asked {
    fn default() -> Self {
        Self { protocols: Vec::new(), resumption: Resumption::disabled(), name: "localhost" }
    }
}

/// Both ends, and what is on its way to each.
pub(crate) struct Joined {
    pub(crate) client: Rustls,
    pub(crate) server: Rustls,
    pub(crate) choice: Choice,
    pub(crate) to_server: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
}

/// How often both sides are asked before something is taken to be stuck.
const ROUNDS: usize = 10_000;

impl Joined {
    /// As a server does it: the hello is held, something is chosen, and then the session takes it.
    pub(crate) fn new(client: &Prepared, asked: Asked, server: &Prepared, options: ServerOptions, protocols: Option<&[Vec<u8>]>) -> Self {
        let config = ClientOptions { protocols: asked.protocols, named: true, resumption: asked.resumption, fragment: None };
        let name = ServerName::try_from(asked.name).expect("a name");
        let mut client = Rustls::client(client.client(config).expect("something to offer"), name).expect("a client");
        let mut held = Vec::new();
        client.records(&mut held);
        let Held::Whole(hello) = hello::read(&held) else { panic!("rustls' hello is one") };
        let choice = choose::choose(server.context(), &hello, protocols, |ticket| tickets().issuer(ticket)).expect("rustls can");
        let server = Rustls::server(server.server(&choice, options).expect("what was chosen is there")).expect("a server");
        Self { client, server, choice, to_server: held, to_client: Vec::new() }
    }

    /// Lets each side have what the other has sent, at most so many bytes at once, until neither has anything to say.
    pub(crate) fn exchange(&mut self, piece: usize) -> Result<(), (&'static str, Failure)> {
        for _ in 0..ROUNDS {
            let mut moved = false;
            for (side, session, bytes) in [("server", &mut self.server, &mut self.to_server), ("client", &mut self.client, &mut self.to_client)] {
                let count = bytes.len().min(piece);
                let taken = session.take(&bytes[..count]).map_err(|failure| (side, failure))?;
                bytes.drain(..taken);
                moved |= taken > 0;
            }
            self.client.records(&mut self.to_server);
            self.server.records(&mut self.to_client);
            if !moved {
                return Ok(());
            }
        }
        panic!("they go on and on");
    }

    pub(crate) fn handshake(&mut self) {
        self.exchange(usize::MAX).expect("they agree");
        assert!(!self.client.state().handshaking && !self.server.state().handshaking);
    }
}

/// Everything that can be read.
pub(crate) fn read_all(session: &mut Rustls) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match session.read(&mut buffer) {
            0 => return all,
            count => all.extend(&buffer[..count]),
        }
    }
}
