//! The safetensors container, read strictly and written as PEFT does.

use crate::error::{Error, Result};
use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The types of weights.
const FLOATS: &str = "F32, F16 or BF16";

/// Named tensors and the file's metadata. All are f32, but for the lists of integers in our own files.
#[derive(Debug, Default)]
pub struct TensorFile {
    tensors: BTreeMap<String, Tensor>,
    integers: BTreeMap<String, Vec<u32>>,
    metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Reads F32, F16 and BF16 tensors, converted to f32.
    ///
    /// # Errors
    /// `format` for a broken container or a name that comes twice, `dtype` for other types,
    /// `not-finite` for NaN and infinity, each naming the tensor.
    pub fn read(bytes: &[u8], what: &'static str) -> Result<Self> {
        Self::read_without(bytes, what, |_| false)
    }

    /// The same without the tensors that carry no weight, whatever they hold.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn read_without(bytes: &[u8], what: &'static str, unwanted: impl Fn(&str) -> bool) -> Result<Self> {
        let file = open(bytes, what)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors().into_iter().filter(|(name, _)| !unwanted(name)) {
            let values = floats(&name, &view)?;
            if let Some(position) = values.iter().position(|x| !x.is_finite()) {
                return Err(Error::NotFinite { value: values[position], name, position });
            }
            tensors.insert(name, Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
        }
        Ok(Self { tensors, integers: BTreeMap::new(), metadata: metadata(bytes, what)? })
    }

    /// Reads what [`write_with_integers`] wrote: the tensor called `integers` holds U32, all others are weights.
    ///
    /// # Errors
    /// See [`Self::read`]; `missing-tensor` without that tensor, `dtype` if it is of another type.
    pub fn read_with_integers(bytes: &[u8], what: &'static str, integers: &str) -> Result<Self> {
        let mut file = Self::read_without(bytes, what, |name| name == integers)?;
        let container = open(bytes, what)?;
        let view = container.tensor(integers).map_err(|_| Error::MissingTensor { name: integers.into() })?;
        if view.dtype() != Dtype::U32 {
            let got = format!("{:?}", view.dtype());
            return Err(Error::Dtype { name: integers.into(), expected: "U32", got });
        }
        let values = view.data().as_chunks::<4>().0.iter().map(|x| u32::from_le_bytes(*x)).collect();
        file.integers.insert(integers.into(), values);
        Ok(file)
    }

    /// Takes a list of integers out.
    ///
    /// # Errors
    /// `missing-tensor`.
    pub fn take_integers(&mut self, name: &str) -> Result<Vec<u32>> {
        self.integers.remove(name).ok_or_else(|| Error::MissingTensor { name: name.into() })
    }

    /// Takes a tensor out, of exactly this shape.
    ///
    /// # Errors
    /// `missing-tensor`, `shape`.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let missing = || Error::MissingTensor { name: name.into() };
        let got = self.tensors.get(name).ok_or_else(missing)?.dims();
        if got != shape {
            return Err(Error::Shape { name: name.into(), expected: shape.to_vec(), got: got.to_vec() });
        }
        self.tensors.remove(name).ok_or_else(missing)
    }

    /// The names that are still there, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Puts a tensor in, in the place of one of the same name.
    pub fn put(&mut self, name: String, tensor: Tensor) {
        self.tensors.insert(name, tensor);
    }

    /// Drops some of the tensors.
    pub fn discard(&mut self, unwanted: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !unwanted(name));
    }

    /// Renames every tensor.
    ///
    /// # Errors
    /// `unknown-tensor` if two would have one name.
    pub fn rename(&mut self, rename: impl Fn(&str) -> String) -> Result<()> {
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            if self.tensors.insert(rename(&name), tensor).is_some() {
                return Err(Error::UnknownTensor { name });
            }
        }
        Ok(())
    }

    /// Fails if a tensor is left.
    ///
    /// # Errors
    /// `unknown-tensor`, naming the first.
    pub fn finish(self) -> Result<()> {
        match self.tensors.into_keys().next() {
            Some(name) => Err(Error::UnknownTensor { name }),
            None => Ok(()),
        }
    }
}

/// Writes f32 tensors; `metadata` joins PEFT's own `format: pt`.
///
/// # Errors
/// `tensor` for a tensor that is not f32.
pub fn write(tensors: &BTreeMap<String, Tensor>, metadata: &[(&str, String)]) -> Result<Vec<u8>> {
    serialize(f32_bytes(tensors)?, metadata)
}

