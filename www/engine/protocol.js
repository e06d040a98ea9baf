/**
 * What page and worker say to each other. Everybody may import this; it imports nobody.
 *
 * A request has an id; every answer repeats it; exactly one "done" or "failed" closes it, and
 * before that any number of "progress" and "text" may come. { id, abort: true } asks the worker to
 * give a request up: the answer is still one "done" (it was too late) or one "failed" ("aborted").
 *
 * { join, port } and { leave } tell a leader of its helpers (crew.js). They overtake requests as an abort does, and have no answer.
 */

/** @typedef {{ id: number, method: string, args: unknown[], save?: "all" | "run" }} Request */
/** @typedef {{ id: number, abort: true }} Abort */
/** @typedef {{ join: number, port: MessagePort } | { leave: number }} Notice */
/** @typedef {{ id: number, event: "done", result: unknown, saved?: Partial<import("./types.js").Saved> }} Done */
/** @typedef {{ id: number, event: "failed", code: string, message: string, fatal: boolean }} Failed */
/** @typedef {{ id: number, event: "progress" | "text", data: unknown }} Note */
/** @typedef {Done | Failed | Note} Answer */

/** The id under which a worker says that its script runs ("done") or cannot ("failed"). */
export const START = 0;

/** An error with a stable code: the core's own (format, missing-tensor, …), or one of CODES. */
export class LabError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = "LabError";
    this.code = code;
  }
}

/** Codes that are JavaScript's, not the core's. */
export const CODES = Object.freeze({
  aborted: "aborted", // inside the protocol only: the caller sees signal.reason
  config: "config", // an option makes no sense; the core's own code for the same
  disposed: "disposed", // the lab was disposed of
  fetch: "fetch", // a file could not be fetched
  internal: "internal", // an error without a code: a mistake of ours
  noSimd: "no-simd", // this browser has no WebAssembly SIMD
  notLoaded: "not-loaded", // a request came before "load"
  unknownMethod: "unknown-method",
  workerDied: "worker-died", // the worker is gone; another has been started and restored
  workerScript: "worker-script", // the worker's script could not be loaded
});

/**
 * The answer to a request that threw. A panic or an exhausted memory traps as a RuntimeError and leaves the
 * wasm instance unusable: that is fatal, and the client starts another worker.
 * @param {number} id
 * @param {unknown} error
 * @returns {Failed}
 */
export function failed(id, error) {
  const { code, message } = /** @type {{ code?: unknown, message?: unknown }} */ (Object(error));
  return {
    id,
    event: "failed",
    code: typeof code === "string" ? code : CODES.internal,
    message: typeof message === "string" ? message : String(error),
    fatal: error instanceof WebAssembly.RuntimeError,
  };
}

/**
 * The buffers and ports in a message, to be transferred instead of copied.
 * @param {unknown} value
 * @param {Set<ArrayBuffer | MessagePort>} [found]
 * @returns {(ArrayBuffer | MessagePort)[]}
 */
export function buffers(value, found = new Set()) {
  if (ArrayBuffer.isView(value)) found.add(/** @type {ArrayBuffer} */ (value.buffer));
  else if (value instanceof MessagePort) found.add(value);
  else if (Array.isArray(value)) value.forEach((item) => buffers(item, found));
  else if (value && typeof value === "object") Object.values(value).forEach((item) => buffers(item, found));
  return [...found];
}

/** Of all typed arrays: a Node Buffer's own slice() is a view, no copy. */
const { slice } = Object.getPrototypeOf(Uint8Array.prototype);

/**
 * The same message with its own copy of every typed array: what the caller handed over stays the caller's, and
 * a view into a larger buffer does not carry the rest of it along.
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function owned(value) {
  /** @param {any} item @returns {any} */
  const copy = (item) => {
    if (ArrayBuffer.isView(item)) return slice.call(item);
    if (Array.isArray(item)) return item.map(copy);
    if (item && Object.getPrototypeOf(item) === Object.prototype) {
      return Object.fromEntries(Object.entries(item).map(([key, part]) => [key, copy(part)]));
    }
    return item;
  };
  return copy(value);
}

/** A text or token ids, as the engine takes them. @param {string | Uint32Array | number[]} input */
export function textOrIds(input) {
  return typeof input === "string" ? input : Uint32Array.from(input);
}
