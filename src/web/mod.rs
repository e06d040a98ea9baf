//! The border to JavaScript: it translates and does not think.
//!
//! - [`convert`] – options and results, by way of JSON
//! - [`error`] – an `Error` with `code` and `message`
//! - [`lab`] – the class `Lab`

mod convert;
mod error;
mod lab;

use wasm_bindgen::prelude::*;

/// A panic says where and why in the console before it ends the instance.
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// The instruction set the kernels were compiled for.
#[wasm_bindgen]
pub fn lanes() -> String {
    crate::kernel::LANES.into()
}

/// The compiled module, for further workers: it need not be compiled again.
#[wasm_bindgen]
pub fn module() -> JsValue {
    wasm_bindgen::module()
}
