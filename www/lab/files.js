/** Files that the reader opens or drops, checked by their contents as well as their names. */

import { LabError } from "../engine/protocol.js";
import { withPlainLines } from "./corpus.js";

/** A hundred times what trains well; a text area with more would no longer scroll smoothly. */
const LARGEST_TEXT = 1_000_000;

/**
 * A text file's text.
 * @param {File} file
 */
export async function readText(file) {
  if (file.size > LARGEST_TEXT) throw new LabError("text-large", `${file.name}: ${file.size} bytes, expected at most ${LARGEST_TEXT}`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw new LabError("text-binary", `${file.name}: byte ${zero} is zero, which no text has`);
  /** @type {string} */
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new LabError("text-binary", `${file.name}: not UTF-8`, { cause: error });
  }
  if (!text.trim()) throw new LabError("text-empty", `${file.name}: no text in it`);
  return withPlainLines(text);
}

/**
 * The two files of an adapter, in whichever order they come.
 * @param {File[]} files
 * @returns {Promise<import("../engine/types.js").AdapterFiles>}
 */
export async function readAdapter(files) {
  const config = files.find(({ name }) => name.endsWith(".json"));
  const safetensors = files.find(({ name }) => name.endsWith(".safetensors"));
  if (files.length !== 2 || !config || !safetensors) {
    const got = files.map(({ name }) => name).join(", ") || "nothing";
    throw new LabError("adapter-files", `expected adapter_model.safetensors and adapter_config.json together, got ${got}`);
  }
  const [text, buffer] = await Promise.all([config.text(), safetensors.arrayBuffer()]);
  return { config: text, safetensors: new Uint8Array(buffer) };
}
