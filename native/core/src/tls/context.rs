//! Configurations of rustls' that do what a context of Node's would have OpenSSL do.
//!
//! Each connection of a server has one of its own, with just the version, the suite, the group, the key and the signature that were chosen:
//! rustls has no choice left to make, and so none to make differently. Certificates of peers are all accepted here, as Node's callback does;
//! what is wrong with them is asked of OpenSSL when the handshake is over.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, NamedGroup, PeerMisbehaved, ServerConfig, SignatureAlgorithm,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use webpki::RawPublicKeyEntity;

use super::choose::{self, Choice, TLS12, TLS13};
use super::reasons::Reason;
use super::spki;

/// A context, ready for connections.
pub struct Prepared {
    context: choose::Context,
    pairs: Vec<Arc<CertifiedKey>>,
    authorities: Arc<[DistinguishedName]>,
    /// One for all connections: rustls resumes a client's session with no other.
    verifier: Arc<Accepting>,
    identity: Arc<Identity>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("pairs", &self.pairs.len()).finish_non_exhaustive()
    }
}

/// What a connection of a server has besides its context's.
#[derive(Debug, Default)]
pub struct ServerOptions {
    /// A certificate is asked of the client.
    pub request: bool,
    /// And one without is refused.
    pub require: bool,
    /// What seals tickets; none are issued without.
    pub tickets: Option<Arc<dyn ProducesTickets>>,
    /// What an OCSP responder said of the certificate.
    pub staple: Option<Vec<u8>>,
    /// Most bytes of plaintext in a record.
    pub fragment: Option<usize>,
}

/// What one of a client has.
#[derive(Debug)]
pub struct ClientOptions {
    /// Its protocols, in order.
    pub protocols: Vec<Vec<u8>>,
    /// Whether the server is told its name.
    pub named: bool,
    /// Where its sessions are.
    pub resumption: Resumption,
    /// Most bytes of plaintext in a record.
    pub fragment: Option<usize>,
}

impl Prepared {
    /// Takes the keys over: their bytes are not kept.
    ///
    /// # Errors
    /// A key that is none, or that rustls does not read.
    pub fn new(context: choose::Context, authorities: Vec<Vec<u8>>) -> Result<Self, Reason> {
        let pairs = context.pairs.iter().map(certified).collect::<Result<Vec<_>, _>>()?;
        let schemes: Arc<[SignatureScheme]> = context.signatures.iter().copied().map(SignatureScheme::from).collect();
        Ok(Self {
            identity: Arc::new(Identity { pairs: pairs.clone() }),
            // Of the keys only what they are is needed from here on.
            context: choose::Context {
                pairs: context.pairs.iter().map(|pair| tsloop_openssl::context::Pair { key: None, ..pair.clone() }).collect(),
                ..context
            },
            authorities: authorities.into_iter().map(DistinguishedName::from).collect(),
            verifier: Arc::new(Accepting { algorithms: provider::default_provider().signature_verification_algorithms, schemes }),
            pairs,
        })
    }

    /// The context, as [`choose::choose`] goes by it: its keys are not there any more, so that whether it fits has to be asked before.
    #[must_use]
    pub fn context(&self) -> &choose::Context {
        &self.context
    }

    /// A server's connection that does what was chosen.
    ///
    /// # Errors
    /// It was chosen for another context, or by another list of what rustls has.
    pub fn server(&self, choice: &Choice, options: ServerOptions) -> Result<Arc<ServerConfig>, Reason> {
        let pair = self.pairs.get(choice.pair).ok_or(Reason::Signature)?;
        let key = Arc::new(OneScheme { key: Arc::clone(&pair.key), scheme: SignatureScheme::from(choice.scheme) });
        let certified = CertifiedKey { cert: pair.cert.clone(), key, ocsp: options.staple };
        let provider = CryptoProvider {
            cipher_suites: vec![suite(choice.suite).ok_or(Reason::Suite)?],
            kx_groups: vec![group(choice.group).ok_or(Reason::Group)?],
            ..provider::default_provider()
        };
        let builder =
            ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[protocol(choice.version)]).map_err(|_| Reason::Version)?;
        let verifier =
            Requesting { accepting: Arc::clone(&self.verifier), authorities: Arc::clone(&self.authorities), options: (options.request, options.require) };
        let mut config = builder.with_client_cert_verifier(Arc::new(verifier)).with_cert_resolver(Arc::new(Chosen(Arc::new(certified))));
        config.alpn_protocols = choice.protocol.iter().cloned().collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_fragment_size = options.fragment;
        // As OpenSSL does with Node's settings.
        config.send_tls13_tickets = if options.tickets.is_some() { 2 } else { 0 };
        if let Some(tickets) = options.tickets {
            config.ticketer = tickets;
        }
        Ok(Arc::new(config))
    }

    /// A client's connection.
    ///
    /// # Errors
    /// Nothing would be left to offer.
    pub fn client(&self, options: ClientOptions) -> Result<Arc<ClientConfig>, Reason> {
        let versions: Vec<_> = [TLS13, TLS12].into_iter().filter(|version| self.context.allows(*version)).map(protocol).collect();
        let provider = CryptoProvider {
            cipher_suites: self.context.suites.iter().filter_map(|entry| suite(entry.id)).collect(),
            kx_groups: self.context.groups.iter().filter_map(|number| group(*number)).collect(),
            ..provider::default_provider()
        };
        if provider.kx_groups.is_empty() {
            return Err(Reason::NoGroup);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&versions).map_err(|_| Reason::NoSuite)?;
        let verifier: Arc<Accepting> = Arc::clone(&self.verifier);
        let identity: Arc<Identity> = Arc::clone(&self.identity);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_client_cert_resolver(identity);
        config.alpn_protocols = options.protocols;
        config.enable_sni = options.named;
        config.resumption = options.resumption;
        config.max_fragment_size = options.fragment;
        Ok(Arc::new(config))
    }
}

