//! What OpenSSL would choose for a hello and a context, and whether rustls can do just that.
//!
//! Whatever is not certain is left to OpenSSL, which is given the same bytes: too careful here costs time, too bold a difference from plain
//! Node. A client whose suites meet the context's at one of OpenSSL's own must get that one, so nothing is settled by leaving suites out.
//!
//! Follows, of OpenSSL 3: `ssl_choose_server_version` (ssl/statem/statem_lib.c), `ssl3_choose_cipher` (ssl/s3_lib.c), `ssl_set_masks`
//! (ssl/ssl_lib.c), `tls_choose_sigalg`, `tls1_check_chain` and `tls1_shared_group` (ssl/t1_lib.c); for TLS 1.3's groups see
//! [`groups`]; of Node: `SelectALPNCallback` (src/crypto/crypto_tls.cc).

use tsloop_openssl::context::{Authentication, Exchange, KeyKind, Pair, Suite, options};

use super::groups::{self, Division};
use super::hello::Hello;
use super::reasons::Reason;

/// TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3.
pub const TLS13: u16 = 0x0304;

/// What rustls has, of which there is a test against its lists.
pub mod provided {
    /// Suites.
    pub const SUITES: [u16; 9] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
    /// Groups: X25519, P-256, P-384, and the two of them that are joined with ML-KEM.
    pub const GROUPS: [u16; 5] = [29, 23, 24, 0x11ec, 0x11eb];
    /// Smallest RSA key.
    pub const RSA_BITS: u32 = 2048;
}

/// Numbers of signatures that are named here.
mod scheme {
    pub(super) const ED25519: u16 = 0x0807;
    /// ECDSA with P-256, P-384 and P-521, with their digests.
    pub(super) const ECDSA: [(u16, &str); 3] = [(0x0403, "prime256v1"), (0x0503, "secp384r1"), (0x0603, "secp521r1")];
    /// ECDSA with curves that have numbers for TLS 1.3 alone.
    pub(super) const BRAINPOOL: std::ops::RangeInclusive<u16> = 0x081a..=0x081c;
    pub(super) const RSA_PSS: [u16; 3] = [0x0804, 0x0805, 0x0806];
    pub(super) const RSA_PKCS1: [u16; 3] = [0x0401, 0x0501, 0x0601];
}

/// Options that change nothing of what is chosen, or what this file and rustls heed.
const KNOWN_OPTIONS: u64 = options::NO_TICKET
    | options::SERVER_PREFERENCE
    | options::NO_TLS12
    | options::NO_TLS13
    // Versions below those: NO_SSLv3, which is always set, NO_TLSv1, NO_TLSv1_1.
    | 1 << 25 | 1 << 26 | 1 << 28
    // ALLOW_CLIENT_RENEGOTIATION, which Node sets to count and refuse it itself; NO_RENEGOTIATION. rustls refuses it.
    | 1 << 8 | 1 << 30
    // NO_COMPRESSION and ENABLE_MIDDLEBOX_COMPAT, which are set by default: as rustls does.
    | 1 << 17 | 1 << 20;

/// Levels of security at which every suite, group and signature of rustls' is allowed, and nothing weaker than rustls demands. At 3 tickets
/// are forbidden and RSA keys have to have 3,072 bits.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=2;

/// A context, as far as the choice goes by it.
#[derive(Clone, Debug)]
pub struct Context {
    /// OpenSSL's number for itself.
    pub openssl: u64,
    /// Suites in order.
    pub suites: Vec<Suite>,
    /// The lowest version, 0 for none.
    pub min: u16,
    /// The highest, 0 for none.
    pub max: u16,
    /// `SSL_OP_…`.
    pub options: u64,
    /// The level of security.
    pub security_level: i32,
    /// Suite B or the strict mode.
    pub special: bool,
    /// Keys and certificates.
    pub pairs: Vec<Pair>,
    /// Groups in order, as the context's own hello names them.
    pub groups: Vec<u16>,
    /// Signatures in order, likewise.
    pub signatures: Vec<u16>,
    /// How the groups are divided.
    pub division: Division,
    /// Whether there are parameters for Diffie-Hellman.
    pub diffie_hellman: bool,
}

