//! What a secure context of Node's is configured to do, read once.

use std::ffi::{c_int, c_long, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::errors::Quiet;
use crate::owned::{Temporary, Verification, der, members, secret_der};
use crate::table::{OpenSsl, SslCipher, SslCtx, Stack, X509, X509Name, low, text};
use crate::verify::Trust;

/// Numbers of `SSL_CTX_ctrl` and `SSL_ctrl` (include/openssl/ssl.h), behind what is a macro there.
mod ctrl {
    use std::ffi::c_int;

    pub(super) const MODE: c_int = 33;
    pub(super) const GET_EXTRA_CHAIN: c_int = 82;
    pub(super) const CERT_FLAGS: c_int = 99;
    pub(super) const GET_CHAIN: c_int = 115;
    pub(super) const SET_CURRENT: c_int = 117;
    pub(super) const GET_MIN: c_int = 130;
    pub(super) const GET_MAX: c_int = 131;
}

/// `SSL_CERT_SET_FIRST` and `SSL_CERT_SET_NEXT`.
const FIRST: c_long = 1;
const NEXT: c_long = 2;
/// `SSL_MODE_NO_AUTO_CHAIN`.
const NO_AUTO_CHAIN: u32 = 8;
/// Any of the flags of suite B, and the strict mode: with them OpenSSL chooses by other rules.
const SPECIAL_CERT_FLAGS: u32 = 0x0003_0001;

/// `SSL_OP_…`, those that say what a context does.
pub mod options {
    /// `SSL_OP_NO_TICKET`.
    pub const NO_TICKET: u64 = 1 << 14;
    /// `SSL_OP_PRIORITIZE_CHACHA`.
    pub const PRIORITIZE_CHACHA: u64 = 1 << 21;
    /// `SSL_OP_CIPHER_SERVER_PREFERENCE`.
    pub const SERVER_PREFERENCE: u64 = 1 << 22;
    /// `SSL_OP_NO_TLSv1_2`.
    pub const NO_TLS12: u64 = 1 << 27;
    /// `SSL_OP_NO_TLSv1_3`.
    pub const NO_TLS13: u64 = 1 << 29;
}

/// How a suite agrees on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// TLS 1.3: apart from the suite.
    Any,
    /// Ephemeral elliptic curves, or what took their place among the groups.
    Ecdhe,
    /// Ephemeral Diffie-Hellman.
    Dhe,
    /// By the server's RSA key.
    Rsa,
    /// Pre-shared keys, passwords and others, for which Node must have been given something that makes the context one for OpenSSL.
    Other,
}

/// What a server shows with a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// TLS 1.3: apart from the suite.
    Any,
    /// A certificate with an RSA key.
    Rsa,
    /// One with an elliptic curve, Edwards' included.
    Ecdsa,
    /// One with a DSA key.
    Dss,
    /// Nothing.
    None,
    /// Pre-shared keys and others.
    Other,
}

/// A suite of a context's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its number in the protocol.
    pub id: u16,
    /// Its key exchange.
    pub exchange: Exchange,
    /// Its authentication.
    pub authentication: Authentication,
    /// The first version that has it: `0x0304` has no other, and older ones are for all below that.
    pub since: u16,
}

/// What a key is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, of so many bits.
    Rsa(u32),
    /// An elliptic curve, by OpenSSL's name of it.
    Ec(String),
    /// Ed25519.
    Ed25519,
    /// Any other, by OpenSSL's name: `RSA-PSS`, `DSA`, `ED448`, …
    Other(String),
}

/// A key with its certificates.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// What the key is.
    pub kind: KeyKind,
    /// The private key as PKCS#8, `None` where it cannot be read: it is in an engine or a provider.
    pub key: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// What is sent with it, the key's own certificate first.
    pub chain: Vec<Vec<u8>>,
    /// Whether the certificate allows signatures: it has no key usage, or that one.
    pub signs: bool,
    /// The certificate's point is written in compressed form, which a peer need not read.
    pub compressed: bool,
    /// The signature on the certificate, as OpenSSL's numbers of digest and key.
    pub signed_with: (c_int, c_int),
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_struct("Pair").field("kind", &self.kind).field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// A context, as it was when it was read.
///
/// Without keys for tickets: Node has its own, beside the `SSL_CTX`, and answers them to `getTicketKeys()`; those that OpenSSL would answer
/// are used by nobody.
pub struct Snapshot {
    /// OpenSSL's number for itself.
    pub openssl: u64,
    /// The suites in the order of preference, those of TLS 1.3 first.
    pub suites: Vec<Suite>,
    /// The lowest version, 0 for whatever there is.
    pub min: u16,
    /// The highest version, 0 for whatever there is.
    pub max: u16,
    /// `SSL_OP_…`.
    pub options: u64,
    /// The level of security.
    pub security_level: i32,
    /// Suite B or the strict mode is asked for.
    pub special: bool,
    /// Keys and certificates, in OpenSSL's order of kinds.
    pub pairs: Vec<Pair>,
    /// Seconds that a session may be resumed for.
    pub timeout: i64,
    /// Names of the authorities that a server asks a client's certificate of.
    pub authorities: Vec<Vec<u8>>,
    /// What is trusted.
    pub trust: Arc<Trust>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("min", &self.min).field("max", &self.max).field("pairs", &self.pairs).finish_non_exhaustive()
    }
}

