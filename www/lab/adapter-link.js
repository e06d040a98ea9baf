/**
 * A small adapter as text for a link: its numbers rounded to a few bits, base64url. Pure: bytes in, text out, and back.
 *
 *     version, bits, rank, scaling (a byte each), alpha (f32), base (8 bytes of its digest), layers (a byte), which of them (a bit each),
 *     then for each layer 2·rank scales (bfloat16) and its numbers, A (rank × in) and Bᵀ (rank × out), and at the end a CRC-32.
 *
 * Each row of A and each column of B has a scale: n bits hold a whole number up to ±(2ⁿ⁻¹ − 1), to be multiplied by it. The error of a
 * number is at most half a scale, that is the largest of its row over 2ⁿ − 2, and about 1 % more because the scale is rounded up.
 */

import { LabError } from "../engine/protocol.js";
import { readSafetensors, writeSafetensors } from "./safetensors.js";

/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */
/** @typedef {import("../engine/types.js").LinearInfo} LinearInfo */
/** @typedef {{ layers: LinearInfo[], digest: string }} Base the base that the adapter belongs to */

/** Browsers keep longer addresses, but chats and mail programs cut them. */
export const LONGEST = 6000;
const VERSION = 1;
/** Fewer than four bits change what an adapter does too much. */
const BITS = [8, 7, 6, 5, 4];
const HEAD = 17;
const CRC = 4;
const LARGEST_RANK = 64;

/** The names of a layer's two tensors in PEFT's file. @param {string} name */
const tensorNames = (name) => [`base_model.model.${name}.lora_A.weight`, `base_model.model.${name}.lora_B.weight`];

/** Whether alpha is valid once it is rounded to f32, as a link stores it. @param {unknown} alpha */
const isAlpha = (alpha) => typeof alpha === "number" && Math.fround(alpha) > 0 && Math.fround(alpha) < 1e6;

/**
 * Encode with the most bits that fit the limit. If the result has no `text`, the adapter is too large: at most `room` numbers would fit.
 * @param {AdapterFiles} files
 * @param {Base} base
 * @param {number} [limit] characters
 * @returns {{ text?: string, bits: number, numbers: number, room: number }}
 */
export function encodeAdapter({ safetensors, config }, { layers, digest }, limit = LONGEST) {
  const { r, lora_alpha: alpha, use_rslora: rsLora, rank_pattern: ranks = {}, alpha_pattern: alphas = {} } = JSON.parse(config);
  if (Object.keys(ranks ?? {}).length || Object.keys(alphas ?? {}).length) {
    throw new LabError("unsupported", "a link holds one rank and one alpha for all layers, this adapter has several");
  }
  if (!isAlpha(alpha)) throw new LabError("unsupported", `a link holds an alpha above 0 and below a million, this adapter has ${alpha}`);
  const tensors = readSafetensors(safetensors);
  const adapted = layers.map(({ name }) => tensorNames(name).map((key) => tensors.get(key)));
  const rows = adapted.flatMap(([a, b], index) => (a && b ? [...rowsOf(a.values, r, false), ...rowsOf(b.values, r, true)] : [])
    .map((values) => checked(values, layers[index].name)));
  const numbers = rows.reduce((sum, row) => sum + row.length, 0);
  if (2 * adapted.filter(([a]) => a).length !== tensors.size || layers.length > 255 || r > LARGEST_RANK) {
    throw new LabError("unsupported", `expected an adapter of rank ${LARGEST_RANK} or less on layers of this base, got ${[...tensors.keys()].slice(0, 2)}, rank ${r}`);
  }
  const fixed = HEAD + Math.ceil(layers.length / 8) + 2 * rows.length + CRC;
  const bytes = Math.floor((limit * 6) / 8);
  const room = Math.max(0, Math.floor(((bytes - fixed) * 8) / 4));
  const bits = BITS.find((bits) => fixed + Math.ceil((numbers * bits) / 8) <= bytes);
  if (!bits) return { bits: 4, numbers, room };

  const out = new Uint8Array(fixed + Math.ceil((numbers * bits) / 8));
  const view = new DataView(out.buffer);
  out.set([VERSION, bits, r, rsLora ? 1 : 0]);
  view.setFloat32(4, alpha, true);
  out.set(digestBytes(digest), 8);
  out[16] = layers.length;
  adapted.forEach(([a], index) => {
    if (a) out[HEAD + (index >> 3)] |= 1 << (index & 7);
  });
  let at = HEAD + Math.ceil(layers.length / 8);
  const most = 2 ** (bits - 1) - 1;
  const scales = rows.map((row) => {
    const scale = toBfloat(row.reduce((max, x) => Math.max(max, Math.abs(x)), 0) / most);
    view.setUint16(at, scale, true);
    at += 2;
    return fromBfloat(scale);
  });
  const write = bitWriter(out, at);
  rows.forEach((row, index) => {
    for (const x of row) {
      const level = scales[index] ? Math.round(x / scales[index]) : 0;
      write(Math.min(most, Math.max(-most, level)) + most, bits);
    }
  });
  view.setUint32(out.length - CRC, crc32(out.subarray(0, -CRC)), true);
  return { text: toBase64url(out), bits, numbers, room };
}

