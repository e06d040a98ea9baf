/**
 * The worker: owns the wasm instance and answers requests one after another, in the order in which they came.
 * Only aborts and notices overtake. Nothing blocks longer than one call into wasm, such as one token.
 */

import { fetchBytes } from "./fetch.js";
import { CODES, LabError, START, buffers } from "./protocol.js";

/** @typedef {import("./leader.js").Leader} Leader */
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

/** Methods handed straight to Rust, with the same arguments and results. */
const PLAIN = /** @type {const} */ ([
  "plan", "attach", "adapters", "select", "setEnabled", "setStrength", "rename", "remove", "merge", "unmerge", "isMerged",
  "exportAdapter", "importAdapter", "beginTraining", "endTraining", "position", "evaluate", "isTraining", "saveState", "resume", "reset",
  "deltas", "delta", "candidates", "loss", "logits", "encode", "decode", "baseDigest", "footprint", "memory",
]);

/**
 * What is saved after a request, by what it may have changed. Names are saved to report what cannot be restored.
 * @type {{ [what in import("./protocol.js").Saving]: (lab: WasmLab) => Partial<Saved> }}
 */
const SAVING = {
  all: (lab) => ({
    adapters: lab.saveAdapters(),
    names: lab.adapters().map(({ name }) => name),
    at: lab.isTraining() ? lab.position().step : 0,
    ...SAVING.defaults(lab),
    ...SAVING.run(lab),
  }),
  defaults: (lab) => ({ defaults: lab.defaults() }),
  run(lab) {
    if (!lab.isTraining()) return { run: undefined };
    const { adapter, step } = lab.position();
    return { run: lab.saveState(), trains: adapter ?? "", step };
  },
};

/** The URLs of a build's files, each written out: bundlers, which move files, find only literal ones. @param {boolean} [fast] */
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
  const { handle, leader } = requestHandler(loadEngine);

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
    if ("join" in data) return heard(leader().then((leader) => leader.join(data.join, data.port)));
    if ("leave" in data) return heard(leader().then((leader) => leader.leave(data.leave)));
    const controller = new AbortController();
    open.set(data.id, controller);
    queue = queue.then(() => run(data, controller));
  };
  scope.postMessage({ id: START, event: "done", result: undefined }, []);
}

/**
 * The answer to a request that threw. A panic or an exhausted memory traps as a RuntimeError and leaves the
 * wasm instance unusable: that is fatal, and the client starts another worker.
 * @param {number} id
 * @param {unknown} error
 * @returns {import("./protocol.js").Failed}
 */
function failed(id, error) {
  const { code, message } = /** @type {{ code?: unknown, message?: unknown }} */ (Object(error));
  return {
    id,
    event: "failed",
    code: typeof code === "string" ? code : CODES.internal,
    message: typeof message === "string" ? message : String(error),
    fatal: error instanceof WebAssembly.RuntimeError,
  };
}

/** A notice has no answer: if a helper cannot join, training goes on without it. @param {Promise<void>} work */
const heard = (work) => work.catch(() => {});

/** Only training needs it, so the first one fetches it. */
async function leaderModule() {
  try {
    return await import("./leader.js");
  } catch (error) {
    throw new LabError(CODES.workerScript, `a part of the worker could not be loaded (${error})`, { cause: error });
  }
}

/** @param {(options: EngineOptions) => Promise<Engine>} loadEngine */
function requestHandler(loadEngine) {
  /** @type {WasmLab | undefined} */
  let loaded;
  /** For helpers, if there may be any. @type {import("./leader.js").Equipment | undefined} */
  let equipment;
  /** @type {Promise<Leader> | undefined} */
  let coming;
  const leader = () => {
    coming ??= leaderModule().then(({ Leader }) => new Leader(equipment)).catch((error) => {
      coming = undefined; // the next step tries again
      throw error;
    });
    return coming;
  };
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
        equipment = { config, weights: new Blob([weights]), tokenizer, options, engine: { fast, module: engine.module() } };
      }
      return { info: fresh.info(), lanes: engine.lanes() };
    },
    help: async ([port]) => (await leaderModule()).help(port, loadEngine),
    step: async () => timedStep(lab(), await leader()),
    memories: async () => [lab().memory(), ...((await coming)?.memories() ?? [])],
    generate: (args, context) => generate(lab(), args, context),
    restore: ([{ adapters, defaults, run }]) => lab().restore(adapters, defaults, run),
    save: () => undefined, // every request with `save` gets the saved state with its answer
  };
  for (const name of PLAIN) methods[name] = async (args) => /** @type {any} */ (lab())[name](...(await Promise.all(args.map(read))));

  /** @type {(request: Request, context: Context) => Promise<{ result: unknown, saved?: Partial<Saved> }>} */
  const handle = async ({ method, args, save }, context) => {
    if (!Object.hasOwn(methods, method)) throw new LabError(CODES.unknownMethod, `expected a method of the worker, got ${method}`);
    const result = await methods[method](args, context);
    return save ? { result, saved: SAVING[save](lab()) } : { result };
  };
  return { handle, leader };
}

/** An argument; of a Blob its bytes. @template T @param {T} value */
async function read(value) {
  if (!(value instanceof Blob)) return value;
  const bytes = value.arrayBuffer().catch((error) => {
    throw new LabError(CODES.fetch, `a Blob could not be read (${error})`, { cause: error });
  });
  return /** @type {Exclude<T, Blob>} */ (new Uint8Array(await bytes));
}

/**
 * @param {string | import("./types.js").ModelFiles} model a folder's URL, or the files themselves
 * @param {AbortSignal} signal
 * @param {Context["note"]} note
 */
async function modelFiles(model, signal, note) {
  if (typeof model !== "string") return { ...model, weights: /** @type {Uint8Array<ArrayBuffer>} */ (await read(model.weights)) };
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

/** One optimizer step, and how fast it was: the core has no clock. @param {WasmLab} lab @param {Leader} leader */
async function timedStep(lab, leader) {
  const start = performance.now();
  const step = await leader.step(lab);
  // The clock may be clamped to whole milliseconds.
  const seconds = Math.max(performance.now() - start, 1) / 1000;
  return { ...step, tokensPerSecond: step.tokens / seconds };
}

/**
 * Token by token; in between, messages are handled.
 * @param {WasmLab} lab
 * @param {any[]} args of beginGeneration
 * @param {Context} context
 * @returns {Promise<import("./types.js").Generated>}
 */
async function generate(lab, args, { signal, note }) {
  lab.beginGeneration(.../** @type {Parameters<WasmLab["beginGeneration"]>} */ (args));
  const breath = breather();
  const ids = [];
  let text = "";
  try {
    for (let done = false; !done; ) {
      const token = lab.nextToken();
      done = token.done;
      // The last one may hold only text that was held back until then.
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
