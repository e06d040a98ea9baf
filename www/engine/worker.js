/**
 * The worker: owns the wasm instance and answers requests one after another, in the order in which they came.
 * Only an abort overtakes. Nothing blocks longer than one call into wasm: one step, one token, one evaluation.
 */

import { Crew, help } from "./crew.js";
import { fetchBytes } from "./fetch.js";
import { CODES, LabError, START, buffers, failed } from "./protocol.js";

/** @typedef {import("./protocol.js").Request} Request */
/** @typedef {import("./types.js").Engine} Engine */
/** @typedef {import("./types.js").EngineOptions} EngineOptions */
/** @typedef {import("./types.js").Saved} Saved */
/** @typedef {import("./types.js").WasmLab} WasmLab */
/** @typedef {{ signal: AbortSignal, note: (event: "progress" | "text", data: unknown) => void }} Context */
/**
 * As much of a worker's global scope, or of a MessagePort, as is used here.
 * @typedef {object} Scope
 * @property {((event: any) => void) | null} onmessage
 * @property {(message: any, transfer: any) => void} postMessage
 */

/** Methods that JavaScript calls as Rust has them: the arguments go in, the result comes out. */
const PLAIN = /** @type {const} */ ([
  "plan", "attach", "adapters", "select", "setEnabled", "setStrength", "rename", "remove", "merge", "unmerge", "isMerged",
  "exportAdapter", "importAdapter", "beginTraining", "position", "evaluate", "isTraining", "saveState", "resume", "reset",
  "deltas", "delta", "candidates", "loss", "logits", "encode", "decode", "baseDigest", "footprint", "memory",
]);

/** Where a build of the engine lies. Each address is written out: a bundler, which moves files, sees them only so. @param {boolean} [fast] */
export function engineFiles(fast) {
  return fast
    ? { script: new URL("../pkg/relaxed/lora_lab.js", import.meta.url), wasm: new URL("../pkg/relaxed/lora_lab_bg.wasm", import.meta.url) }
    : { script: new URL("../pkg/lora_lab.js", import.meta.url), wasm: new URL("../pkg/lora_lab_bg.wasm", import.meta.url) };
}

/** @param {EngineOptions} options @returns {Promise<Engine>} */
async function wasmEngine({ fast, module }) {
  const { script, wasm } = engineFiles(fast);
  const engine = await import(/* @vite-ignore */ script.href);
  await engine.default({ module_or_path: module ?? wasm });
  return engine;
}

/**
 * Answer what arrives at `scope`.
 * @param {Scope} scope
 * @param {(options: EngineOptions) => Promise<Engine>} [loadEngine]
 */
export function serve(scope, loadEngine = wasmEngine) {
  /** @type {Map<number, AbortController>} */
  const open = new Map();
  let queue = Promise.resolve();
  const crew = new Crew();
  const handle = requestHandler(loadEngine, crew);

  /** @param {Request} request @param {AbortController} controller */
  async function run(request, controller) {
    const { id } = request;
    try {
      if (controller.signal.aborted) throw controller.signal.reason;
      const note = /** @type {Context["note"]} */ ((event, data) => scope.postMessage({ id, event, data }, []));
      const answer = { id, event: "done", ...(await handle(request, { signal: controller.signal, note })) };
      scope.postMessage(answer, buffers(answer));
    } catch (error) {
      const aborted = controller.signal.aborted && error === controller.signal.reason;
      scope.postMessage(failed(id, aborted ? new LabError(CODES.aborted, `${request.method} was aborted`) : error), []);
    } finally {
      open.delete(id);
    }
  }

  scope.onmessage = ({ data }) => {
    if (data.abort) return open.get(data.id)?.abort();
    if ("join" in data) return crew.join(data.join, data.port);
    if ("leave" in data) return crew.leave(data.leave);
    const controller = new AbortController();
    open.set(data.id, controller);
    queue = queue.then(() => run(data, controller));
  };
  scope.postMessage({ id: START, event: "done", result: undefined }, []);
}

