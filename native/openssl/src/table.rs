//! The functions of the process's OpenSSL, looked up once by name.

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_uint, c_void};
use std::fmt;
use std::sync::OnceLock;

use crate::gate;

/// The major version whose functions, numbers and rules this crate knows.
const MAJOR: u64 = 3;

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! {
    /// `SSL_CTX`: what a secure context of Node's stands for.
    SslCtx,
    /// `SSL`: one connection; here only temporary ones.
    Ssl,
    /// `SSL_CIPHER`: a constant of the library's.
    SslCipher,
    /// `X509`: a certificate.
    X509,
    /// `X509_NAME`: a distinguished name.
    X509Name,
    /// `X509_STORE`: what is trusted.
    X509Store,
    /// `X509_STORE_CTX`: one verification.
    X509StoreCtx,
    /// `X509_VERIFY_PARAM`: how strictly.
    X509VerifyParam,
    /// `EVP_PKEY`: a key.
    EvpPkey,
    /// `PKCS8_PRIV_KEY_INFO`: a private key on its way to bytes.
    Pkcs8,
    /// `BIO`: memory of a temporary connection.
    Bio,
    /// `BIO_METHOD`: the kind of such memory.
    BioMethod,
    /// `OPENSSL_STACK`: a list of any of these.
    Stack,
}

/// What may be called for each certificate of a chain that was found wanting.
pub(crate) type VerifyCallback = unsafe extern "C" fn(c_int, *mut X509StoreCtx) -> c_int;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// One pointer for each function: there is no oracle unless all are there.
        #[allow(non_snake_case)]
        pub(crate) struct Functions {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// Looks every name up; the first that is missing is the answer.
            fn find(look: impl Fn(&CStr) -> *mut c_void) -> Result<Self, Absent> {
                Ok(Self {
                    $($name: {
                        const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("a name has no zero in it"),
                        };
                        let found = look(NAME);
                        if found.is_null() {
                            return Err(Absent::Function(stringify!($name)));
                        }
                        // SAFETY: a function that OpenSSL 3 exports under this name has had this signature in every release of 3, which
                        // is what its promise of a stable interface within a major version says; the major is checked before any other
                        // function than the one that tells it is called.
                        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found) }
                    },)*
                })
            }
        }
    };
}

