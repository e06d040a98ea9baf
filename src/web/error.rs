//! Errors as JavaScript throws them.

use crate::error::Error;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// An `Error` object with our message and, as `code`, the stable code.
pub fn to_js(error: Error) -> JsValue {
    with_code(&error.to_string(), error.code())
}

/// An `Error` object with a code.
pub fn with_code(message: &str, code: &str) -> JsValue {
    let object = js_sys::Error::new(message);
    // Setting a property of a new object cannot fail.
    let _ = Reflect::set(&object, &"code".into(), &code.into());
    object.into()
}
