//! One TLS connection without its socket: bytes in, bytes out.
//!
//! [`Session`] is what the reactor works with, and says nothing of who is behind it. The only one behind it now is rustls 0.23; its connection
//! types are named in this file and nowhere else, since 0.24 replaces them.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, Connection, Error, HandshakeKind, InvalidMessage, PeerIncompatible, PeerMisbehaved, ServerConfig, ServerConnection,
};

/// A connection: it does no input or output, and nothing but [`Session::take`] takes long.
pub trait Session: Send + fmt::Debug {
    /// Takes what came from the peer, and does what there is to do with it. Answers how many bytes it took: fewer than all where plaintext has
    /// to be read first.
    ///
    /// A step of the handshake, which may take a millisecond or several. What has to be sent, an alert included, is in
    /// [`Session::records`] afterwards, whatever is answered.
    ///
    /// # Errors
    /// The connection is over.
    fn take(&mut self, ciphertext: &[u8]) -> Result<usize, Failure>;

    /// Reads plaintext, as much as there is and fits.
    fn read(&mut self, into: &mut [u8]) -> usize;

    /// Seals plaintext. What is sealed before the handshake is over leaves after it.
    fn seal(&mut self, plaintext: &[u8]);

    /// Appends what has to be sent.
    fn records(&mut self, into: &mut Vec<u8>);

    /// Says that no more will be sent.
    fn close(&mut self);

    /// How it stands.
    fn state(&self) -> State;

    /// What was agreed on, once the handshake is over.
    fn facts(&self) -> Option<Facts>;

    /// Keys for other uses, derived from this connection's. False before the end of the handshake.
    fn export(&self, into: &mut [u8], label: &[u8], context: Option<&[u8]>) -> bool;
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The handshake is not over.
    pub handshaking: bool,
    /// It waits for the peer.
    pub wants_read: bool,
    /// There is something to send.
    pub wants_write: bool,
    /// There is plaintext to read.
    pub plaintext: bool,
    /// The peer said that it will send no more.
    pub ended: bool,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version.
    pub version: u16,
    /// The suite.
    pub suite: u16,
    /// The group, 0 where a session of TLS 1.2 was resumed without one.
    pub group: u16,
    /// The protocol.
    pub protocol: Option<Vec<u8>>,
    /// A session was resumed.
    pub reused: bool,
    /// The peer's certificates, its own first.
    pub chain: Vec<Vec<u8>>,
}

/// Why a connection is over, in OpenSSL's numbers: they have names and words in the process, and another engine has them already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `SSL_R_…`; for an alert of the peer's 1000 and its number.
    pub reason: u32,
}

impl Failure {
    /// The alert, where it was one of the peer's that ended it.
    #[must_use]
    pub fn alert(self) -> Option<u8> {
        self.reason.checked_sub(reason::ALERTS).and_then(|number| u8::try_from(number).ok())
    }
}

/// `SSL_R_…` of include/openssl/sslerr.h.
mod reason {
    pub(super) const BAD_EXTENSION: u32 = 110;
    pub(super) const BAD_KEY_SHARE: u32 = 108;
    pub(super) const NO_SUITABLE_SIGNATURE_ALGORITHM: u32 = 118;
    pub(super) const BAD_SIGNATURE: u32 = 123;
    pub(super) const CERTIFICATE_VERIFY_FAILED: u32 = 134;
    pub(super) const DATA_LENGTH_TOO_LONG: u32 = 146;
    pub(super) const LENGTH_MISMATCH: u32 = 159;
    pub(super) const NO_SHARED_CIPHER: u32 = 193;
    pub(super) const PEER_DID_NOT_RETURN_A_CERTIFICATE: u32 = 199;
    pub(super) const NO_APPLICATION_PROTOCOL: u32 = 235;
    pub(super) const UNEXPECTED_MESSAGE: u32 = 244;
    pub(super) const UNEXPECTED_RECORD: u32 = 245;
    pub(super) const UNSUPPORTED_PROTOCOL: u32 = 258;
    pub(super) const WRONG_VERSION_NUMBER: u32 = 267;
    pub(super) const DECRYPTION_FAILED_OR_BAD_RECORD_MAC: u32 = 281;
    pub(super) const NO_SUITABLE_GROUPS: u32 = 295;
    pub(super) const WRONG_SIGNATURE_TYPE: u32 = 370;
    /// `ERR_R_INTERNAL_ERROR`.
    pub(super) const INTERNAL_ERROR: u32 = 259 | 0x3 << 18;
    pub(super) const ALERTS: u32 = 1000;
}

