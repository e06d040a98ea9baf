/** The worker as a thread of Node: see node.js. */

import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";
import { serve } from "./worker.js";

const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
/** @type {import("./worker.js").Scope} */
const scope = { onmessage: null, postMessage: (message, transfer) => port.postMessage(message, transfer) };
port.on("message", (data) => scope.onmessage?.({ data }));

serve(scope, async ({ fast, module }) => {
  const script = fast ? new URL("pkg/relaxed/lora_lab.js", import.meta.url) : new URL("pkg/lora_lab.js", import.meta.url);
  const engine = await import(script.href);
  // Node's fetch reads no files, so the engine cannot fetch its own wasm there.
  const file = fast ? new URL("pkg/relaxed/lora_lab_bg.wasm", import.meta.url) : new URL("pkg/lora_lab_bg.wasm", import.meta.url);
  await engine.default({ module_or_path: module ?? (await readFile(file)) });
  return engine;
});
