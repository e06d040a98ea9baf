/** Safetensors, as far as an adapter needs it: names, shapes, 32-bit floats. The engine has the strict reader; this one serves the links. */

import { LabError } from "../engine/protocol.js";

/** @typedef {{ shape: number[], values: Float32Array }} Tensor */

/**
 * @param {Uint8Array} bytes
 * @returns {Map<string, Tensor>}
 */
export function readSafetensors(bytes) {
  const wrong = (/** @type {string} */ why) => new LabError("format", `safetensors: ${why}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length >= 8 ? Number(view.getBigUint64(0, true)) : Infinity;
  if (8 + length > bytes.length) throw wrong(`expected a header within ${bytes.length} bytes, got one of ${length}`);
  const { __metadata__: _metadata, ...entries } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(entries)) {
    if (dtype !== "F32") throw wrong(`${name}: expected F32, got ${dtype}`);
    // Copied, since the data need not begin at a multiple of four.
    const data = bytes.slice(8 + length + from, 8 + length + to);
    if (data.length !== to - from || data.length !== 4 * shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1)) {
      throw wrong(`${name}: expected ${shape} numbers, got ${data.length} bytes`);
    }
    tensors.set(name, { shape, values: new Float32Array(data.buffer) });
  }
  return tensors;
}

/**
 * @param {({ name: string } & Tensor)[]} tensors
 * @returns {Uint8Array}
 */
export function writeSafetensors(tensors) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: "pt" } };
  let at = 0;
  for (const { name, shape, values } of tensors) header[name] = { dtype: "F32", shape, data_offsets: [at, (at += values.byteLength)] };
  let json = JSON.stringify(header);
  // The data should begin at a multiple of eight; the format allows spaces after the header for that.
  json += " ".repeat((8 - (json.length % 8)) % 8);
  const bytes = new Uint8Array(8 + json.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(new TextEncoder().encode(json), 8);
  at = 8 + json.length;
  for (const { values } of tensors) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
}
