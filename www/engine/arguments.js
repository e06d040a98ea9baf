/**
 * Checks the types of arguments before they go to the worker: wasm would read an object as 0 bytes and NaN as a token, and trap on a number
 * in place of a text. An error names the argument. Whether a value makes sense, the Rust core decides.
 */

import { CODES, LabError } from "./protocol.js";

/** @typedef {(value: any, name: string) => any} Kind returns the checked value, or throws */

/** @param {string} name @param {string} expected @param {unknown} got @returns {never} */
export function refuse(name, expected, got) {
  throw new LabError(CODES.config, `${name} is ${shown(got)}, expected ${expected}`);
}

/** "Object", "Blob", …: works across realms, where instanceof does not. @param {unknown} value */
const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** @param {unknown} value */
function shown(value) {
  if (typeof value === "string") return value.length > 40 ? "a long string" : JSON.stringify(value);
  if (typeof value === "function") return "a function";
  return Object(value) === value ? `[object ${tag(value)}]` : String(value);
}

/** @param {string} expected @param {(value: any) => boolean} fits @returns {Kind} */
const kind = (expected, fits) => (value, name) => (fits(value) ? value : refuse(name, expected, value));

export const string = kind("a string", (value) => typeof value === "string");
export const number = kind("a number", (value) => typeof value === "number");
export const flag = kind("true or false", (value) => typeof value === "boolean");
export const callback = kind("a function", (value) => typeof value === "function");
export const signal = kind("an AbortSignal", (value) => typeof value?.throwIfAborted === "function");
export const adapter = kind("the name of an adapter", (value) => typeof value === "string");
export const voice = kind("the name of an adapter, true or false", (value) => typeof value === "string" || typeof value === "boolean");

/** Whether it is a plain object. @param {any} value */
export function isPlain(value) {
  if (tag(value) !== "Object") return false;
  const prototype = Object.getPrototypeOf(value);
  return !prototype || !Object.getPrototypeOf(prototype);
}

/** Bytes in any container. The worker reads a Blob: waiting for it here would let a later call overtake. @type {Kind} */
export function bytes(value, name) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (tag(value) === "ArrayBuffer") return new Uint8Array(value);
  return /^(Blob|File)$/.test(tag(value)) ? value : refuse(name, "bytes (Uint8Array, ArrayBuffer or Blob)", value);
}

const IDS = "token ids (an array or typed array of whole numbers from 0 to 4294967295)";

/** @param {any} value @param {string} name */
export function ids(value, name, expected = IDS) {
  if (!(Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value))) refuse(name, expected, value);
  const big = tag(value).startsWith("Big");
  /** @param {unknown} item @param {number} index */
  const id = (item, index) => {
    const number = big ? Number(item) : item;
    return Number.isInteger(number) && number === Number(number) >>> 0 ? number : refuse(`${name}[${index}]`, IDS, item);
  };
  return Uint32Array.from(/** @type {any} */ (value), /** @type {(item: any, index: number) => number} */ (id));
}

/** @type {Kind} */
export const textOrIds = (value, name) => (typeof value === "string" ? value : ids(value, name, `a text or ${IDS}`));

/** A value that JSON holds without loss; the core checks each setting's type. @param {any} value @param {string} name @param {number} [depth] @returns {any} */
function setting(value, name, depth = 0) {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return value;
  if (depth > 4 || !(Array.isArray(value) || isPlain(value))) refuse(name, "a finite number, a string, true or false, or a list or object of them", value);
  if (Array.isArray(value)) return Array.from(value, (item, index) => setting(item, `${name}[${index}]`, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, setting(item, `${name}.${key}`, depth + 1)]));
}

/**
 * Checks each option; undefined ones are left out.
 * @template {object} T
 * @param {T | undefined} options
 * @param {Record<string, Kind>} kinds
 * @param {boolean | string[]} [more] true: others are allowed, and the core checks them; names: these are required
 * @returns {T}
 */
export function given(options, kinds, more) {
  if (!(options === undefined || isPlain(options))) refuse("the argument", "an object of options", options);
  const entries = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  for (const name of Array.isArray(more) ? more : []) if (!entries.some(([key]) => key === name)) kinds[name](undefined, name);
  /** @type {Kind} */
  const other = more === true ? setting : (_, name) => refuse("an option", `one of ${Object.keys(kinds).join(", ")}`, name);
  const checked = entries.map(([name, value]) => [name, (Object.hasOwn(kinds, name) ? kinds[name] : other)(value, name)]);
  return /** @type {T} */ (Object.fromEntries(checked));
}

/** Files, or a URL, made absolute here: the worker runs from a blob: URL, which is no base for relative ones. @type {Kind} */
export function model(value, name) {
  if (isPlain(value)) return given(value, { config: string, weights: bytes, tokenizer: string }, ["config", "weights"]);
  const { document, location } = /** @type {{ document?: Document, location?: Location }} */ (globalThis);
  try {
    if (typeof value === "string" || tag(value) === "URL") return new URL(value, document?.baseURI ?? location?.href ?? import.meta.url).href;
  } catch {
    // Not a URL.
  }
  return refuse(name, "an address, or the contents of a model's files", value);
}

export const workers = kind("a whole number of 1 or more", (value) => Number.isInteger(value) && value >= 1);
