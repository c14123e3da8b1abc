//! Between Node-API values and Rust. Callbacks of the addon are called by our own TypeScript alone, with the types it
//! declares; what does not fit is answered with a neutral value, never with undefined behaviour.

use std::ffi::c_void;
use std::ptr;

use napi_sys as napi;

/// Most arguments that any of our functions takes.
const ARGUMENTS: usize = 6;

/// The arguments of one call and the data its function was made with.
pub(crate) struct Call {
    pub(crate) env: napi::napi_env,
    values: [napi::napi_value; ARGUMENTS],
    pub(crate) data: *mut c_void,
}

impl Call {
    /// Reads a call's arguments; absent ones are `undefined`.
    ///
    /// # Safety
    /// Both come from Node-API, inside the callback they belong to.
    pub(crate) unsafe fn new(env: napi::napi_env, info: napi::napi_callback_info) -> Self {
        let mut call = Self { env, values: [ptr::null_mut(); ARGUMENTS], data: ptr::null_mut() };
        let mut count = ARGUMENTS;
        // SAFETY: the array has as many places as told; a null `this` is allowed.
        unsafe { napi::napi_get_cb_info(env, info, &raw mut count, call.values.as_mut_ptr(), ptr::null_mut(), &raw mut call.data) };
        call
    }

    pub(crate) fn value(&self, index: usize) -> napi::napi_value {
        self.values[index]
    }

    /// A number as a 32-bit integer, 0 for anything else.
    pub(crate) fn int(&self, index: usize) -> i32 {
        let mut value = 0;
        // SAFETY: a live environment and a local; another type leaves the local alone.
        unsafe { napi::napi_get_value_int32(self.env, self.values[index], &raw mut value) };
        value
    }

    pub(crate) fn uint(&self, index: usize) -> u32 {
        self.int(index).cast_unsigned()
    }

    pub(crate) fn bool(&self, index: usize) -> bool {
        let mut value = false;
        // SAFETY: as `int`.
        unsafe { napi::napi_get_value_bool(self.env, self.values[index], &raw mut value) };
        value
    }

    /// A string's UTF-8 bytes, empty for anything else.
    pub(crate) fn string(&self, index: usize) -> Vec<u8> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length.
        let status = unsafe { napi::napi_get_value_string_utf8(self.env, self.values[index], ptr::null_mut(), 0, &raw mut length) };
        if status != napi::Status::napi_ok {
            return Vec::new();
        }
        let mut bytes = vec![0_u8; length + 1];
        // SAFETY: the buffer has room for the length and a terminator.
        unsafe { napi::napi_get_value_string_utf8(self.env, self.values[index], bytes.as_mut_ptr().cast(), bytes.len(), &raw mut length) };
        bytes.truncate(length);
        bytes
    }

    pub(crate) fn is_string(&self, index: usize) -> bool {
        let mut kind = 0;
        // SAFETY: a live environment and a local.
        unsafe { napi::napi_typeof(self.env, self.values[index], &raw mut kind) };
        kind == napi::ValueType::napi_string
    }

    /// The memory of an `ArrayBuffer`.
    pub(crate) fn array_buffer(&self, value: napi::napi_value) -> Option<(*mut u8, usize)> {
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: a live environment and locals.
        let status = unsafe { napi::napi_get_arraybuffer_info(self.env, value, &raw mut data, &raw mut length) };
        (status == napi::Status::napi_ok && !data.is_null()).then_some((data.cast(), length))
    }

    /// The memory of a `Uint8Array`.
    pub(crate) fn bytes(&self, index: usize) -> Option<(*mut u8, usize)> {
        let (mut length, mut data) = (0, ptr::null_mut());
        // SAFETY: a live environment and locals; parts that are not wanted may be null.
        let status = unsafe {
            napi::napi_get_typedarray_info(self.env, self.values[index], ptr::null_mut(), &raw mut length, &raw mut data, ptr::null_mut(), ptr::null_mut())
        };
        (status == napi::Status::napi_ok && !data.is_null()).then_some((data.cast(), length))
    }

    /// A property of an object.
    pub(crate) fn property(&self, object: napi::napi_value, name: &std::ffi::CStr) -> napi::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: a live environment, a terminated name and a local.
        unsafe { napi::napi_get_named_property(self.env, object, name.as_ptr(), &raw mut value) };
        value
    }

    /// An element of an array.
    pub(crate) fn element(&self, array: napi::napi_value, index: u32) -> napi::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as `property`.
        unsafe { napi::napi_get_element(self.env, array, index, &raw mut value) };
        value
    }

    /// An array of so many places with a `Buffer` in some of them, `null` in the others.
    pub(crate) fn buffers(&self, places: usize, contents: Vec<(usize, Vec<u8>)>) -> napi::napi_value {
        let (mut array, mut null) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a live environment and locals; each vector is copied during its call.
        unsafe {
            napi::napi_create_array_with_length(self.env, places, &raw mut array);
            napi::napi_get_null(self.env, &raw mut null);
            for place in 0..u32::try_from(places).unwrap_or(0) {
                napi::napi_set_element(self.env, array, place, null);
            }
            for (place, bytes) in contents {
                let mut buffer = ptr::null_mut();
                napi::napi_create_buffer_copy(self.env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &raw mut buffer);
                napi::napi_set_element(self.env, array, u32::try_from(place).unwrap_or(u32::MAX), buffer);
            }
        }
        array
    }

    pub(crate) fn return_int(&self, value: i32) -> napi::napi_value {
        int(self.env, value)
    }

    pub(crate) fn return_string(&self, value: &str) -> napi::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the pointer and length are those of one string.
        unsafe { napi::napi_create_string_utf8(self.env, value.as_ptr().cast(), value.len().cast_signed(), &raw mut result) };
        result
    }
}

/// A number as a JavaScript value.
pub(crate) fn int(env: napi::napi_env, value: i32) -> napi::napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: a live environment and a local.
    unsafe { napi::napi_create_int32(env, value, &raw mut result) };
    result
}