/// The same with a list of integers, as U32.
///
/// # Errors
/// See [`write`].
pub fn write_with_integers(
    tensors: &BTreeMap<String, Tensor>,
    (name, integers): (&str, &[u32]),
    metadata: &[(&str, String)],
) -> Result<Vec<u8>> {
    let mut data = f32_bytes(tensors)?;
    let bytes = integers.iter().flat_map(|x| x.to_le_bytes()).collect();
    data.push((name, Dtype::U32, vec![integers.len()], bytes));
    serialize(data, metadata)
}

/// Writes the tensors as F16, for checkpoints: half the bytes, rounded to nearest.
///
/// # Errors
/// `tensor` for a tensor that is not f32.
pub fn write_f16(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        data.push((name.as_str(), Dtype::F16, tensor.dims().to_vec(), bytes));
    }
    serialize(data, &[])
}

/// A tensor on its way into a file: name, type, shape and bytes.
type Entry<'a> = (&'a str, Dtype, Vec<usize>, Vec<u8>);

fn f32_bytes(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<Entry<'_>>> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let bytes = tensor.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|x| x.to_le_bytes()).collect();
        data.push((name.as_str(), Dtype::F32, tensor.dims().to_vec(), bytes));
    }
    Ok(data)
}

fn serialize(data: Vec<Entry>, metadata: &[(&str, String)]) -> Result<Vec<u8>> {
    let failed = |e: ::safetensors::SafeTensorError| Error::format("safetensors output", e);
    let views = data
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?)));
    let views = views.collect::<Result<Vec<_>>>()?;
    let mut all = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    all.extend(metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let mut bytes = ::safetensors::serialize(views, Some(all)).map_err(failed)?;
    sort_metadata(&mut bytes);
    Ok(bytes)
}

/// Puts the metadata in the order of their keys. The `safetensors` crate writes them in that of a hash map, another each time, and equal
/// adapters have to be equal files.
fn sort_metadata(bytes: &mut [u8]) {
    let end = 8 + header_length(bytes);
    let Some(header) = bytes.get_mut(8..end) else { return };
    let Ok(mut parsed) = serde_json::from_slice::<serde_json::Value>(header) else { return };
    if let Some(metadata) = parsed.get_mut("__metadata__").and_then(serde_json::Value::as_object_mut) {
        metadata.sort_keys();
    }
    // The same words in another order are as long as before; the rest is filled with spaces, as the crate does.
    let sorted = parsed.to_string().into_bytes();
    if sorted.len() <= header.len() {
        header.fill(b' ');
        header[..sorted.len()].copy_from_slice(&sorted);
    }
}

/// The container, checked: header in bounds, sizes that fit, no overlap (all by the `safetensors`
/// crate), and no name twice (which it accepts).
fn open<'a>(bytes: &'a [u8], what: &'static str) -> Result<SafeTensors<'a>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| not_safetensors(what, bytes, &e))?;
    let header = &bytes[8..8 + header_length(bytes)];
    serde_json::from_slice::<UniqueKeys>(header).map_err(|e| Error::format(what, e))?;
    Ok(file)
}

/// The crate's own message does not tell a picture or half a download from a damaged file; the number of bytes helps.
fn not_safetensors(what: &'static str, bytes: &[u8], error: &::safetensors::SafeTensorError) -> Error {
    Error::format(what, format!("expected a whole file in the safetensors format, got {} bytes: {error}", bytes.len()))
}

/// The header's length field; only for bytes that [`SafeTensors::deserialize`] has accepted.
fn header_length(bytes: &[u8]) -> usize {
    bytes.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length) as usize)
}

fn metadata(bytes: &[u8], what: &'static str) -> Result<HashMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| not_safetensors(what, bytes, &e))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

fn floats(name: &str, view: &TensorView) -> Result<Vec<f32>> {
    let data = view.data();
    let halves = || data.as_chunks::<2>().0.iter();
    Ok(match view.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect(),
        Dtype::F16 => halves().map(|x| f16::from_le_bytes(*x).to_f32()).collect(),
        Dtype::BF16 => halves().map(|x| bf16::from_le_bytes(*x).to_f32()).collect(),
        other => return Err(Error::Dtype { name: name.into(), expected: FLOATS, got: format!("{other:?}") }),
    })
}

/// A JSON object in which no key comes twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = UniqueKeys;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<UniqueKeys, M::Error> {
                let mut seen = BTreeSet::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if let Some(key) = seen.replace(key) {
                        return Err(serde::de::Error::custom(format_args!("tensor \"{key}\" comes twice")));
                    }
                }
                Ok(UniqueKeys)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
