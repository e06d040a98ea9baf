/** A run as a folder for a bigger machine: what transformers, PEFT and Accelerate need to go on with it. No DOM. */

import { fetchBytes } from "../engine/fetch.js";
import { LabError } from "../engine/protocol.js";
import { action } from "./actions.js";
import { atWork } from "./slots.js";
import { rests } from "./state.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Run} Run */
/** @typedef {Record<string, Uint8Array>} Folder paths and contents */

const BASE = ["config.json", "tokenizer.json", "model.safetensors"];
const WRITTEN = ["README.md", "requirements.txt", "train.py"];
/** @type {(keyof import("../engine/types.js").Step)[]} */
const COLUMNS = ["step", "loss", "heldOutLoss", "learningRate", "gradNorm", "tokens", "tokensPerSecond"];

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);

/** Each step of a run as a line. @param {Run} run */
export function logAsCsv({ log }) {
  const lines = log.map((step) => COLUMNS.map((name) => step[name] ?? "").join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\n");
}

/** Each step of a run with the settings that it was begun with. @param {Run} run @param {import("../engine/types.js").ModelInfo | undefined} model */
export function logAsJson({ log, settings, sample, corpus, firstHeldOut }, model) {
  const { rank, alpha, targets, learningRate, steps, batchSize, blockSize, seed } = settings;
  const { layers: _layers, ...base } = model ?? {};
  const experiment = { sample, seed, adapter: { rank, alpha, targets }, training: { steps, batchSize, blockSize, learningRate }, corpus, heldOutLossBefore: firstHeldOut };
  return `${JSON.stringify({ base, ...experiment, steps: log.map(({ done: _done, ...step }) => step) }, null, 1)}\n`;
}

/** The whole run as one .zip. Nothing is trained meanwhile: adapter and state have to be of one step. */
export const exportFolder = action("exportFolder", {
  place: "further",
  when: ({ phase, run }) => rests(phase) && Boolean(run?.log.length && !run.over),
  /** @param {Session} session @param {string} name of the folder */
  async perform(session, name) {
    const files = await folder(session).catch((error) => {
      // A worker's death may have taken it meanwhile.
      throw session.state.run?.over ? new LabError("lost", "the training's state", { cause: error }) : error;
    });
    return zipped(files, name);
  },
});

/**
 * Everything, by path.
 * @param {Pick<Session, "lab" | "state" | "model">} session
 * @param {(url: URL) => Promise<Uint8Array | undefined>} [read]
 * @returns {Promise<Folder>}
 */
export async function folder(session, read = fetchBytes) {
  const { lab, state, model } = session;
  const { run, info } = state;
  if (!lab || !run) throw new LabError("order", "exporting a folder needs a training first");
  const fetched = async (/** @type {string[]} */ names, /** @type {string | URL} */ from) =>
    Object.fromEntries(await Promise.all(names.map(async (name) => [name, /** @type {Uint8Array} */ (await read(new URL(name, from)))])));
  // The base comes out of the browser's cache; adapter and state are of one step, since nothing trains meanwhile.
  const [base, written, adapter, saved] = await Promise.all([
    fetched(BASE, model), fetched(WRITTEN, new URL("../further/", import.meta.url)), lab.exportAdapter(atWork(state)), lab.saveState(),
  ]);
  return {
    ...written,
    ...Object.fromEntries(Object.entries(base).map(([name, content]) => [`base/${name}`, content])),
    "adapter/adapter_model.safetensors": adapter.safetensors,
    "adapter/adapter_config.json": bytes(adapter.config),
    "run.safetensors": saved,
    "text.txt": bytes(run.text),
    "log.csv": bytes(logAsCsv(run)),
    "log.json": bytes(logAsJson(run, info)),
  };
}

/**
 * A folder as one .zip.
 * @param {Folder} files
 * @param {string} name of the folder that it unpacks to
 * @returns {Promise<Uint8Array>}
 */
export async function zipped(files, name) {
  const script = new URL("../vendor/fflate.js", import.meta.url).href;
  const { zipSync } = /** @type {typeof import("fflate")} */ (await import(script));
  // Weights hardly compress.
  const entries = Object.entries(files).map(([path, content]) => [`${name}/${path}`, [content, { level: path.endsWith(".safetensors") ? 0 : 6 }]]);
  return zipSync(Object.fromEntries(entries));
}