functions! {
    OpenSSL_version_num() -> std::ffi::c_ulong;
    OPENSSL_init_ssl(u64, *const c_void) -> c_int;
    EVP_default_properties_is_fips_enabled(*mut c_void) -> c_int;
    CRYPTO_clear_free(*mut c_void, usize, *const c_char, c_int);

    ERR_set_mark() -> c_int;
    ERR_pop_to_mark() -> c_int;
    ERR_reason_error_string(std::ffi::c_ulong) -> *const c_char;

    OPENSSL_sk_new_null() -> *mut Stack;
    OPENSSL_sk_push(*mut Stack, *const c_void) -> c_int;
    OPENSSL_sk_num(*const Stack) -> c_int;
    OPENSSL_sk_value(*const Stack, c_int) -> *mut c_void;
    OPENSSL_sk_free(*mut Stack);

    SSL_CTX_get_ciphers(*const SslCtx) -> *mut Stack;
    SSL_CTX_get_options(*const SslCtx) -> u64;
    SSL_CTX_get_security_level(*const SslCtx) -> c_int;
    SSL_CTX_get_timeout(*const SslCtx) -> c_long;
    SSL_CTX_get_cert_store(*const SslCtx) -> *mut X509Store;
    SSL_CTX_get0_param(*mut SslCtx) -> *mut X509VerifyParam;
    SSL_CTX_get_client_CA_list(*const SslCtx) -> *mut Stack;
    SSL_CTX_ctrl(*mut SslCtx, c_int, c_long, *mut c_void) -> c_long;
    SSL_CIPHER_get_protocol_id(*const SslCipher) -> u16;
    SSL_CIPHER_get_kx_nid(*const SslCipher) -> c_int;
    SSL_CIPHER_get_auth_nid(*const SslCipher) -> c_int;
    SSL_CIPHER_get_version(*const SslCipher) -> *const c_char;

    SSL_new(*mut SslCtx) -> *mut Ssl;
    SSL_free(*mut Ssl);
    SSL_ctrl(*mut Ssl, c_int, c_long, *mut c_void) -> c_long;
    SSL_get_certificate(*const Ssl) -> *mut X509;
    SSL_get_privatekey(*const Ssl) -> *mut EvpPkey;
    SSL_set_connect_state(*mut Ssl);
    SSL_set_bio(*mut Ssl, *mut Bio, *mut Bio);
    SSL_do_handshake(*mut Ssl) -> c_int;
    BIO_new(*const BioMethod) -> *mut Bio;
    BIO_s_mem() -> *const BioMethod;
    BIO_read(*mut Bio, *mut c_void, c_int) -> c_int;
    BIO_free(*mut Bio) -> c_int;

    d2i_X509(*mut *mut X509, *mut *const c_uchar, c_long) -> *mut X509;
    i2d_X509(*const X509, *mut *mut c_uchar) -> c_int;
    i2d_X509_NAME(*const X509Name, *mut *mut c_uchar) -> c_int;
    X509_free(*mut X509);
    X509_get0_pubkey(*const X509) -> *mut EvpPkey;
    X509_get_key_usage(*mut X509) -> u32;
    X509_get_signature_info(*mut X509, *mut c_int, *mut c_int, *mut c_int, *mut u32) -> c_int;

    EVP_PKEY_get0_type_name(*const EvpPkey) -> *const c_char;
    EVP_PKEY_get_bits(*const EvpPkey) -> c_int;
    EVP_PKEY_get_group_name(*const EvpPkey, *mut c_char, usize, *mut usize) -> c_int;
    EVP_PKEY_get_ec_point_conv_form(*const EvpPkey) -> c_int;
    EVP_PKEY2PKCS8(*const EvpPkey) -> *mut Pkcs8;
    i2d_PKCS8_PRIV_KEY_INFO(*const Pkcs8, *mut *mut c_uchar) -> c_int;
    PKCS8_PRIV_KEY_INFO_free(*mut Pkcs8);

    X509_STORE_up_ref(*mut X509Store) -> c_int;
    X509_STORE_free(*mut X509Store);
    X509_STORE_CTX_new() -> *mut X509StoreCtx;
    X509_STORE_CTX_free(*mut X509StoreCtx);
    X509_STORE_CTX_init(*mut X509StoreCtx, *mut X509Store, *mut X509, *mut Stack) -> c_int;
    X509_STORE_CTX_set_default(*mut X509StoreCtx, *const c_char) -> c_int;
    X509_STORE_CTX_set_verify_cb(*mut X509StoreCtx, VerifyCallback);
    X509_STORE_CTX_get0_param(*const X509StoreCtx) -> *mut X509VerifyParam;
    X509_STORE_CTX_get0_chain(*const X509StoreCtx) -> *mut Stack;
    X509_STORE_CTX_get_error(*const X509StoreCtx) -> c_int;
    X509_VERIFY_PARAM_new() -> *mut X509VerifyParam;
    X509_VERIFY_PARAM_free(*mut X509VerifyParam);
    X509_VERIFY_PARAM_set1(*mut X509VerifyParam, *const X509VerifyParam) -> c_int;
    X509_VERIFY_PARAM_set_auth_level(*mut X509VerifyParam, c_int);
    X509_verify_cert(*mut X509StoreCtx) -> c_int;
    X509_verify_cert_error_string(c_long) -> *const c_char;
}

/// How this line's `v8::External` tells its pointer.
#[derive(Clone, Copy)]
pub(crate) enum ExternalValue {
    /// `Value() const`.
    Plain(unsafe extern "C" fn(*const c_void) -> *mut c_void),
    /// `Value(ExternalPointerTypeTag) const`.
    Tagged(unsafe extern "C" fn(*const c_void, u16) -> *mut c_void),
}

/// Why there is no oracle in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// This function is not exported: a shared library of another kind, BoringSSL, a stripped build.
    Function(&'static str),
    /// OpenSSL's number is of another major version.
    Version(u64),
    /// V8 tells the pointer in no way that is known.
    External,
    /// No function can be registered that runs before OpenSSL cleans up.
    Exit,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(name) => write!(f, "the process does not export {name}"),
            Self::Version(number) => write!(f, "OpenSSL is of version {number:#x}, not of major {MAJOR}"),
            Self::External => f.write_str("the process does not export v8::External::Value in a known form"),
            Self::Exit => f.write_str("no function could be registered for the end of the process"),
        }
    }
}

/// The process's OpenSSL, all of it that is used.
pub struct OpenSsl {
    pub(crate) functions: Functions,
    pub(crate) external: ExternalValue,
    version: u64,
}

