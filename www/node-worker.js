/** The worker as a thread of Node: see node.js. */

import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";
import { serve } from "./worker.js";

const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
/** @type {import("./worker.js").Scope} */
const scope = { onmessage: null, postMessage: (message, transfer) => port.postMessage(message, transfer) };
port.on("message", (data) => scope.onmessage?.({ data }));

serve(scope, async ({ fast, module }) => {
  const folder = new URL(fast ? "pkg/relaxed/" : "pkg/", import.meta.url);
  const engine = await import(new URL("lora_lab.js", folder).href);
  // Node's fetch reads no files, so the engine cannot fetch its own wasm there.
  await engine.default({ module_or_path: module ?? (await readFile(new URL("lora_lab_bg.wasm", folder))) });
  return engine;
});
