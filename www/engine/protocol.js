/**
 * What page and worker say to each other. It imports nothing.
 *
 * A request has an id; every answer repeats it; exactly one "done" or "failed" closes it, and
 * before that any number of "progress" and "text" may come. { id, abort: true } asks the worker to
 * give a request up: the answer is still one "done" (it was too late) or one "failed" ("aborted").
 *
 * { join, port } and { leave } tell a worker of others that help it train. They overtake requests, as an abort does, and have no answer.
 */

/**
 * What a request may have changed and its answer has to save. "defaults": which adapter is active, enabled and merged, and the strength;
 * "run": the training; "all": these and the adapters.
 * @typedef {"all" | "defaults" | "run"} Saving
 */
/** @typedef {{ id: number, method: string, args: unknown[], save?: Saving }} Request */
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
    /** With the code "lost": what could not be restored. @type {import("./types.js").Lost | undefined} */
    this.lost = undefined;
  }
}

/** Codes that are JavaScript's, not the core's. */
export const CODES = Object.freeze({
  aborted: "aborted", // in the protocol: the caller sees signal.reason. From the page: a text was given up for another one
  config: "config", // an option makes no sense; the core's own code for the same
  disposed: "disposed", // the lab was disposed of
  fetch: "fetch", // a file could not be fetched
  internal: "internal", // an error without a code: a bug
  lost: "lost", // reload() could not keep everything
  noSimd: "no-simd", // this browser has no WebAssembly SIMD
  notLoaded: "not-loaded", // a request came before "load"
  unknownMethod: "unknown-method",
  workerDied: "worker-died", // the worker is gone; another has been started and restored
  workerScript: "worker-script", // the worker's script could not be loaded
});

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