/// What OpenSSL would call it. What it has many words for has the most general of them here.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::AlertReceived(alert) => reason::ALERTS + u32::from(u8::from(alert)),
            Error::NoApplicationProtocol => reason::NO_APPLICATION_PROTOCOL,
            Error::NoCertificatesPresented => reason::PEER_DID_NOT_RETURN_A_CERTIFICATE,
            Error::DecryptError => reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
            Error::PeerSentOversizedRecord => reason::DATA_LENGTH_TOO_LONG,
            Error::InappropriateMessage { .. } => reason::UNEXPECTED_RECORD,
            Error::InappropriateHandshakeMessage { .. } => reason::UNEXPECTED_MESSAGE,
            Error::InvalidCertificate(rustls::CertificateError::BadSignature) => reason::BAD_SIGNATURE,
            Error::InvalidCertificate(_) => reason::CERTIFICATE_VERIFY_FAILED,
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => reason::WRONG_VERSION_NUMBER,
            Error::InvalidMessage(InvalidMessage::MessageTooLarge) => reason::DATA_LENGTH_TOO_LONG,
            Error::InvalidMessage(_) => reason::LENGTH_MISMATCH,
            Error::PeerIncompatible(incompatible) => match incompatible {
                PeerIncompatible::NoCipherSuitesInCommon => reason::NO_SHARED_CIPHER,
                PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => reason::NO_SUITABLE_GROUPS,
                PeerIncompatible::NoSignatureSchemesInCommon | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
                    reason::NO_SUITABLE_SIGNATURE_ALGORITHM
                }
                PeerIncompatible::KeyShareExtensionRequired => reason::BAD_KEY_SHARE,
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled => reason::UNSUPPORTED_PROTOCOL,
                _ => reason::BAD_EXTENSION,
            },
            Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => reason::WRONG_SIGNATURE_TYPE,
            Error::PeerMisbehaved(_) => reason::UNEXPECTED_MESSAGE,
            _ => reason::INTERNAL_ERROR,
        };
        Self { reason }
    }
}

/// A session of rustls'.
pub struct Rustls {
    connection: Connection,
    /// Bytes of plaintext that wait to be read.
    waiting: usize,
    /// The peer has said its last word.
    ended: bool,
    /// What was to be sent when it failed.
    last: Vec<u8>,
}

impl fmt::Debug for Rustls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rustls").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Rustls {
    /// A server's, which takes the held hello first.
    ///
    /// # Errors
    /// The configuration is none.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Failure> {
        Ok(Self::new(ServerConnection::new(config)?.into()))
    }

    /// A client's. The name is what is sent, if any is, and under which sessions are kept.
    ///
    /// # Errors
    /// The configuration is none, or its random source.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Failure> {
        Ok(Self::new(ClientConnection::new(config, name)?.into()))
    }

    fn new(mut connection: Connection) -> Self {
        // The reactor counts what it hands over and what waits to be sent.
        connection.set_buffer_limit(None);
        Self { connection, waiting: 0, ended: false, last: Vec::new() }
    }

    /// What a failure is called, with the alert that OpenSSL would send.
    fn failed(&mut self, error: Error) -> Failure {
        /// The record of an alert that is fatal, and that a certificate is required: a number of TLS 1.3, which rustls uses in 1.2 as well.
        const REQUIRED: [u8; 7] = [21, 3, 3, 0, 2, 2, 116];
        const HANDSHAKE_FAILURE: u8 = 40;
        let mut last = std::mem::take(&mut self.last);
        self.records(&mut last);
        if error == Error::NoCertificatesPresented
            && self.connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2)
            && last.ends_with(&REQUIRED)
            && let Some(number) = last.last_mut()
        {
            *number = HANDSHAKE_FAILURE;
        }
        self.last = last;
        error.into()
    }
}

impl Session for Rustls {
    fn take(&mut self, ciphertext: &[u8]) -> Result<usize, Failure> {
        let mut rest = ciphertext;
        while !rest.is_empty() {
            match self.connection.read_tls(&mut rest) {
                // Behind its last word a peer may say what it likes.
                Ok(0) => return Ok(ciphertext.len()),
                Ok(_) => {
                    let state = self.connection.process_new_packets().map_err(|error| self.failed(error))?;
                    self.waiting = state.plaintext_bytes_to_read();
                    self.ended = state.peer_has_closed();
                }
                // Of a slice there is one error: as much plaintext waits as may.
                Err(_) => break,
            }
        }
        Ok(ciphertext.len() - rest.len())
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        // Nothing to read is an error to rustls, as on a socket that does not block.
        let count = self.connection.reader().read(into).unwrap_or(0);
        self.waiting = self.waiting.saturating_sub(count);
        count
    }

    fn seal(&mut self, plaintext: &[u8]) {
        // Without a limit everything is taken.
        let taken = self.connection.writer().write_all(plaintext);
        debug_assert!(taken.is_ok());
    }

    fn records(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.last);
        while self.connection.wants_write() {
            // A vector takes everything.
            if self.connection.write_tls(into).is_err() {
                break;
            }
        }
    }

    fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn state(&self) -> State {
        State {
            handshaking: self.connection.is_handshaking(),
            wants_read: self.connection.wants_read(),
            wants_write: self.connection.wants_write() || !self.last.is_empty(),
            plaintext: self.waiting > 0,
            ended: self.ended,
        }
    }

    fn facts(&self) -> Option<Facts> {
        let connection = &self.connection;
        if connection.is_handshaking() {
            return None;
        }
        Some(Facts {
            version: connection.protocol_version()?.into(),
            suite: connection.negotiated_cipher_suite()?.suite().into(),
            group: connection.negotiated_key_exchange_group().map_or(0, |group| group.name().into()),
            protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            reused: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            chain: connection.peer_certificates().unwrap_or_default().iter().map(|certificate| certificate.to_vec()).collect(),
        })
    }

    fn export(&self, into: &mut [u8], label: &[u8], context: Option<&[u8]>) -> bool {
        self.connection.export_keying_material(into, label, context).is_ok()
    }
}