impl fmt::Debug for OpenSsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSsl").field("version", &self.version).finish_non_exhaustive()
    }
}

impl OpenSsl {
    /// The one of this process, or why there is none. Looked up at the first call, which has to come when Node has initialised OpenSSL, as
    /// it has before any program runs: the gate's function for the end of the process must be registered after OpenSSL's.
    ///
    /// # Errors
    /// What is missing.
    pub fn get() -> Result<&'static Self, Absent> {
        static FOUND: OnceLock<Result<OpenSsl, Absent>> = OnceLock::new();
        FOUND.get_or_init(|| Self::find(symbol)).as_ref().map_err(|absent| *absent)
    }

    fn find(look: impl Fn(&CStr) -> *mut c_void) -> Result<Self, Absent> {
        let functions = Functions::find(&look)?;
        // SAFETY: takes nothing, and has told a number since before version 3.
        let version = unsafe { (functions.OpenSSL_version_num)() };
        if version >> 28 != MAJOR {
            return Err(Absent::Version(version));
        }
        let external = Self::find_external(&look)?;
        // Nothing of the context may have been read when this fails.
        gate::install().then_some(()).ok_or(Absent::Exit)?;
        Ok(Self { functions, external, version })
    }

    fn find_external(look: impl Fn(&CStr) -> *mut c_void) -> Result<ExternalValue, Absent> {
        let (plain, tagged) = (look(c"_ZNK2v88External5ValueEv"), look(c"_ZNK2v88External5ValueEt"));
        // SAFETY: the mangled names contain the parameters; both are const members that answer a pointer, and a member function of a class
        // without virtual bases is called as a function with `this` first in the ABIs of the platforms that are supported.
        unsafe {
            if !plain.is_null() {
                Ok(ExternalValue::Plain(std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_void) -> *mut c_void>(plain)))
            } else if !tagged.is_null() {
                Ok(ExternalValue::Tagged(std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const c_void, u16) -> *mut c_void>(tagged)))
            } else {
                Err(Absent::External)
            }
        }
    }

    /// OpenSSL's number for itself: `0x30500080` is 3.5.8. Rules that differ within the major go by it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the process is in FIPS mode now: a program can change that, so it is asked each time.
    #[must_use]
    pub fn fips(&self) -> bool {
        // SAFETY: null is the default library context.
        unsafe { (self.functions.EVP_default_properties_is_fips_enabled)(std::ptr::null_mut()) != 0 }
    }
}

/// A symbol of the process: of the executable, or of a library that it brought along.
fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: a terminated name; asks the dynamic linker.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// A C string of the library's own, which it keeps.
///
/// # Safety
/// Null, or terminated and constant.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: promised by the caller.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

/// As `c_uint` of flags that OpenSSL keeps in a `long`.
pub(crate) fn low(value: c_long) -> c_uint {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of something: what is found is never called in these tests, save the number of the version.
    fn anything() -> *mut c_void {
        std::ptr::dangling_mut()
    }

    extern "C" fn of_another_major() -> std::ffi::c_ulong {
        0x1010_107f
    }

    #[test]
    fn one_missing_function_is_no_oracle_and_is_named() {
        let without = |name: &CStr| if name == c"X509_verify_cert" { std::ptr::null_mut() } else { anything() };
        assert_eq!(OpenSsl::find(without).err(), Some(Absent::Function("X509_verify_cert")));
    }

    #[test]
    fn a_process_without_openssl_is_none() {
        assert_eq!(OpenSsl::find(|_| std::ptr::null_mut()).err(), Some(Absent::Function("OpenSSL_version_num")));
    }

    #[test]
    fn another_major_is_no_oracle_even_with_every_name() {
        let boring = |name: &CStr| if name == c"OpenSSL_version_num" { of_another_major as *const () as *mut c_void } else { anything() };
        assert_eq!(OpenSsl::find(boring).err(), Some(Absent::Version(0x1010_107f)));
    }

    #[test]
    fn v8_without_a_known_way_to_the_pointer_is_said() {
        assert!(matches!(OpenSsl::find_external(|_| std::ptr::null_mut()), Err(Absent::External)));
        let tagged = |name: &CStr| if name.to_bytes().ends_with(b"Et") { anything() } else { std::ptr::null_mut() };
        assert!(matches!(OpenSsl::find_external(tagged), Ok(ExternalValue::Tagged(_))));
        assert!(matches!(OpenSsl::find_external(|_| anything()), Ok(ExternalValue::Plain(_))));
    }
}