/**
 * PEFT's two files from a link's text. Anything wrong rejects the whole text.
 * @param {string} text
 * @param {Base} base
 * @returns {AdapterFiles}
 */
export function decodeAdapter(text, { layers, digest }) {
  const wrong = (/** @type {string} */ why) => new LabError("link-format", `the adapter in this link: ${why}`);
  if (text.length > LONGEST) throw wrong(`expected at most ${LONGEST} characters, got ${text.length}`);
  if (!/^[\w-]+$/.test(text)) throw wrong("expected the letters of base64url");
  const bytes = fromBase64url(text);
  if (bytes.length < HEAD + CRC) throw wrong(`expected at least ${HEAD + CRC} bytes, got ${bytes.length}`);
  const view = new DataView(bytes.buffer);
  if (bytes[0] !== VERSION) throw wrong(`expected version ${VERSION}, got ${bytes[0]}`);
  if (view.getUint32(bytes.length - CRC, true) !== crc32(bytes.subarray(0, -CRC))) throw wrong("its check sum does not fit; was it cut short?");
  const [, bits, rank, scaling] = bytes;
  const alpha = view.getFloat32(4, true);
  if (!BITS.includes(bits)) throw wrong(`expected 4 to 8 bits a number, got ${bits}`);
  if (rank < 1 || rank > LARGEST_RANK) throw wrong(`expected a rank from 1 to ${LARGEST_RANK}, got ${rank}`);
  if (scaling > 1) throw wrong(`expected a scaling of 0 or 1, got ${scaling}`);
  if (!isAlpha(alpha)) throw wrong(`expected an alpha above 0, got ${alpha}`);
  const made = hex(bytes.subarray(8, 16));
  if (made !== hex(digestBytes(digest))) throw new LabError("other-base", `the adapter in this link was made on the base ${made}…, this is ${digest.slice(0, 16)}…`);
  const mask = bytes.subarray(HEAD, HEAD + Math.ceil(layers.length / 8));
  const chosen = layers.filter((_, index) => mask[index >> 3] & (1 << (index & 7)));
  if (bytes[16] !== layers.length || !chosen.length) throw wrong(`expected some of ${layers.length} layers, got ${chosen.length} of ${bytes[16]}`);
  const numbers = chosen.reduce((sum, layer) => sum + rank * (layer.in + layer.out), 0);
  const start = HEAD + Math.ceil(layers.length / 8);
  const expected = start + 4 * rank * chosen.length + Math.ceil((numbers * bits) / 8) + CRC;
  if (bytes.length !== expected) throw wrong(`expected ${expected} bytes for ${numbers} numbers, got ${bytes.length}`);

  const most = 2 ** (bits - 1) - 1;
  const read = bitReader(bytes, start + 4 * rank * chosen.length);
  let at = start;
  /** @param {number} length */
  const row = (length) => {
    const scale = fromBfloat(view.getUint16(at, true));
    at += 2;
    if (!(scale >= 0 && scale < 1e6)) throw wrong(`expected a scale of 0 or more, got ${scale}`);
    return Float32Array.from({ length }, () => {
      const level = read(bits) - most;
      if (level > most) throw wrong(`expected a level of at most ${most}, got ${level}`);
      return level * scale;
    });
  };
  const rows = (/** @type {number} */ length) => Array.from({ length: rank }, () => row(length));
  const tensors = chosen.flatMap(({ name, in: inputs, out: outputs }) => {
    const [a, b] = [rows(inputs), rows(outputs)];
    const [nameA, nameB] = tensorNames(name);
    return [
      { name: nameA, shape: [rank, inputs], values: Float32Array.from({ length: rank * inputs }, (_, i) => a[Math.floor(i / inputs)][i % inputs]) },
      { name: nameB, shape: [outputs, rank], values: Float32Array.from({ length: rank * outputs }, (_, i) => b[i % rank][Math.floor(i / rank)]) },
    ];
  });
  const config = {
    peft_type: "LORA", task_type: "CAUSAL_LM", r: rank, lora_alpha: alpha, lora_dropout: 0, bias: "none", fan_in_fan_out: true,
    target_modules: chosen.map(({ name }) => name), use_rslora: scaling === 1, inference_mode: true,
  };
  return { safetensors: writeSafetensors(tensors), config: JSON.stringify(config, null, 2) };
}

