/** The engine's worker as a thread of Node (worker_threads). */

import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";
import { engineFiles, serve } from "./worker.js";

const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
/** @type {import("./worker.js").Scope} */
const scope = { onmessage: null, postMessage: (message, transfer) => port.postMessage(message, transfer) };
port.on("message", (data) => scope.onmessage?.({ data }));

serve(scope, async ({ fast, module }) => {
  const { script, wasm } = engineFiles(fast);
  const engine = await import(script.href);
  // Node's fetch reads no files, so the engine cannot fetch its own wasm there.
  await engine.default({ module_or_path: module ?? (await readFile(wasm)) });
  return engine;
});