/** @param {(options: EngineOptions) => Promise<Engine>} loadEngine @param {Crew} crew */
function requestHandler(loadEngine, crew) {
  /** @type {WasmLab | undefined} */
  let loaded;
  const lab = () => {
    if (!loaded) throw new LabError(CODES.notLoaded, "expected load before anything else");
    return loaded;
  };

  /** @type {Record<string, (args: any[], context: Context) => unknown>} */
  const methods = {
    async load([model, options, { fast = false, helpers = false } = {}], { signal, note }) {
      note("progress", { phase: "engine", loaded: 0, total: undefined });
      // Neither waits for the other: compiling and downloading overlap.
      const [engine, files] = await Promise.all([loadEngine({ fast }), modelFiles(model, signal, note)]);
      signal.throwIfAborted();
      const fresh = new engine.Lab(files.config, files.weights, files.tokenizer, options);
      loaded?.free();
      loaded = fresh;
      if (helpers) {
        const { config, weights, tokenizer } = files;
        crew.equipment = { config, weights: new Blob([weights]), tokenizer, options, engine: { fast, module: engine.module() } };
      }
      return { info: fresh.info(), lanes: engine.lanes() };
    },
    help: ([port]) => help(port, loadEngine),
    step: () => timedStep(lab(), crew),
    memories: () => [lab().memory(), ...crew.memories()],
    generate: ([prompt, options], context) => generate(lab(), prompt, options, context),
    restore: ([saved]) => restore(lab(), saved),
    save: () => undefined, // what is saved goes with the answer, as with every request that says `save`
  };
  for (const name of PLAIN) methods[name] = (args) => /** @type {any} */ (lab())[name](...args);

  /** @param {Request} request @param {Context} context */
  return async ({ method, args, save }, context) => {
    if (!Object.hasOwn(methods, method)) throw new LabError(CODES.unknownMethod, `expected a method of the worker, got ${method}`);
    const result = await methods[method](args, context);
    return save ? { result, saved: save === "run" ? savedRun(lab()) : savedAll(lab()) } : { result };
  };
}

/**
 * @param {string | import("./types.js").ModelFiles} model a folder's URL, or the files themselves
 * @param {AbortSignal} signal
 * @param {Context["note"]} note
 */
async function modelFiles(model, signal, note) {
  if (typeof model !== "string") return model;
  /** @param {string} name */
  const url = (name) => new URL(name, model.endsWith("/") ? model : `${model}/`);
  /** @param {number} loaded @param {number | undefined} total */
  const onProgress = (loaded, total) => note("progress", { phase: "weights", loaded, total });
  const [config, tokenizer, weights] = await Promise.all([
    fetchBytes(url("config.json"), { signal }),
    fetchBytes(url("tokenizer.json"), { signal, optional: true }),
    fetchBytes(url("model.safetensors"), { signal, onProgress }),
  ]);
  const text = new TextDecoder();
  return {
    config: text.decode(config),
    weights: /** @type {Uint8Array<ArrayBuffer>} */ (weights),
    tokenizer: tokenizer && text.decode(tokenizer),
  };
}

/** One optimizer step, and how fast it was: the core has no clock. @param {WasmLab} lab @param {Crew} crew */
async function timedStep(lab, crew) {
  const start = performance.now();
  const step = await crew.step(lab);
  // The clock may be clamped to whole milliseconds.
  const seconds = Math.max(performance.now() - start, 1) / 1000;
  return { ...step, tokensPerSecond: step.tokens / seconds };
}

/**
 * Token by token; between two, messages are heard.
 * @param {WasmLab} lab
 * @param {string | Uint32Array} prompt
 * @param {import("./types.js").GenerateOptions} options
 * @param {Context} context
 * @returns {Promise<import("./types.js").Generated>}
 */
async function generate(lab, prompt, options, { signal, note }) {
  lab.beginGeneration(prompt, options);
  const breath = breather();
  const ids = [];
  let text = "";
  try {
    for (let done = false; !done; ) {
      const token = lab.nextToken();
      done = token.done;
      // The last answer may hold nothing but the text kept back until then.
      if (token.id !== null) ids.push(token.id);
      text += token.text;
      if (token.text) note("text", token.text);
      await breath.take();
      signal.throwIfAborted();
    }
  } finally {
    breath.end();
  }
  return { text, ids: Uint32Array.from(ids) };
}

/** Lets the event loop turn once. A timer would be clamped to 4 ms after a few turns; a message is not. */
function breather() {
  const { port1, port2 } = new MessageChannel();
  return {
    take: () =>
      new Promise((resolve) => {
        port1.onmessage = resolve;
        port2.postMessage(0);
      }),
    end: () => port1.close(),
  };
}

/** @param {WasmLab} lab @returns {Partial<Saved>} */
function savedRun(lab) {
  return { run: lab.isTraining() ? lab.saveState() : undefined };
}

/** @param {WasmLab} lab @returns {Saved} */
function savedAll(lab) {
  const adapters = lab.adapters();
  return {
    adapters: adapters.map(({ name }) => ({ name, ...lab.exportAdapter(name) })),
    active: adapters.find(({ active }) => active)?.name,
    merged: lab.isMerged(),
    run: undefined,
    ...savedRun(lab),
  };
}

/**
 * Put a fresh lab where a dead one was.
 * @param {WasmLab} lab
 * @param {Saved & { enabled: boolean, strength: number }} saved
 */
function restore(lab, saved) {
  for (const { name, safetensors, config } of saved.adapters) lab.importAdapter(name, safetensors, config);
  if (saved.active !== undefined) lab.select(saved.active);
  if (saved.run) lab.resume(saved.run);
  if (saved.adapters.length) {
    lab.setStrength(saved.strength);
    lab.setEnabled(saved.enabled);
  }
  if (saved.merged) lab.merge();
}