/// A pair of the context's for rustls. `CertifiedKey::from_der` would look into the certificate, and refuse what Node takes.
fn certified(pair: &tsloop_openssl::context::Pair) -> Result<Arc<CertifiedKey>, Reason> {
    let bytes = pair.key.as_ref().ok_or(Reason::EngineKey)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&bytes[..]));
    let key: Arc<dyn SigningKey> = match provider::sign::any_supported_type(&key) {
        Ok(key) => key,
        // Kept for its place: the choice never falls on it, and a client does not sign with it.
        Err(_) => Arc::new(Unusable),
    };
    Ok(Arc::new(CertifiedKey::new(pair.chain.iter().map(|der| CertificateDer::from(der.clone())).collect(), key)))
}

fn suite(id: u16) -> Option<SupportedCipherSuite> {
    provider::ALL_CIPHER_SUITES.iter().copied().find(|suite| u16::from(suite.suite()) == id)
}

fn group(number: u16) -> Option<&'static dyn SupportedKxGroup> {
    if !choose::provided::GROUPS.contains(&number) {
        return None;
    }
    provider::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == NamedGroup::from(number))
}

fn protocol(version: u16) -> &'static SupportedProtocolVersion {
    if version == TLS13 { &version::TLS13 } else { &version::TLS12 }
}

/// A key that signs in one way.
#[derive(Debug)]
struct OneScheme {
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
}

impl SigningKey for OneScheme {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.key.choose_scheme(&[self.scheme]).filter(|_| offered.contains(&self.scheme))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

/// A key that rustls has not.
#[derive(Debug)]
struct Unusable;

impl SigningKey for Unusable {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        None
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(0)
    }
}

/// The certificate that was chosen at the hello.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A client's keys.
#[derive(Debug)]
struct Identity {
    pairs: Vec<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for Identity {
    /// By the order of the server's signatures, as OpenSSL looks for one; whom the server trusts does not matter to it either.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.iter().find_map(|scheme| {
            let pair = self.pairs.iter().find(|pair| pair.key.choose_scheme(&[*scheme]).is_some())?;
            Some(Arc::new(CertifiedKey { cert: pair.cert.clone(), key: Arc::new(OneScheme { key: Arc::clone(&pair.key), scheme: *scheme }), ocsp: None }))
        })
    }

    fn has_certs(&self) -> bool {
        !self.pairs.is_empty()
    }
}

/// Accepts every certificate whose owner has shown that it is theirs.
#[derive(Debug)]
struct Accepting {
    algorithms: WebPkiSupportedAlgorithms,
    /// What the context takes, in its order.
    schemes: Arc<[SignatureScheme]>,
}

impl Accepting {
    /// Checks what a peer signed, by the key in its certificate and nothing else of that.
    fn check(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct, tls13: bool) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
        let key = SubjectPublicKeyInfoDer::from(spki::of(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?);
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let found = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme && self.schemes.contains(scheme));
        let unasked = Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
        let (scheme, algorithms) = found.ok_or(unasked.clone())?;
        if tls13 && pkcs1(*scheme) {
            return Err(unasked);
        }
        // From 1.3 on a scheme names the curve; before, any of those that it may be with will do.
        let algorithms = if tls13 { &algorithms[..1] } else { algorithms };
        algorithms
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok())
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(bad)
    }

    /// What the peer is told: of the context's those that rustls has.
    fn schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.iter().copied().filter(|scheme| self.algorithms.mapping.iter().any(|(known, _)| known == scheme)).collect()
    }
}

/// Signatures that TLS 1.3 has for certificates alone.
fn pkcs1(scheme: SignatureScheme) -> bool {
    matches!(scheme, SignatureScheme::RSA_PKCS1_SHA256 | SignatureScheme::RSA_PKCS1_SHA384 | SignatureScheme::RSA_PKCS1_SHA512)
}

impl ServerCertVerifier for Accepting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// The same on a server, with what it asks of clients.
#[derive(Debug)]
struct Requesting {
    accepting: Arc<Accepting>,
    authorities: Arc<[DistinguishedName]>,
    /// Asks, and insists.
    options: (bool, bool),
}

impl ClientCertVerifier for Requesting {
    fn offer_client_auth(&self) -> bool {
        self.options.0
    }

    fn client_auth_mandatory(&self) -> bool {
        self.options.0 && self.options.1
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.accepting.check(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.accepting.check(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.accepting.schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The choice is made by lists of numbers; here is what they stand for.
    #[test]
    fn what_is_said_to_be_there_is() {
        let mut suites: Vec<u16> = provider::ALL_CIPHER_SUITES.iter().map(|suite| suite.suite().into()).collect();
        suites.sort_unstable();
        assert_eq!(suites, choose::provided::SUITES);
        for number in choose::provided::GROUPS {
            assert!(group(number).is_some(), "{number}");
        }
        assert!(group(0x0201).is_none(), "a group that OpenSSL does not offer by default is not taken from rustls' list");
    }
}
