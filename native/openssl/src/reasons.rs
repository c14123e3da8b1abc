//! How this line words an error.

use std::ffi::c_ulong;
use std::ptr;
use std::sync::Once;

use crate::table::{OpenSsl, text};

/// `OPENSSL_INIT_LOAD_SSL_STRINGS`: without them, that is before Node's first context, every reason is unknown.
const LOAD_SSL_STRINGS: u64 = 0x0020_0000;
/// The number of lib/ssl among the libraries that have errors (`ERR_LIB_SSL`).
const LIBRARY: u32 = 20;
/// Where the number of the library stands in that of an error (`ERR_LIB_OFFSET`).
const LIBRARY_SHIFT: u32 = 23;
/// Alerts are reasons from here on (`SSL_AD_REASON_OFFSET`).
const ALERTS: u32 = 1000;

impl OpenSsl {
    /// The words of a reason of lib/ssl: `wrong version number`. They are what `reason` and, in capitals, `code` of Node's errors are made of,
    /// and differ between the lines.
    #[must_use]
    pub fn reason(&self, number: u32) -> Option<String> {
        static LOADED: Once = Once::new();
        // SAFETY: adds strings to a table that OpenSSL locks, and does nothing the second time; no settings.
        LOADED.call_once(|| unsafe {
            (self.functions.OPENSSL_init_ssl)(LOAD_SSL_STRINGS, ptr::null());
        });
        let error = (LIBRARY << LIBRARY_SHIFT) | number;
        // SAFETY: answers null or a string that stays.
        unsafe { text((self.functions.ERR_reason_error_string)(c_ulong::from(error))) }
    }

    /// The words of an alert that the peer sent, by its number in the protocol.
    #[must_use]
    pub fn alert(&self, number: u8) -> Option<String> {
        self.reason(ALERTS + u32::from(number))
    }
}