impl Context {
    /// Of what was read from the context, its own hello (`None` where it has none), and what was recorded when it was configured.
    #[must_use]
    pub fn new(snapshot: &tsloop_openssl::context::Snapshot, own: Option<&Hello>, division: Division, diffie_hellman: bool) -> Self {
        let list = |pick: fn(&Hello) -> Option<&Vec<u16>>| own.and_then(pick).cloned().unwrap_or_default();
        Self {
            openssl: snapshot.openssl,
            suites: snapshot.suites.clone(),
            min: snapshot.min,
            max: snapshot.max,
            options: snapshot.options,
            security_level: snapshot.security_level,
            special: snapshot.special,
            pairs: snapshot.pairs.clone(),
            groups: list(|hello| hello.groups.as_ref()),
            signatures: list(|hello| hello.signatures.as_ref()),
            division,
            diffie_hellman,
        }
    }

    /// Whether a version is allowed.
    #[must_use]
    pub fn allows(&self, version: u16) -> bool {
        let off = if version == TLS12 { options::NO_TLS12 } else { options::NO_TLS13 };
        (self.min..=if self.max == 0 { u16::MAX } else { self.max }).contains(&version) && self.options & off == 0
    }

    /// Whether rustls may serve connections of this context at all.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, server: bool) -> Result<(), Reason> {
        if !LEVELS.contains(&self.security_level) {
            return Err(Reason::SecurityLevel);
        }
        if self.special || self.options & !KNOWN_OPTIONS != 0 {
            return Err(Reason::Options);
        }
        let versions: Vec<u16> = [TLS12, TLS13].into_iter().filter(|version| self.allows(*version)).collect();
        if versions.is_empty() {
            return Err(Reason::NoVersion);
        }
        // What a client offers it must be able to do: below 1.2, and with a version that has no suite of rustls', it cannot.
        if !server && self.min < TLS12 {
            return Err(Reason::LowMinimum);
        }
        if !self.suites.iter().any(|suite| provided::SUITES.contains(&suite.id) && versions.contains(&suite.since)) {
            return Err(Reason::NoSuite);
        }
        if !self.groups.iter().any(|group| provided::GROUPS.contains(group)) {
            return Err(Reason::NoGroup);
        }
        if self.pairs.iter().any(|pair| pair.key.is_none()) {
            return Err(Reason::EngineKey);
        }
        if server && !self.pairs.iter().any(can_sign) || !server && !self.pairs.iter().all(can_sign) {
            return Err(Reason::Key);
        }
        Ok(())
    }
}

/// Whether rustls signs with such a key.
fn can_sign(pair: &Pair) -> bool {
    match &pair.kind {
        KeyKind::Rsa(bits) => *bits >= provided::RSA_BITS,
        KeyKind::Ec(curve) => scheme::ECDSA.iter().any(|(_, name)| name == curve),
        KeyKind::Ed25519 => true,
        KeyKind::Other(_) => false,
    }
}

/// Whether it is known here when OpenSSL would take a key: one of another kind might serve a suite or a signature that is passed over.
fn judged(pair: &Pair) -> bool {
    !pair.compressed
        && match &pair.kind {
            KeyKind::Rsa(_) | KeyKind::Ed25519 => true,
            KeyKind::Ec(curve) => curve_group(curve).is_some(),
            KeyKind::Other(_) => false,
        }
}

/// Whose ticket it is, by the name of the key that it is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// rustls', of this context or of one that shares its keys.
    Ours,
    /// OpenSSL's, of this context: it can open it.
    OpenSsl,
    /// Nobody's that is still there: a full handshake by whomever.
    Nobody,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The version.
    pub version: u16,
    /// The suite.
    pub suite: u16,
    /// The group.
    pub group: u16,
    /// The client has sent no share of that group and is asked for one.
    pub retry: bool,
    /// The pair among the context's.
    pub pair: usize,
    /// The signature.
    pub scheme: u16,
    /// The protocol, if one was agreed on.
    pub protocol: Option<Vec<u8>>,
}

