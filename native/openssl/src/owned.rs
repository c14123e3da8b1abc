//! OpenSSL's objects with an owner, and its bytes as Rust's.

use std::ffi::{c_int, c_uchar, c_void};
use std::ptr::{self, NonNull};

use zeroize::Zeroizing;

use crate::table::{OpenSsl, Ssl, SslCtx, Stack, X509, X509StoreCtx};

/// A function of OpenSSL's that writes an object as DER: with a pointer to null it allocates.
type Encode<T> = unsafe extern "C" fn(*const T, *mut *mut c_uchar) -> c_int;

/// The DER form of an object.
///
/// # Safety
/// The object is alive and the function is for its type.
pub(crate) unsafe fn der<T>(openssl: &OpenSsl, encode: Encode<T>, object: *const T) -> Option<Vec<u8>> {
    // SAFETY: promised by the caller.
    unsafe { encoded(openssl, encode, object, |bytes| bytes.to_vec()) }
}

/// As [`der`], of what is secret: OpenSSL's copy is cleared before it is freed, and so is ours.
///
/// # Safety
/// As [`der`].
pub(crate) unsafe fn secret_der<T>(openssl: &OpenSsl, encode: Encode<T>, object: *const T) -> Option<Zeroizing<Vec<u8>>> {
    // SAFETY: promised by the caller.
    unsafe { encoded(openssl, encode, object, |bytes| Zeroizing::new(bytes.to_vec())) }
}

/// # Safety
/// As [`der`].
unsafe fn encoded<T, R>(openssl: &OpenSsl, encode: Encode<T>, object: *const T, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let mut memory: *mut c_uchar = ptr::null_mut();
    // SAFETY: promised by the caller; the pointer is a local that is null, which asks for memory of OpenSSL's.
    let length = unsafe { encode(object, &raw mut memory) };
    let length = usize::try_from(length).ok().filter(|length| *length > 0 && !memory.is_null())?;
    // SAFETY: so many bytes were written there, and nobody else has the pointer.
    let taken = take(unsafe { std::slice::from_raw_parts(memory, length) });
    // SAFETY: memory of OpenSSL's allocator, of that length, not used from here on; file and line may be left out. Cleared whatever it is: it
    // is not worth a second way.
    unsafe { (openssl.functions.CRYPTO_clear_free)(memory.cast(), length, ptr::null(), 0) };
    Some(taken)
}

/// The members of a list that somebody else owns, none for null.
///
/// # Safety
/// Null, or a list of this type whose members live as long as they are used.
pub(crate) unsafe fn members<T>(openssl: &OpenSsl, stack: *const Stack) -> Vec<NonNull<T>> {
    if stack.is_null() {
        return Vec::new();
    }
    // SAFETY: promised by the caller; places below the count exist.
    unsafe {
        let count = (openssl.functions.OPENSSL_sk_num)(stack);
        (0..count).filter_map(|place| NonNull::new((openssl.functions.OPENSSL_sk_value)(stack, place).cast())).collect()
    }
}

/// A temporary connection of a context. It shares what the context has and is never seen by Node.
pub(crate) struct Temporary<'a> {
    openssl: &'a OpenSsl,
    pub(crate) ssl: NonNull<Ssl>,
}

impl<'a> Temporary<'a> {
    /// # Safety
    /// The context is alive, and this is the thread that may change it.
    pub(crate) unsafe fn new(openssl: &'a OpenSsl, context: NonNull<SslCtx>) -> Option<Self> {
        // SAFETY: promised by the caller.
        let ssl = unsafe { (openssl.functions.SSL_new)(context.as_ptr()) };
        NonNull::new(ssl).map(|ssl| Self { openssl, ssl })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `new` and used by nobody else.
        unsafe { (self.openssl.functions.SSL_free)(self.ssl.as_ptr()) };
    }
}

/// Certificates of ours with the list of them.
pub(crate) struct Certificates<'a> {
    openssl: &'a OpenSsl,
    pub(crate) stack: NonNull<Stack>,
    members: Vec<NonNull<X509>>,
}

impl<'a> Certificates<'a> {
    /// Parses certificates; none if one of them is not exactly one.
    pub(crate) fn parse<B: AsRef<[u8]>>(openssl: &'a OpenSsl, chain: &[B]) -> Option<Self> {
        // SAFETY: takes nothing.
        let stack = NonNull::new(unsafe { (openssl.functions.OPENSSL_sk_new_null)() })?;
        // Made before the members, so that what there is of them is freed when one fails.
        let mut list = Self { openssl, stack, members: Vec::with_capacity(chain.len()) };
        for bytes in chain {
            let bytes = bytes.as_ref();
            let length = bytes.len().try_into().ok()?;
            let mut position = bytes.as_ptr();
            // SAFETY: so many bytes from there on; null asks for a new object.
            let parsed = unsafe { (openssl.functions.d2i_X509)(ptr::null_mut(), &raw mut position, length) };
            list.members.push(NonNull::new(parsed)?);
            // As lib/ssl has it: a certificate that is followed by something is no certificate.
            if position != bytes.as_ptr_range().end {
                return None;
            }
            // SAFETY: a list and an object of ours; it does not take the object over.
            if unsafe { (openssl.functions.OPENSSL_sk_push)(list.stack.as_ptr(), parsed.cast::<c_void>()) } <= 0 {
                return None;
            }
        }
        Some(list)
    }

    pub(crate) fn first(&self) -> Option<NonNull<X509>> {
        self.members.first().copied()
    }
}

impl Drop for Certificates<'_> {
    fn drop(&mut self) {
        // SAFETY: each object has one owner, this; the list is freed without its members.
        unsafe {
            for member in &self.members {
                (self.openssl.functions.X509_free)(member.as_ptr());
            }
            (self.openssl.functions.OPENSSL_sk_free)(self.stack.as_ptr());
        }
    }
}

/// One verification.
pub(crate) struct Verification<'a> {
    openssl: &'a OpenSsl,
    pub(crate) context: NonNull<X509StoreCtx>,
}

impl<'a> Verification<'a> {
    pub(crate) fn new(openssl: &'a OpenSsl) -> Option<Self> {
        // SAFETY: takes nothing.
        let context = unsafe { (openssl.functions.X509_STORE_CTX_new)() };
        NonNull::new(context).map(|context| Self { openssl, context })
    }
}

impl Drop for Verification<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `new` and used by nobody else.
        unsafe { (self.openssl.functions.X509_STORE_CTX_free)(self.context.as_ptr()) };
    }
}