/** The `rank` vectors of a matrix: its rows, or its columns. @param {Float32Array} values @param {number} rank @param {boolean} columns */
function rowsOf(values, rank, columns) {
  const length = values.length / rank;
  return Array.from({ length: rank }, (_, k) => (columns ? values.filter((_, i) => i % rank === k) : values.subarray(k * length, (k + 1) * length)));
}

/** @param {Float32Array} values @param {string} name */
function checked(values, name) {
  if (!values.every(Number.isFinite)) throw new LabError("not-finite", `${name}: expected finite numbers`);
  return values;
}

/** The first eight bytes: enough to identify a base. @param {string} digest */
const digestBytes = (digest) => Uint8Array.from({ length: 8 }, (_, index) => parseInt(digest.slice(2 * index, 2 * index + 2), 16) || 0);

/** @param {Uint8Array} bytes */
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The upper 16 bits of an f32, rounded up so that the largest number of a row does not exceed the highest level. @param {number} x */
function toBfloat(x) {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  return Math.min(0x7f7f, (bits >>> 16) + (bits & 0xffff ? 1 : 0));
}

/** @param {number} half */
const fromBfloat = (half) => new Float32Array(Uint32Array.of(half << 16).buffer)[0];

/** @param {Uint8Array} bytes @param {number} start */
function bitWriter(bytes, start) {
  let at = start * 8;
  return (/** @type {number} */ value, /** @type {number} */ bits) => {
    for (let bit = 0; bit < bits; bit++, at++) bytes[at >> 3] |= ((value >> bit) & 1) << (at & 7);
  };
}

/** @param {Uint8Array} bytes @param {number} start */
function bitReader(bytes, start) {
  let at = start * 8;
  return (/** @type {number} */ bits) => {
    let value = 0;
    for (let bit = 0; bit < bits; bit++, at++) value |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    return value;
  };
}

/** The usual CRC-32 (IEEE 802.3): it finds a link that was cut short or mistyped. @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** @param {Uint8Array} bytes */
const toBase64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** @param {string} text */
function fromBase64url(text) {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch (error) {
    throw new LabError("link-format", "the adapter in this link: expected base64url", { cause: error });
  }
}