/// What OpenSSL would choose, if rustls can do it.
///
/// `protocols` are the server's, in its order; `issuer` tells whose a ticket is.
///
/// # Errors
/// Why the connection is OpenSSL's.
pub fn choose(context: &Context, hello: &Hello, protocols: Option<&[Vec<u8>]>, issuer: impl Fn(&[u8]) -> Issuer) -> Result<Choice, Reason> {
    if hello.max_fragment_length {
        return Err(Reason::FragmentLength);
    }
    let version = version(context, hello)?;
    let tickets = if version == TLS13 { hello.identities.as_deref().unwrap_or_default() } else { hello.ticket.as_slice() };
    if tickets.iter().any(|ticket| !ticket.is_empty() && issuer(ticket) == Issuer::OpenSsl) {
        return Err(Reason::ForeignTicket);
    }
    if !context.pairs.iter().all(judged) {
        return Err(Reason::Signature);
    }
    let protocol = protocol(protocols, hello)?;
    let (suite, (pair, scheme), (group, retry)) = if version == TLS13 { tls13(context, hello)? } else { tls12(context, hello)? };
    if !provided::GROUPS.contains(&group) {
        return Err(Reason::Group);
    }
    if !context.pairs.get(pair).is_some_and(can_sign) {
        return Err(Reason::Signature);
    }
    Ok(Choice { version, suite, group, retry, pair, scheme, protocol })
}

fn version(context: &Context, hello: &Hello) -> Result<u16, Reason> {
    let version = match &hello.versions {
        // A client of 1.3 whose old place says less than TLS is one that OpenSSL refuses.
        Some(_) if hello.version < 0x0301 => None,
        // Its order does not matter, and versions above are unknown to both.
        Some(versions) => [TLS13, TLS12].into_iter().find(|version| versions.contains(version) && context.allows(*version)),
        None => (hello.version >= TLS12 && context.allows(TLS12)).then_some(TLS12),
    };
    // Who has come down from 1.3 for no reason that a server of 1.3 knows of gets an alert.
    const FALLBACK: u16 = 0x5600;
    let version = version.filter(|version| *version == TLS13 || !context.allows(TLS13) || !hello.suites.contains(&FALLBACK));
    // Compression of old clients: in 1.3 an error, in 1.2 passed over.
    version.filter(|version| *version == TLS12 || !hello.compression).ok_or(Reason::Version)
}

fn protocol(ours: Option<&[Vec<u8>]>, hello: &Hello) -> Result<Option<Vec<u8>>, Reason> {
    let (Some(ours), Some(theirs)) = (ours, &hello.protocols) else { return Ok(None) };
    ours.iter().find(|protocol| theirs.contains(protocol)).cloned().map(Some).ok_or(Reason::Alpn)
}

/// The list that goes first and the one that it is looked up in.
pub(super) fn by_preference<'a, T: ?Sized>(context: &Context, ours: &'a T, theirs: &'a T) -> (&'a T, &'a T) {
    if context.options & options::SERVER_PREFERENCE == 0 { (theirs, ours) } else { (ours, theirs) }
}

type Chosen = (u16, (usize, u16), (u16, bool));

fn tls13(context: &Context, hello: &Hello) -> Result<Chosen, Reason> {
    // A client that resumes by a pre-shared key alone, or offers no way to, has its answer from OpenSSL.
    if hello.identities.is_some() && !hello.psk_modes.as_ref().is_some_and(|modes| modes.contains(&1)) {
        return Err(Reason::ForeignTicket);
    }
    let ours: Vec<u16> = context.suites.iter().filter(|suite| suite.since == TLS13).map(|suite| suite.id).collect();
    let (first, second) = by_preference(context, &ours[..], &hello.suites[..]);
    let suite = *first.iter().find(|suite| second.contains(suite)).ok_or(Reason::Suite)?;
    if !provided::SUITES.contains(&suite) {
        return Err(Reason::Suite);
    }
    let pair = shared_signatures(context, hello)?
        .into_iter()
        .filter(|signature| !scheme::RSA_PKCS1.contains(signature))
        .find_map(|signature| Some((context.pairs.iter().position(|pair| signs(pair, signature))?, signature)))
        .ok_or(Reason::Signature)?;
    Ok((suite, pair, groups::choose(context, hello)?))
}

/// Signatures that both have, in the order by which OpenSSL looks for one.
fn shared_signatures(context: &Context, hello: &Hello) -> Result<Vec<u16>, Reason> {
    // With a list for certificates, those that are sent have to be in it, and without any list the signature is SHA-1.
    let theirs = hello.signatures.as_ref().filter(|_| hello.certificate_signatures.is_none()).ok_or(Reason::Signature)?;
    let (first, second) = by_preference(context, &context.signatures, theirs);
    Ok(first.iter().copied().filter(|signature| second.contains(signature)).collect())
}