/// Why a context could not be read: OpenSSL had no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl OpenSsl {
    /// Reads a context.
    ///
    /// # Safety
    /// The context is alive, and this is the thread that may change it: JavaScript's, of the environment that made it.
    ///
    /// # Errors
    /// Without memory.
    pub unsafe fn read(&'static self, context: NonNull<SslCtx>) -> Result<Snapshot, Unreadable> {
        let _quiet = Quiet::new(self);
        let functions = &self.functions;
        let at = context.as_ptr();
        // SAFETY: promised by the caller, here and below: getters, and flags that are set to what they are already.
        unsafe {
            let security_level = (functions.SSL_CTX_get_security_level)(at);
            let get = |number: c_int| (functions.SSL_CTX_ctrl)(at, number, 0, ptr::null_mut());
            let reader = Reader { openssl: self, context };
            Ok(Snapshot {
                openssl: self.version(),
                suites: reader.suites(),
                min: u16::try_from(get(ctrl::GET_MIN)).unwrap_or(0),
                max: u16::try_from(get(ctrl::GET_MAX)).unwrap_or(0),
                options: (functions.SSL_CTX_get_options)(at),
                security_level,
                special: low(get(ctrl::CERT_FLAGS)) & SPECIAL_CERT_FLAGS != 0,
                pairs: reader.pairs(low(get(ctrl::MODE)) & NO_AUTO_CHAIN == 0).ok_or(Unreadable)?,
                timeout: (functions.SSL_CTX_get_timeout)(at),
                authorities: members::<X509Name>(self, (functions.SSL_CTX_get_client_CA_list)(at))
                    .into_iter()
                    .filter_map(|name| der(self, functions.i2d_X509_NAME, name.as_ptr()))
                    .collect(),
                trust: Arc::new(Trust::of(self, context, security_level).ok_or(Unreadable)?),
            })
        }
    }
}

/// One reading. Its methods have the contract of [`OpenSsl::read`].
struct Reader {
    openssl: &'static OpenSsl,
    context: NonNull<SslCtx>,
}

impl Reader {
    /// # Safety
    /// As [`OpenSsl::read`].
    unsafe fn suites(&self) -> Vec<Suite> {
        // SAFETY: the list is the context's, its members are constants of the library.
        unsafe {
            let stack = (self.openssl.functions.SSL_CTX_get_ciphers)(self.context.as_ptr());
            members::<SslCipher>(self.openssl, stack).into_iter().map(|cipher| self.suite(cipher)).collect()
        }
    }

    /// # Safety
    /// A constant of the library's.
    unsafe fn suite(&self, cipher: NonNull<SslCipher>) -> Suite {
        let functions = &self.openssl.functions;
        // SAFETY: promised by the caller. The numbers below are those of include/openssl/obj_mac.h, which never change.
        unsafe {
            let version = text((functions.SSL_CIPHER_get_version)(cipher.as_ptr()));
            Suite {
                id: (functions.SSL_CIPHER_get_protocol_id)(cipher.as_ptr()),
                exchange: match (functions.SSL_CIPHER_get_kx_nid)(cipher.as_ptr()) {
                    1063 => Exchange::Any,
                    1038 => Exchange::Ecdhe,
                    1039 => Exchange::Dhe,
                    1037 => Exchange::Rsa,
                    _ => Exchange::Other,
                },
                authentication: match (functions.SSL_CIPHER_get_auth_nid)(cipher.as_ptr()) {
                    1064 => Authentication::Any,
                    1046 => Authentication::Rsa,
                    1047 => Authentication::Ecdsa,
                    1049 => Authentication::Dss,
                    1053 => Authentication::None,
                    _ => Authentication::Other,
                },
                since: match version.as_deref() {
                    Some("TLSv1.3") => 0x0304,
                    Some("TLSv1.2") => 0x0303,
                    Some("TLSv1.1") => 0x0302,
                    // Those that SSL 3 had are said to be of it; TLS 1.0 is the first that a context can be asked for.
                    _ => 0x0301,
                },
            }
        }
    }

