//! The hello that a context would send as a client: the one place where its groups and signature algorithms can be read.

use std::ptr::NonNull;

use crate::errors::Quiet;
use crate::owned::Temporary;
use crate::table::{OpenSsl, SslCtx};

/// Room for one: with the default lists it has some 500 bytes, and 1,700 with a share of ML-KEM.
const ROOM: usize = 16 * 1024;

impl OpenSsl {
    /// The record with the ClientHello that a connection of this context would begin with, `None` where it would not begin. It costs as much
    /// as making the key shares.
    ///
    /// Configured groups and signature algorithms have no getter. They have a place in this message, in order, and whatever set them (a
    /// method, a configuration file, a policy of the distribution) is in it. Callbacks of Node's take an `SSL` for one of theirs; none of
    /// them is reached before an answer came, and none comes.
    ///
    /// # Safety
    /// The context is alive, and this is the thread that may change it.
    #[must_use]
    pub unsafe fn client_hello(&self, context: NonNull<SslCtx>) -> Option<Vec<u8>> {
        let _quiet = Quiet::new(self);
        let functions = &self.functions;
        // SAFETY: promised by the caller.
        let temporary = unsafe { Temporary::new(self, context) }?;
        let ssl = temporary.ssl.as_ptr();
        let mut bytes = vec![0_u8; ROOM];
        // SAFETY: both memories go to the connection, which frees them; the one that is read here is alive as long as it.
        let length = unsafe {
            let (input, output) = ((functions.BIO_new)((functions.BIO_s_mem)()), (functions.BIO_new)((functions.BIO_s_mem)()));
            if input.is_null() || output.is_null() {
                // Null is allowed here.
                (functions.BIO_free)(input);
                (functions.BIO_free)(output);
                return None;
            }
            (functions.SSL_set_bio)(ssl, input, output);
            (functions.SSL_set_connect_state)(ssl);
            // It wants to read in the end, which is no success: what it wrote tells.
            (functions.SSL_do_handshake)(ssl);
            (functions.BIO_read)(output, bytes.as_mut_ptr().cast(), i32::try_from(bytes.len()).unwrap_or(i32::MAX))
        };
        bytes.truncate(usize::try_from(length).ok().filter(|length| *length > 0)?);
        // An alert is an answer too, to itself: no suite or no version that it could offer.
        (bytes.first() == Some(&HANDSHAKE)).then_some(bytes)
    }
}

/// The kind of a record with a handshake message in it.
const HANDSHAKE: u8 = 22;
