//! Options and results, by way of JSON: serde checks on one side what JavaScript gives on the other.

use super::error::with_code;
use crate::lab::Voice;
use crate::train::Gradients;
use js_sys::{Array, Float32Array, JSON, Object, Reflect, Uint32Array};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use wasm_bindgen::{JsCast, JsValue};

/// A plain object of options; `undefined` is the defaults.
pub fn options<T: DeserializeOwned + Default>(value: &JsValue) -> Result<T, JsValue> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    read(value)
}

/// A plain object that has to be there.
pub fn read<T: DeserializeOwned>(value: &JsValue) -> Result<T, JsValue> {
    let json = JSON::stringify(value)?.as_string().unwrap_or_default();
    serde_json::from_str(&json).map_err(|error| {
        let message = unreadable::<T>(&json).unwrap_or_else(|| format!("the options cannot be read: {error}"));
        with_code(&message, "config")
    })
}

/// Which of the options it is that cannot be read. Where each may be left out, that one cannot be read alone either.
fn unreadable<T: DeserializeOwned>(json: &str) -> Option<String> {
    let all: Map<String, Value> = serde_json::from_str(json).ok()?;
    serde_json::from_value::<T>(Value::Object(Map::new())).ok()?;
    all.into_iter().find_map(|(name, value)| {
        let got = value.to_string();
        let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
        let error = serde_json::from_value::<T>(alone).err()?;
        Some(format!("setting \"{name}\" is {got}: {error}"))
    })
}

/// An adapter's name, or nothing for the default.
pub fn adapter(value: &JsValue) -> Result<Option<String>, JsValue> {
    match value.as_string() {
        None if value.is_undefined() || value.is_null() => Ok(None),
        None => Err(with_code("adapter: the name of an adapter is expected (a string)", "config")),
        name => Ok(name),
    }
}

/// An adapter's name, `true` or nothing for the active one, `false` for the base.
pub fn voice(value: &JsValue) -> Result<Voice, JsValue> {
    match (value.as_bool(), value.as_string()) {
        (Some(adapter), _) => Ok(adapter.into()),
        (_, Some(name)) => Ok(Voice::Adapter(name)),
        _ if value.is_undefined() || value.is_null() => Ok(Voice::Active),
        _ => Err(with_code("adapter: the name of an adapter, true or false is expected", "config")),
    }
}

/// A result as a plain object.
pub fn object<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    let json = serde_json::to_string(value).map_err(|e| with_code(&e.to_string(), "format"))?;
    JSON::parse(&json)
}

/// `{ loss: number, values: Float32Array }`, the values in a buffer of their own.
pub fn gradients(part: &Gradients) -> Result<JsValue, JsValue> {
    let object = Object::new();
    Reflect::set(&object, &"loss".into(), &part.loss.into())?;
    Reflect::set(&object, &"values".into(), &Float32Array::from(&part.values[..]))?;
    Ok(object.into())
}

/// A text, or token ids as `Uint32Array` or array of numbers.
pub fn input(value: &JsValue) -> Result<crate::lab::Input, JsValue> {
    use crate::lab::Input;
    if let Some(text) = value.as_string() {
        return Ok(Input::Text(text));
    }
    if let Some(ids) = value.dyn_ref::<Uint32Array>() {
        return Ok(Input::Ids(ids.to_vec()));
    }
    let ids = value.dyn_ref::<Array>().map(|array| array.iter().map(|id| id.as_f64().filter(is_id)).collect());
    match ids {
        Some(Some(ids)) => Ok(Input::Ids(Vec::into_iter(ids).map(|id: f64| id as u32).collect())),
        _ => {
            Err(with_code("a text or token ids are expected (string, Uint32Array or array of whole numbers)", "config"))
        }
    }
}

fn is_id(id: &f64) -> bool {
    id.fract() == 0. && (0. ..=f64::from(u32::MAX)).contains(id)
}