    /// Every key, walked through on a temporary connection, lest the context's own current one move.
    ///
    /// # Safety
    /// As [`OpenSsl::read`].
    unsafe fn pairs(&self, auto_chain: bool) -> Option<Vec<Pair>> {
        let functions = &self.openssl.functions;
        let mut pairs = Vec::new();
        // SAFETY: the connection is ours, and what it answers belongs to it or to the context, which outlive the use here.
        unsafe {
            let temporary = Temporary::new(self.openssl, self.context)?;
            let ssl = temporary.ssl.as_ptr();
            let mut which = FIRST;
            while (functions.SSL_ctrl)(ssl, ctrl::SET_CURRENT, which, ptr::null_mut()) > 0 {
                which = NEXT;
                let (Some(certificate), Some(key)) = (NonNull::new((functions.SSL_get_certificate)(ssl)), NonNull::new((functions.SSL_get_privatekey)(ssl)))
                else {
                    continue;
                };
                let mut sent: *mut Stack = ptr::null_mut();
                (functions.SSL_ctrl)(ssl, ctrl::GET_CHAIN, 0, (&raw mut sent).cast::<c_void>());
                if sent.is_null() {
                    // Those of the whole context, where they were given to it and not to a key.
                    (functions.SSL_CTX_ctrl)(self.context.as_ptr(), ctrl::GET_EXTRA_CHAIN, 1, (&raw mut sent).cast::<c_void>());
                }
                let chain = if sent.is_null() && auto_chain {
                    self.built_chain(certificate)?
                } else {
                    let mut chain = vec![der(self.openssl, functions.i2d_X509, certificate.as_ptr())?];
                    for member in members::<X509>(self.openssl, sent) {
                        chain.push(der(self.openssl, functions.i2d_X509, member.as_ptr())?);
                    }
                    chain
                };
                pairs.push(self.pair(certificate, key, chain));
            }
        }
        Some(pairs)
    }

    /// What is sent with a certificate that was given alone: as much of a chain as the context's own store has (`ssl_add_cert_chain` of
    /// OpenSSL's ssl/statem/statem_lib.c). Whether it is trusted does not matter there.
    ///
    /// # Safety
    /// As [`OpenSsl::read`], with a certificate of the context's.
    unsafe fn built_chain(&self, certificate: NonNull<X509>) -> Option<Vec<Vec<u8>>> {
        let functions = &self.openssl.functions;
        let verification = Verification::new(self.openssl)?;
        let context = verification.context.as_ptr();
        // SAFETY: promised by the caller; the chain belongs to the verification.
        unsafe {
            let store = (functions.SSL_CTX_get_cert_store)(self.context.as_ptr());
            if (functions.X509_STORE_CTX_init)(context, store, certificate.as_ptr(), ptr::null_mut()) <= 0 {
                return None;
            }
            (functions.X509_verify_cert)(context);
            members::<X509>(self.openssl, (functions.X509_STORE_CTX_get0_chain)(context))
                .into_iter()
                .map(|member| der(self.openssl, functions.i2d_X509, member.as_ptr()))
                .collect()
        }
    }

    /// # Safety
    /// As [`OpenSsl::read`], with a pair of the context's.
    unsafe fn pair(&self, certificate: NonNull<X509>, key: NonNull<crate::table::EvpPkey>, chain: Vec<Vec<u8>>) -> Pair {
        /// `KU_DIGITAL_SIGNATURE`; without the extension every bit is set.
        const DIGITAL_SIGNATURE: u32 = 0x80;
        /// `POINT_CONVERSION_COMPRESSED`.
        const COMPRESSED: c_int = 2;
        let functions = &self.openssl.functions;
        // SAFETY: promised by the caller; locals; what is converted is freed here.
        unsafe {
            let kind = self.kind(key);
            let form = (functions.EVP_PKEY_get_ec_point_conv_form)((functions.X509_get0_pubkey)(certificate.as_ptr()));
            let (mut digest, mut signer) = (0, 0);
            (functions.X509_get_signature_info)(certificate.as_ptr(), &raw mut digest, &raw mut signer, ptr::null_mut(), ptr::null_mut());
            let secret = NonNull::new((functions.EVP_PKEY2PKCS8)(key.as_ptr()));
            let bytes = secret.and_then(|secret| {
                let bytes = secret_der(self.openssl, functions.i2d_PKCS8_PRIV_KEY_INFO, secret.as_ptr());
                (functions.PKCS8_PRIV_KEY_INFO_free)(secret.as_ptr());
                bytes
            });
            Pair {
                compressed: matches!(kind, KeyKind::Ec(_)) && form == COMPRESSED,
                kind,
                key: bytes.map(Arc::new),
                chain,
                signs: (functions.X509_get_key_usage)(certificate.as_ptr()) & DIGITAL_SIGNATURE != 0,
                signed_with: (digest, signer),
            }
        }
    }

    /// # Safety
    /// As [`OpenSsl::read`], with a key of the context's.
    unsafe fn kind(&self, key: NonNull<crate::table::EvpPkey>) -> KeyKind {
        let functions = &self.openssl.functions;
        // SAFETY: promised by the caller; the name is written into a local, whose size is told.
        unsafe {
            let name = text((functions.EVP_PKEY_get0_type_name)(key.as_ptr())).unwrap_or_default();
            match name.as_str() {
                "RSA" => KeyKind::Rsa(u32::try_from((functions.EVP_PKEY_get_bits)(key.as_ptr())).unwrap_or(0)),
                "EC" => {
                    let (mut group, mut length) = ([0_u8; 64], 0);
                    (functions.EVP_PKEY_get_group_name)(key.as_ptr(), group.as_mut_ptr().cast(), group.len(), &raw mut length);
                    KeyKind::Ec(String::from_utf8_lossy(&group[..length.min(group.len())]).into_owned())
                }
                "ED25519" => KeyKind::Ed25519,
                _ => KeyKind::Other(name),
            }
        }
    }
}
