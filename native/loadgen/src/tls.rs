//! The client's side of TLS for the https cells, on rustls.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup, SignatureScheme};

use crate::args::{Args, bad};

/// Tickets kept at most: far more than one warm-up earns.
const TICKETS: usize = 100_000;
/// One full record with its framing, so that a record arrives in one read.
const RAW: usize = 17 * 1024;

/// What every connection of a run shares.
pub(crate) struct TlsSettings {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    tickets: Arc<Tickets>,
}

impl TlsSettings {
    /// `--tls CERTIFICATE.pem` turns TLS on, `--resume` keeps tickets for the window.
    pub(crate) fn new(args: &Args) -> io::Result<Option<Self>> {
        let Some(path) = args.text("tls") else {
            return Ok(None);
        };
        let certificate = CertificateDer::from_pem_file(path).map_err(|error| bad(format!("--tls {path}: {error}")))?;
        let provider = Arc::new(ring::default_provider());
        let pinned = Arc::new(Pinned { certificate, provider: Arc::clone(&provider) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_no_client_auth();
        let tickets = Arc::new(Tickets::default());
        config.resumption = if args.has("resume") { Resumption::store(Arc::clone(&tickets) as Arc<dyn ClientSessionStore>) } else { Resumption::disabled() };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        Ok(Some(Self { config: Arc::new(config), name, tickets }))
    }

    /// From now on new connections spend the tickets that were earned.
    pub(crate) fn spend_tickets(&self) {
        self.tickets.spending.store(true, Ordering::Relaxed);
    }

    /// A session for one new connection.
    pub(crate) fn session(&self) -> io::Result<TlsSession> {
        let config = Arc::clone(&self.config);
        let connection = ClientConnection::new(config, self.name.clone()).map_err(io::Error::other)?;
        Ok(TlsSession { connection: Box::new(connection), raw: vec![0; RAW].into_boxed_slice() })
    }
}

/// Accepts the one certificate the bench made and no other. The signature over the handshake is not checked: the peer is
/// our own child on the loopback interface, and the check would cost the shared processor more than the rest of a request.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("not the certificate of this bench".to_owned()))
        }
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Tickets earned by full handshakes during the warm-up and spent, each once, inside the window. Node sends two with a
/// full handshake and none with a resumed one, so a plain cache would answer every third connection with nothing.
#[derive(Debug, Default)]
struct Tickets {
    held: Mutex<Vec<Tls13ClientSessionValue>>,
    /// Relaxed: there is one thread, and atomic only because the trait shares the store.
    spending: AtomicBool,
}

/// TLS 1.3 only: the servers under test all speak it, and the sessions of 1.2 are not kept.
impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        if let Ok(mut held) = self.held.lock()
            && held.len() < TICKETS
        {
            held.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        if !self.spending.load(Ordering::Relaxed) {
            return None;
        }
        self.held.lock().ok()?.pop()
    }
}

/// One session: bytes in, bytes out. The socket stays with the transport.
pub(crate) struct TlsSession {
    connection: Box<ClientConnection>,
    raw: Box<[u8]>,
}

impl TlsSession {
    /// Plaintext that has arrived: `None` if there is none yet, zero after the peer's proper end.
    pub(crate) fn take(&mut self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match self.connection.reader().read(bytes) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads once through `receive` and works through the records that came.
    pub(crate) fn feed(&mut self, receive: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        let count = receive(&mut self.raw)?;
        let mut rest = &self.raw[..count];
        // An empty read is passed on as well: that is how rustls learns of the end.
        loop {
            self.connection.read_tls(&mut rest)?;
            self.connection.process_new_packets().map_err(io::Error::other)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes plaintext to be sent, before the handshake is over too.
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.writer().write(bytes)
    }

    /// Sends what the session has ready, as far as the kernel takes it.
    pub(crate) fn send(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if would_wait(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// The connection is still being made, or its buffer is full: an event will follow.
fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