/// Whether rustls signs so with a key. It ties the digest to the curve, as TLS 1.3 does.
fn signs(pair: &Pair, signature: u16) -> bool {
    match &pair.kind {
        KeyKind::Rsa(_) => scheme::RSA_PSS.contains(&signature) || scheme::RSA_PKCS1.contains(&signature),
        KeyKind::Ec(curve) => scheme::ECDSA.iter().any(|(number, name)| *number == signature && name == curve),
        KeyKind::Ed25519 => signature == scheme::ED25519,
        KeyKind::Other(_) => false,
    }
}

/// Whether OpenSSL signs so with a key in TLS 1.2, where the digest goes with any curve, and weak ones may be allowed.
fn signs_before_13(pair: &Pair, signature: u16) -> bool {
    match &pair.kind {
        KeyKind::Rsa(_) => scheme::RSA_PSS.contains(&signature) || signature & 0xff == 1,
        KeyKind::Ec(_) => signature & 0xff == 3 || scheme::BRAINPOOL.contains(&signature),
        KeyKind::Ed25519 => signature == scheme::ED25519,
        KeyKind::Other(_) => false,
    }
}

fn tls12(context: &Context, hello: &Hello) -> Result<Chosen, Reason> {
    let theirs = hello.groups.as_ref().ok_or(Reason::Group)?;
    if hello.uncompressed_points == Some(false) {
        return Err(Reason::Group);
    }
    let signatures = shared_signatures(context, hello)?;
    let (first, second) = by_preference(context, &context.groups, theirs);
    // Those joined with ML-KEM, and Diffie-Hellman's, are no groups for curves of 1.2.
    let group = first.iter().find(|group| second.contains(group) && **group < 256).copied();
    // A certificate with a curve that the client has not named, or for which it has named no signature, is none for it.
    let valid = |pair: &&Pair| match &pair.kind {
        KeyKind::Ec(curve) => {
            pair.signs
                && curve_group(curve).is_some_and(|group| theirs.contains(&group))
                && signatures.iter().any(|signature| signs_before_13(pair, *signature))
        }
        KeyKind::Ed25519 => signatures.contains(&scheme::ED25519),
        _ => true,
    };
    let rsa = context.pairs.iter().filter(valid).any(|pair| matches!(pair.kind, KeyKind::Rsa(_)));
    let ecdsa = context.pairs.iter().filter(valid).any(|pair| matches!(pair.kind, KeyKind::Ec(_) | KeyKind::Ed25519));
    let usable = |suite: &&Suite| {
        suite.since <= TLS12
            && match suite.exchange {
                Exchange::Ecdhe => group.is_some(),
                Exchange::Dhe => context.diffie_hellman,
                Exchange::Rsa => rsa,
                Exchange::Any | Exchange::Other => false,
            }
            && match suite.authentication {
                Authentication::Rsa => rsa,
                Authentication::Ecdsa => ecdsa,
                // With a DSA key the context is not for rustls, and there was one above.
                Authentication::Dss | Authentication::Any | Authentication::Other => false,
                Authentication::None => true,
            }
    };
    let find = |id: &u16| context.suites.iter().find(|suite| suite.id == *id && hello.suites.contains(&suite.id)).filter(usable);
    let suite = if context.options & options::SERVER_PREFERENCE == 0 {
        hello.suites.iter().find_map(find)
    } else {
        context.suites.iter().map(|suite| &suite.id).find_map(find)
    };
    let suite = suite.filter(|suite| provided::SUITES.contains(&suite.id)).ok_or(Reason::Suite)?;
    let wanted = |pair: &Pair| match suite.authentication {
        Authentication::Rsa => matches!(pair.kind, KeyKind::Rsa(_)),
        _ => matches!(pair.kind, KeyKind::Ec(_) | KeyKind::Ed25519),
    };
    let (pair, signature) = signatures
        .iter()
        .find_map(|signature| {
            let place = context.pairs.iter().position(|pair| wanted(pair) && valid(&pair) && signs_before_13(pair, *signature))?;
            Some((place, *signature))
        })
        .ok_or(Reason::Signature)?;
    if !signs(&context.pairs[pair], signature) {
        return Err(Reason::Signature);
    }
    Ok((suite.id, (pair, signature), (group.ok_or(Reason::Group)?, false)))
}

/// The group that a curve is among those of a hello.
fn curve_group(curve: &str) -> Option<u16> {
    match curve {
        "prime256v1" => Some(23),
        "secp384r1" => Some(24),
        "secp521r1" => Some(25),
        _ => None,
    }
}
