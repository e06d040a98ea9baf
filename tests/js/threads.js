// Workers as threads of Node, each with an engine of its own: what a browser's workers are to each other.
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";

/** The thread's script: worker.js, with an engine that is read from a file, since Node fetches none. */
const SCRIPT = `
  import { readFile } from "node:fs/promises";
  import { parentPort, workerData } from "node:worker_threads";
  const { serve } = await import(workerData.worker);
  const scope = { onmessage: null, postMessage: (message, transfer) => parentPort.postMessage(message, transfer) };
  parentPort.on("message", (data) => scope.onmessage({ data }));
  serve(scope, async ({ module }) => {
    const engine = await import(workerData.engine);
    await engine.default({ module_or_path: module ?? (await readFile(new URL(workerData.wasm))) });
    return engine;
  });
`;

/**
 * What createWorker makes: threads, of which `made` holds all.
 * @param {{ folder?: string }} [options] the build: www/pkg unless told otherwise
 */
export function threads({ folder = "pkg" } = {}) {
  const www = new URL("../../www/", import.meta.url);
  const url = (name) => new URL(name, www).href;
  const workerData = { worker: url("worker.js"), engine: url(`${folder}/lora_lab.js`), wasm: url(`${folder}/lora_lab_bg.wasm`) };
  const made = [];
  const createWorker = () => {
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(SCRIPT)}`), { workerData });
    const worker = {
      thread,
      ended: false,
      onmessage: null,
      onerror: null,
      onmessageerror: null,
      postMessage: (message, transfer) => thread.postMessage(message, transfer),
      terminate() {
        worker.ended = true;
        return thread.terminate();
      },
    };
    thread.on("message", (data) => worker.onmessage?.({ data }));
    thread.on("error", (error) => worker.onerror?.({ message: error.message }));
    thread.on("messageerror", (error) => worker.onmessageerror?.(error));
    thread.on("exit", () => worker.onerror?.({ message: "the thread ended" }));
    made.push(worker);
    return worker;
  };
  return { made, createWorker };
}

/** The tiny model's files. */
export async function tinyFiles() {
  const file = (name) => readFile(new URL(`../../www/models/tiny/${name}`, import.meta.url));
  return { config: String(await file("config.json")), tokenizer: String(await file("tokenizer.json")), weights: new Uint8Array(await file("model.safetensors")) };
}
