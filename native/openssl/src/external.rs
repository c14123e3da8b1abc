//! From `context._external` to the `SSL_CTX` behind it.
//!
//! Node-API cannot unwrap that object: it expects a wrapper of its own in every external, and answers with what it finds in OpenSSL's memory
//! where that wrapper would be. V8's own method, which the executable exports, tells what Node has put in.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::table::{ExternalValue, OpenSsl, SslCtx};

/// The tag under which Node 26 stores its externals: V8's default one.
const DEFAULT_TAG: u16 = 0;

impl OpenSsl {
    /// The `SSL_CTX` of a secure context.
    ///
    /// # Safety
    /// `handle` is the `napi_value`, inside its handle scope and on the thread of its environment, of the property `_external` of a native
    /// secure context, and Node-API calls it an external. (A `napi_value` is V8's handle: the address of the slot.)
    #[must_use]
    pub unsafe fn context_of(&self, handle: *const c_void) -> Option<NonNull<SslCtx>> {
        // SAFETY: promised by the caller: V8 dereferences the handle, and the object is an external.
        let pointer = unsafe {
            match self.external {
                ExternalValue::Plain(value) => value(handle),
                ExternalValue::Tagged(value) => value(handle, DEFAULT_TAG),
            }
        };
        NonNull::new(pointer.cast())
    }
}
