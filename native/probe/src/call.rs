//! Arguments in, a string of JSON out.

use std::ffi::CStr;
use std::ptr;

use napi_sys as napi;

/// Most arguments that a function here takes.
const ARGUMENTS: usize = 6;

/// A callback of Node-API's.
pub(crate) type Function = unsafe extern "C" fn(napi::napi_env, napi::napi_callback_info) -> napi::napi_value;

/// Defines one whose body answers JSON.
macro_rules! function {
    ($name:ident, |$call:ident| $body:expr) => {
        pub(crate) unsafe extern "C" fn $name(env: napi_sys::napi_env, info: napi_sys::napi_callback_info) -> napi_sys::napi_value {
            fn act($call: &crate::call::Call) -> String {
                $body
            }
            // SAFETY: Node-API passes both, for this call.
            let call = unsafe { crate::call::Call::new(env, info) };
            // A panic is a bug that the specs are there to find: they see that there is no answer.
            std::panic::catch_unwind(|| act(&call)).map_or(std::ptr::null_mut(), |json| call.string(&json))
        }
    };
}
pub(crate) use function;

/// One call.
pub(crate) struct Call {
    env: napi::napi_env,
    values: [napi::napi_value; ARGUMENTS],
}

impl Call {
    /// # Safety
    /// Both come from Node-API, inside the callback they belong to.
    pub(crate) unsafe fn new(env: napi::napi_env, info: napi::napi_callback_info) -> Self {
        let (mut values, mut count) = ([ptr::null_mut(); ARGUMENTS], ARGUMENTS);
        // SAFETY: the array has as many places as told; the other two are allowed to be null.
        unsafe { napi::napi_get_cb_info(env, info, &raw mut count, values.as_mut_ptr(), ptr::null_mut(), ptr::null_mut()) };
        Self { env, values }
    }

    pub(crate) fn value(&self, index: usize) -> napi::napi_value {
        self.values[index]
    }

    pub(crate) fn is_external(&self, index: usize) -> bool {
        let mut kind = napi::ValueType::napi_undefined;
        // SAFETY: a live environment and a local.
        unsafe { napi::napi_typeof(self.env, self.values[index], &raw mut kind) == napi::Status::napi_ok && kind == napi::ValueType::napi_external }
    }

    /// A number, or 0 for anything else; booleans count.
    pub(crate) fn int(&self, index: usize) -> i32 {
        let (mut number, mut truth) = (0, false);
        // SAFETY: a live environment and locals; another type leaves them alone.
        unsafe {
            napi::napi_get_value_bool(self.env, self.values[index], &raw mut truth);
            napi::napi_get_value_int32(self.env, self.values[index], &raw mut number);
        }
        number | i32::from(truth)
    }

    fn bytes_of(&self, value: napi::napi_value) -> Vec<u8> {
        let (mut length, mut data) = (0, ptr::null_mut());
        // SAFETY: a live environment and locals; what is not wanted may be null. The memory is copied before JavaScript runs again.
        unsafe {
            let status = napi::napi_get_typedarray_info(self.env, value, ptr::null_mut(), &raw mut length, &raw mut data, ptr::null_mut(), ptr::null_mut());
            if status != napi::Status::napi_ok || data.is_null() {
                return Vec::new();
            }
            std::slice::from_raw_parts(data.cast::<u8>(), length).to_vec()
        }
    }

    /// A `Uint8Array`'s bytes.
    pub(crate) fn bytes(&self, index: usize) -> Vec<u8> {
        self.bytes_of(self.values[index])
    }

    /// Those of an array of them.
    pub(crate) fn buffers(&self, index: usize) -> Vec<Vec<u8>> {
        let mut length = 0;
        // SAFETY: a live environment and a local; anything but an array leaves it at 0.
        unsafe { napi::napi_get_array_length(self.env, self.values[index], &raw mut length) };
        (0..length)
            .map(|place| {
                let mut value = ptr::null_mut();
                // SAFETY: as above.
                unsafe { napi::napi_get_element(self.env, self.values[index], place, &raw mut value) };
                self.bytes_of(value)
            })
            .collect()
    }

    pub(crate) fn string(&self, text: &str) -> napi::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the pointer and length are those of one string.
        unsafe { napi::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len().cast_signed(), &raw mut result) };
        result
    }
}

/// Puts a function among the exports.
///
/// # Safety
/// Inside the registration of the addon.
pub(crate) unsafe fn export(env: napi::napi_env, exports: napi::napi_value, name: &CStr, function: Function) {
    let mut value = ptr::null_mut();
    // SAFETY: promised by the caller; a terminated name and locals.
    unsafe {
        napi::napi_create_function(env, name.as_ptr(), name.count_bytes().cast_signed(), Some(function), ptr::null_mut(), &raw mut value);
        napi::napi_set_named_property(env, exports, name.as_ptr(), value);
    }
}
