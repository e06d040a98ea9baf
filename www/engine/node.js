/**
 * The engine in Node: the same class, over worker_threads. `model` may also be a folder on disk.
 *
 *     import { LoraLab } from "lora-lab";
 *     const lab = await LoraLab.load({ model: "models/tiny" });
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { isPlain, refuse } from "./arguments.js";
import { CODES, LabError, LoraLab as Engine } from "./lora-lab.js";

export * from "./lora-lab.js";

/** @typedef {import("./lora-lab.js").LoadOptions} LoadOptions */
/** @typedef {import("./types.js").ModelFiles} ModelFiles */

export class LoraLab extends Engine {
  /**
   * Start a worker thread and load a model into it. It keeps the program alive until dispose().
   * @param {LoadOptions} [options] `model` may be a path as well
   * @returns {Promise<LoraLab>}
   */
  static async load(options = {}) {
    // The base class refuses what is not an object, with an error that names it.
    if (!isPlain(options)) return super.load(options);
    const { model = new URL("../models/tiny/", import.meta.url) } = options;
    const isAddress = typeof model === "string" || model instanceof URL;
    return super.load({ createWorker: threadWorker, ...options, model: isAddress ? await onDisk(model) : model });
  }
}

/** A thread that behaves as a Worker of a browser does. @returns {import("./client.js").WorkerLike} */
export function threadWorker() {
  const thread = new Worker(new URL("node-worker.js", import.meta.url));
  /** @type {import("./client.js").WorkerLike} */
  const worker = {
    onmessage: null,
    onerror: null,
    onmessageerror: null,
    postMessage: (message, transfer) => thread.postMessage(message, transfer),
    terminate: () => thread.terminate(),
  };
  thread.on("message", (data) => worker.onmessage?.({ data }));
  thread.on("messageerror", () => worker.onmessageerror?.({}));
  thread.on("error", (error) => worker.onerror?.(error));
  // A thread may also end without an error, as by process.exit() in it.
  thread.on("exit", (code) => worker.onerror?.({ message: `the thread ended with code ${code}` }));
  return worker;
}

/** The files of a folder on disk, read; an http(s) address as it is. @param {string | URL} model */
async function onDisk(model) {
  if (/^https?:/.test(String(model))) return model;
  const folder = /^file:/.test(String(model)) ? pathOf(model) : String(model);
  const [config, weights, tokenizer] = await Promise.all(["config.json", "model.safetensors", "tokenizer.json"].map((name) => read(folder, name)));
  return { config: String(config), weights: Uint8Array.from(/** @type {Uint8Array} */ (weights)), tokenizer: tokenizer && String(tokenizer) };
}

/** @param {string | URL} address */
function pathOf(address) {
  try {
    return fileURLToPath(address);
  } catch {
    return refuse("model", "the address of a folder on this machine", String(address));
  }
}

/** @param {string} folder @param {string} name */
async function read(folder, name) {
  const file = join(folder, name);
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = /** @type {{ code?: string }} */ (error);
    if (name === "tokenizer.json" && code === "ENOENT") return undefined;
    throw new LabError(CODES.fetch, `${file}: expected a file, got ${code ?? error}`, { cause: error });
  }
}
