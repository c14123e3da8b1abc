//! Why a connection is served by OpenSSL rather than by rustls: every reason there is, counted under these names.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $moment:ident;)*) => {
        /// A reason for OpenSSL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Reason {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in counters and reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it shows.
            #[must_use]
            pub fn moment(self) -> Moment {
                match self { $(Self::$variant => Moment::$moment,)* }
            }
        }
    };
}

/// When it shows that a connection is one for OpenSSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the program asks for TLS on a socket, from the context and the options.
    Wrap,
    /// On a server, when the ClientHello is there.
    Hello,
    /// On a client, when an attempt by rustls has failed.
    Failure,
}

reasons! {
    /// `TSLOOP_TLS=openssl`.
    Asked = "asked", Wrap;
    /// The process is in FIPS mode.
    Fips = "fips", Wrap;
    /// OpenSSL's functions are not to be had, or are of another major version or library.
    NoOracle = "no-oracle", Wrap;
    /// The transport is no stream of the reactor's: a Duplex, TLS in TLS, a descriptor of a late process.
    Transport = "transport", Wrap;
    /// Pre-shared keys.
    PreSharedKey = "psk", Wrap;
    /// Traces of the protocol.
    Trace = "trace", Wrap;
    /// A key in an engine, or one that cannot be read.
    EngineKey = "engine-key", Wrap;
    /// Configured signature algorithms.
    ConfiguredSignatures = "sigalgs", Wrap;
    /// Compressed certificates.
    CertificateCompression = "certificate-compression", Wrap;
    /// Listeners for sessions: a program's own store.
    SessionStore = "session-store", Wrap;
    /// A level of security at which OpenSSL has other rules than rustls: 0, or 3 and above.
    SecurityLevel = "security-level", Wrap;
    /// Options beyond versions, tickets and order; suite B.
    Options = "options", Wrap;
    /// No suite of the list is in rustls.
    NoSuite = "no-suite", Wrap;
    /// Neither TLS 1.2 nor 1.3.
    NoVersion = "no-version", Wrap;
    /// No group of the list is in rustls, or the list cannot be read.
    NoGroup = "no-group", Wrap;
    /// No key is in rustls: none at all on a server, DSA, Ed448, RSA-PSS, RSA below 2,048 bits, other curves.
    Key = "key", Wrap;
    /// A client that may go below TLS 1.2.
    LowMinimum = "low-minimum", Wrap;
    /// A client with a session that OpenSSL made.
    ForeignSession = "foreign-session", Wrap;
    /// A client whose peer is known to need OpenSSL.
    KnownPeer = "known-peer", Wrap;
    /// A client on a socket that was used before, whose peer is not known yet.
    UnknownPeer = "unknown-peer", Wrap;
    /// What came first is not TLS.
    NotTls = "not-tls", Hello;
    /// The ClientHello is malformed.
    Malformed = "malformed", Hello;
    /// The ClientHello is larger than is held.
    Oversized = "oversized", Hello;
    /// OpenSSL would choose a version below 1.2, or refuse.
    Version = "version", Hello;
    /// OpenSSL would choose a suite that is not in rustls, or refuse.
    Suite = "suite", Hello;
    /// OpenSSL would choose a group that is not in rustls, or one that cannot be foretold.
    Group = "group", Hello;
    /// OpenSSL would choose a signature or a certificate that is not in rustls, or refuse.
    Signature = "signature", Hello;
    /// No common protocol, which is an alert.
    Alpn = "alpn", Hello;
    /// A ticket that OpenSSL issued.
    ForeignTicket = "foreign-ticket", Hello;
    /// The client wants smaller records.
    FragmentLength = "max-fragment-length", Hello;
    /// The peer refused or broke off an attempt, or chose what rustls cannot follow.
    Failed = "failed", Failure;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_has_a_place_and_a_name_of_its_own() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place, "a counter is found by the number");
        }
    }
}
