//! What this process's OpenSSL says of a chain of certificates, in the words of a handshake on plain Node.
//!
//! Follows `ssl_verify_cert_chain` of OpenSSL's ssl/ssl_cert.c, with the callback that Node sets: it answers 1 to everything, so that the
//! handshake goes on and the *last* error is what `verifyError()` tells.

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use crate::codes;
use crate::errors::Quiet;
use crate::gate;
use crate::owned::{Certificates, Verification};
use crate::table::{OpenSsl, SslCtx, X509Store, X509StoreCtx, X509VerifyParam, text};

/// Which end of the connection looks at the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client, at a server's.
    Client,
    /// A server, at a client's.
    Server,
}

/// What a verification came to: OpenSSL's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict(pub c_int);

impl Verdict {
    /// The chain is trusted.
    pub const OK: Self = Self(0);

    /// Node's name for it, `None` where the chain is trusted.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        (self != Self::OK).then(|| codes::name(self.0))
    }
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// What the peer sent is no certificate; OpenSSL ends such a handshake with `decode_error`.
    Malformed,
    /// The process ends: see [`gate`].
    Ending,
    /// OpenSSL is out of memory.
    Memory,
}

/// What a context trusts, and how strictly. The store is the context's own: what Node adds to it later counts here too.
pub struct Trust {
    openssl: &'static OpenSsl,
    store: NonNull<X509Store>,
    /// A copy of the context's.
    parameters: NonNull<X509VerifyParam>,
    security_level: c_int,
}

// SAFETY: the store counts its owners atomically and locks what it looks up; the parameters are read and never written once made; what
// frees either goes through the gate.
unsafe impl Send for Trust {}
// SAFETY: as above.
unsafe impl Sync for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("security_level", &self.security_level).finish_non_exhaustive()
    }
}

impl Trust {
    /// # Safety
    /// The context is alive, and this is the thread that may change it.
    pub(crate) unsafe fn of(openssl: &'static OpenSsl, context: NonNull<SslCtx>, security_level: c_int) -> Option<Self> {
        let functions = &openssl.functions;
        // SAFETY: promised by the caller. The context keeps both of what it answers; the store is counted up before it is kept, and the
        // parameters are copied into ours, which `Self` frees.
        unsafe {
            let parameters = NonNull::new((functions.X509_VERIFY_PARAM_new)())?;
            let store = (functions.SSL_CTX_get_cert_store)(context.as_ptr());
            let counted = NonNull::new(store).filter(|store| (functions.X509_STORE_up_ref)(store.as_ptr()) > 0);
            let Some(store) = counted else {
                (functions.X509_VERIFY_PARAM_free)(parameters.as_ptr());
                return None;
            };
            let trust = Self { openssl, store, parameters, security_level };
            let original = (functions.SSL_CTX_get0_param)(context.as_ptr());
            ((functions.X509_VERIFY_PARAM_set1)(parameters.as_ptr(), original) > 0).then_some(trust)
        }
    }

    /// Judges what a peer sent, its own certificate first. On any thread; takes as long as some signatures take to check.
    ///
    /// # Errors
    /// There is nothing to judge, or nobody left to be told.
    pub fn judge<B: AsRef<[u8]>>(&self, role: Role, chain: &[B]) -> Result<Verdict, Unverified> {
        let _pass = gate::enter().ok_or(Unverified::Ending)?;
        let _quiet = Quiet::new(self.openssl);
        let certificates = Certificates::parse(self.openssl, chain).ok_or(Unverified::Malformed)?;
        let leaf = certificates.first().ok_or(Unverified::Malformed)?;
        let verification = Verification::new(self.openssl).ok_or(Unverified::Memory)?;
        let (functions, context) = (&self.openssl.functions, verification.context.as_ptr());
        let purpose = match role {
            Role::Client => c"ssl_server",
            Role::Server => c"ssl_client",
        };
        // SAFETY: everything that the verification is given (store, certificates, list) is held by `self` and by locals that are dropped
        // behind it: locals go in the reverse of their order.
        unsafe {
            if (functions.X509_STORE_CTX_init)(context, self.store.as_ptr(), leaf.as_ptr(), certificates.stack.as_ptr()) <= 0 {
                return Err(Unverified::Memory);
            }
            let parameters = (functions.X509_STORE_CTX_get0_param)(context);
            (functions.X509_VERIFY_PARAM_set_auth_level)(parameters, self.security_level);
            (functions.X509_STORE_CTX_set_default)(context, purpose.as_ptr());
            (functions.X509_VERIFY_PARAM_set1)(parameters, self.parameters.as_ptr());
            (functions.X509_STORE_CTX_set_verify_cb)(context, go_on);
            let result = (functions.X509_verify_cert)(context);
            let error = (functions.X509_STORE_CTX_get_error)(context);
            // Out of memory, or a key that cannot be read, end it without an error of the chain's: that is no acceptance.
            Ok(Verdict(if result <= 0 && error == Verdict::OK.0 { codes::UNSPECIFIED } else { error }))
        }
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        // Behind the end of the process both are the library's to clean up, or nobody's.
        let Some(_pass) = gate::enter() else { return };
        // SAFETY: counted up, and made, for `self` alone.
        unsafe {
            (self.openssl.functions.X509_STORE_free)(self.store.as_ptr());
            (self.openssl.functions.X509_VERIFY_PARAM_free)(self.parameters.as_ptr());
        }
    }
}

extern "C" fn go_on(_ok: c_int, _context: *mut X509StoreCtx) -> c_int {
    1
}

impl OpenSsl {
    /// OpenSSL's sentence for a verdict, which Node takes for the message of the error. JavaScript's thread.
    #[must_use]
    pub fn sentence(&self, verdict: Verdict) -> String {
        // SAFETY: any number is answered: by a constant, or by a buffer of this call's kind that nobody else writes on this thread.
        unsafe { text((self.functions.X509_verify_cert_error_string)(verdict.0.into())) }.unwrap_or_default()
    }
}
