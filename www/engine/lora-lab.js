/**
 * The engine without any interface: a tiny GPT in a worker, and LoRA adapters on it. No DOM is used here.
 *
 *     const lab = await LoraLab.load({ model: "models/tiny/" });
 *     await lab.attach({ rank: 8 });
 *     for await (const { step, loss } of lab.train({ text, steps: 200 })) console.log(step, loss);
 *     const { text } = await lab.generate("Once upon a time", { onText: (part) => write(part) });
 */

import { Client, blobWorker } from "./client.js";
import { resolved } from "./fetch.js";
import { Pool, howMany } from "./pool.js";
import { CODES, LabError, textOrIds } from "./protocol.js";
import { BROWSERS, hasRelaxedSimd, hasSimd } from "./simd.js";

export { CODES, LabError } from "./protocol.js";

/** @typedef {{ onNote?: (note: import("./protocol.js").Note) => void, signal?: AbortSignal, save?: "all" | "run" }} Asking */
/** @typedef {import("./types.js").AdapterFiles} AdapterFiles */
/** @typedef {import("./types.js").AdapterInfo} AdapterInfo */
/** @typedef {import("./types.js").AttachOptions} AttachOptions */
/** @typedef {import("./types.js").Candidates} Candidates */
/** @typedef {import("./types.js").Corpus} Corpus */
/** @typedef {import("./types.js").DeltaOptions} DeltaOptions */
/** @typedef {import("./types.js").DeltaView} DeltaView */
/** @typedef {import("./types.js").Footprint} Footprint */
/** @typedef {import("./types.js").GenerateOptions} GenerateOptions */
/** @typedef {import("./types.js").Generated} Generated */
/** @typedef {import("./types.js").LayerDelta} LayerDelta */
/** @typedef {import("./types.js").LoadOptions} LoadOptions */
/** @typedef {import("./types.js").ModelFiles} ModelFiles */
/** @typedef {import("./types.js").ModelInfo} ModelInfo */
/** @typedef {import("./types.js").ModelOptions} ModelOptions */
/** @typedef {import("./types.js").Plan} Plan */
/** @typedef {import("./types.js").Progress} Progress */
/** @typedef {import("./types.js").Saved} Saved */
/** @typedef {import("./types.js").Step} Step */
/** @typedef {import("./types.js").TrainOptions} TrainOptions */
/** @typedef {{ signal?: AbortSignal }} Abortable */
/** @typedef {[string | ModelFiles, ModelOptions, { fast: boolean, helpers: boolean }]} LoadArguments helpers: there may be some later */

export class LoraLab {
  /** To the leader. @type {Client} */
  #client = /** @type {any} */ (undefined);
  /** The leader's helpers. @type {Pool} */
  #pool = /** @type {any} */ (undefined);
  /** Settles when the worker, after a death the next one, can be asked. @type {Promise<void>} */
  #ready = Promise.resolve();
  /** What "load" is asked with, also of the next worker. @type {LoadArguments} */
  #model;
  #createWorker;
  #onRestart;
  #saveEvery;
  /** @type {Saved & { enabled: boolean, strength: number }} */
  #saved = { adapters: [], active: undefined, merged: false, run: undefined, enabled: true, strength: 1 };
  /** Counts the calls of train(): only the latest may step. */
  #run = 0;
  #disposed = false;

  /** @type {ModelInfo} */
  info;
  /** The instruction set of the engine, by which build it is: "simd128" or "relaxed-simd". */
  lanes = "";
  /** How many workers a step is spread over, if it has as many sequences. The first training starts them. @type {number} */
  workers;

  /**
   * Use LoraLab.load().
   * @param {Client} client
   * @param {{ info: ModelInfo, lanes: string }} loaded
   * @param {LoadArguments} model
   * @param {LoadOptions} options
   */
  constructor(client, { info, ...loaded }, model, { createWorker = blobWorker, onRestart, saveEvery = 2000, workers }) {
    this.#model = model;
    this.#createWorker = createWorker;
    this.#onRestart = onRestart;
    this.#saveEvery = saveEvery;
    this.info = info;
    this.workers = howMany(workers);
    this.#follow(client, loaded);
  }

  /**
   * Start a worker and load a model into it.
   * @param {LoadOptions} [options]
   * @returns {Promise<LoraLab>}
   */
  static async load(options = {}) {
    const { onProgress, signal, createWorker = blobWorker, splitQkv = false, full = false } = options;
    signal?.throwIfAborted();
    if (!hasSimd()) {
      throw new LabError(CODES.noSimd, `expected WebAssembly SIMD, which this browser lacks; it came with ${BROWSERS}`);
    }
    /** @type {LoadArguments} */
    const model = [resolved(options.model), { splitQkv, full }, engineOf(options)];
    const client = await Client.start(createWorker, signal);
    try {
      const onNote = onProgress && ((/** @type {{ data: any }} */ { data }) => onProgress(data));
      const { result } = await client.request("load", model, { onNote, signal });
      signal?.throwIfAborted();
      return new this(client, /** @type {any} */ (result), model, options);
    } catch (error) {
      client.close(new LabError(CODES.disposed, "loading failed"));
      throw error;
    }
  }

  /**
   * What attach() would do with these options; changes nothing.
   * @param {AttachOptions} [options]
   * @returns {Promise<Plan>}
   */
  plan({ name: _name, ...config } = {}) {
    return this.#ask("plan", [config]);
  }

  /**
   * Add a fresh adapter to the base and make it the active one. Its B is zero: nothing that the model says changes yet.
   * @param {AttachOptions} [options]
   * @returns {Promise<Plan>}
   */
  attach({ name = "default", ...config } = {}) {
    return this.#ask("attach", [name, config], { save: "all" });
  }

  /** @returns {Promise<AdapterInfo[]>} */
  adapters() {
    return this.#ask("adapters", []);
  }

  /** Make another adapter the active one. @param {string} name @returns {Promise<void>} */
  select(name) {
    return this.#ask("select", [name], { save: "all" });
  }

  /** Switch the active adapter off, or on again. @param {boolean} on @returns {Promise<void>} */
  async setEnabled(on) {
    await this.#ask("setEnabled", [on]);
    this.#saved.enabled = on;
  }

  /** A factor on the active adapter: 0 is the base, 1 as trained. @param {number} strength @returns {Promise<void>} */
  async setStrength(strength) {
    await this.#ask("setStrength", [strength]);
    this.#saved.strength = strength;
  }

  /** @param {string} from @param {string} to @returns {Promise<void>} */
  rename(from, to) {
    return this.#ask("rename", [from, to], { save: "all" });
  }

  /** @param {string} name @returns {Promise<void>} */
  remove(name) {
    return this.#ask("remove", [name], { save: "all" });
  }

  /** Fold the active adapter into the base's weights. @returns {Promise<void>} */
  merge() {
    return this.#ask("merge", [], { save: "all" });
  }

  /** Take it out again: the base is what it was, bit for bit. @returns {Promise<void>} */
  unmerge() {
    return this.#ask("unmerge", [], { save: "all" });
  }

  /** @returns {Promise<boolean>} */
  isMerged() {
    return this.#ask("isMerged", []);
  }

  /** The active adapter, or the one of that name, as PEFT's two files. @param {string} [name] @returns {Promise<AdapterFiles>} */
  exportAdapter(name) {
    return this.#ask("exportAdapter", [name]);
  }

  /**
   * Add an adapter from PEFT's two files and make it the active one. All or nothing.
   * @param {AdapterFiles & { name?: string }} files
   * @returns {Promise<Plan>}
   */
  importAdapter({ safetensors, config, name = "default" }) {
    return this.#ask("importAdapter", [name, safetensors, config], { save: "all" });
  }

  /**
   * Tokenise the text and make ready for the first step; train() without a text then takes the steps. Of use where something,
   * the held-out loss before training say, is wanted in between.
   * @param {TrainOptions & Abortable} options
   * @returns {Promise<Corpus>}
   */
  async beginTraining({ text, ids = [], signal, ...config }) {
    const corpus = await this.#ask("beginTraining", [text ?? Uint32Array.from(ids), config], { save: "all", signal });
    await this.#muster();
    return corpus;
  }

  /**
   * Train the active adapter: one step for each next(). Whoever stops asking has paused; breaking off keeps the state of the last
   * step yielded. With a text (or ids) a training begins; without, the one under way goes on (after a break, beginTraining() or
   * resume()). An abort is heard between two steps, and no step that was taken is kept back. A later train() ends an earlier one.
   * @param {TrainOptions & Abortable} [options]
   * @returns {AsyncGenerator<Step, void, undefined>}
   */
  async *train({ signal, ...options } = {}) {
    const run = ++this.#run;
    signal?.throwIfAborted();
    if (options.text !== undefined || options.ids !== undefined) await this.beginTraining({ ...options, signal });
    else await this.#muster();
    let savedAt = performance.now();
    let dirty = false;
    try {
      while (run === this.#run) {
        signal?.throwIfAborted();
        const save = performance.now() - savedAt > this.#saveEvery ? "run" : undefined;
        /** @type {Step} */
        const step = await this.#ask("step", [], { signal, save });
        if (save) savedAt = performance.now();
        dirty = !save;
        yield step;
        if (step.done) return;
      }
    } finally {
      // Not awaited: the answer to a break should not wait for a copy made only in case the worker dies.
      if (dirty) this.#ask("save", [], { save: "all" }).catch(() => {});
    }
  }

  /** Mean loss on the held-out share, with the adapter as it is; undefined if nothing is held out. @param {Abortable} [options] @returns {Promise<number | undefined>} */
  evaluate({ signal } = {}) {
    return this.#ask("evaluate", [], { signal });
  }

  /** Whether there is a training, under way or at its end. @returns {Promise<boolean>} */
  isTraining() {
    return this.#ask("isTraining", []);
  }

  /** Adapter, optimizer, position and data in one: everything that resume() needs to go on. @returns {Promise<Uint8Array>} */
  saveState() {
    return this.#ask("saveState", []);
  }

  /** On the same base, go back to a saved state; train() without a text goes on from there. @param {Uint8Array} bytes @returns {Promise<{ step: number, steps: number }>} */
  resume(bytes) {
    return this.#ask("resume", [bytes], { save: "all" });
  }

  /** The active adapter as it was when attached, and a fresh optimizer. @returns {Promise<void>} */
  reset() {
    return this.#ask("reset", [], { save: "all" });
  }

  /**
   * Continue a prompt. An abort rejects with the signal's reason; what came until then has gone to `onText`.
   * @param {string | Uint32Array | number[]} prompt
   * @param {GenerateOptions & Abortable & { onText?: (text: string) => void }} [options]
   * @returns {Promise<Generated>}
   */
  generate(prompt, { onText, signal, ...options } = {}) {
    const onNote = onText && ((/** @type {{ data: any }} */ { data }) => onText(data));
    return this.#ask("generate", [textOrIds(prompt), options], { onNote, signal });
  }

  /** How much the active adapter adds to each layer: cheap enough for every few steps of a training. @returns {Promise<LayerDelta[]>} */
  deltas() {
    return this.#ask("deltas", []);
  }

  /** What it adds to one layer: a map of ΔW and its singular values. @param {string} name @param {DeltaOptions} [options] @returns {Promise<DeltaView>} */
  delta(name, options = {}) {
    return this.#ask("delta", [name, options]);
  }

  /**
   * The tokens of a text (of at most a context) and, after each, the likeliest next ones of the base and of the adapter.
   * @param {string | Uint32Array | number[]} prompt
   * @param {{ count?: number } & Abortable} [options]
   * @returns {Promise<Candidates>}
   */
  candidates(prompt, { signal, ...options } = {}) {
    return this.#ask("candidates", [textOrIds(prompt), options], { signal });
  }

  /**
   * Mean loss of any text in nats a token, with the adapter as it is switched or, by `adapter: false`, of the base alone.
   * @param {string | Uint32Array | number[]} text
   * @param {{ adapter?: boolean } & Abortable} [options]
   * @returns {Promise<number>}
   */
  loss(text, { signal, ...options } = {}) {
    return this.#ask("loss", [textOrIds(text), options], { signal });
  }

  /** Logits (time · vocabulary) after each of the ids, with the adapter as enabled. @param {Uint32Array | number[]} ids @param {Abortable} [options] @returns {Promise<Float32Array>} */
  logits(ids, { signal } = {}) {
    return this.#ask("logits", [Uint32Array.from(ids)], { signal });
  }

  /** @param {string} text @returns {Promise<Uint32Array>} */
  encode(text) {
    return this.#ask("encode", [text]);
  }

  /** @param {Uint32Array | number[]} ids @returns {Promise<string>} */
  decode(ids) {
    return this.#ask("decode", [Uint32Array.from(ids)]);
  }

  /** SHA-256 over the base's weights as they lie in the worker's memory now. @returns {Promise<string>} */
  baseDigest() {
    return this.#ask("baseDigest", []);
  }

  /** What the training takes or, before one, what it would take: for the active adapter or, loaded with `full`, for all weights. @returns {Promise<Footprint>} */
  footprint() {
    return this.#ask("footprint", []);
  }

  /** Bytes of the engine's memory: the leader's, if there are several workers. @returns {Promise<number>} */
  memory() {
    return this.#ask("memory", []);
  }

  /** The same for each worker that runs, the leader's first. @returns {Promise<number[]>} */
  memories() {
    return this.#ask("memories", []);
  }

  /**
   * Go on with another number of workers or the other build. Adapters and training are kept; train() takes up where it stood. What is asked
   * meanwhile, another reload() as well, waits.
   * @param {{ workers?: number, fast?: boolean }} options as in load()
   */
  async reload(options) {
    const engine = engineOf(options);
    const before = this.#ready;
    const anew = async () => {
      await before;
      await this.#askNow("save", [], { save: "all" });
      this.workers = howMany(options.workers);
      this.#model = [this.#model[0], this.#model[1], engine];
      const reason = new LabError(CODES.workerDied, "the engine was loaded anew");
      this.#client.close(reason);
      await this.#replace(reason);
    };
    return this.#readyAfter(anew());
  }

  /** End the workers. Whatever is pending rejects with the code "disposed". */
  async dispose() {
    this.#disposed = true;
    const error = disposed();
    this.#client.close(error);
    this.#pool.end(error);
  }

  /** See that there are as many helpers as the training can use. They start while it goes on. */
  async #muster() {
    if (this.workers === 1) return;
    const { sequences } = await this.#ask("position", []);
    this.#pool.grow(Math.min(this.workers, sequences) - 1);
  }

  /** @param {string} method @param {unknown[]} args @param {Asking} [options] @returns {Promise<any>} */
  async #ask(method, args, options) {
    await this.#ready;
    return this.#askNow(method, args, options);
  }

  /** Of the leader there is at this moment. @param {string} method @param {unknown[]} args @param {Asking} [options] @returns {Promise<any>} */
  async #askNow(method, args, options) {
    if (this.#disposed) throw disposed();
    const { result, saved } = await this.#client.request(method, args, options);
    Object.assign(this.#saved, saved);
    return result;
  }

  /** This worker leads from now on. @param {Client} client @param {{ lanes: string }} loaded */
  #follow(client, { lanes }) {
    this.#client = client;
    this.lanes = lanes;
    this.#pool = new Pool(client, this.#createWorker);
    client.onDeath = (error) => this.#readyAfter(this.#replace(error, () => this.#onRestart?.(error)));
  }

  /**
   * Another leader in the place of the one that is gone or going.
   * @param {LabError} reason
   * @param {() => void} [then]
   */
  async #replace(reason, then) {
    this.#pool.end(reason);
    // Hardly any page needs it.
    const { replacement } = await import("./restart.js");
    const next = await replacement(this.#createWorker, this.#model, this.#saved, { reason, unwanted: () => this.#disposed });
    if (!next) return;
    this.#saved = next.state;
    this.#follow(next.client, next.loaded);
    then?.();
  }

  /** Every later request waits for it and fails as it does. @param {Promise<void>} work */
  #readyAfter(work) {
    this.#ready = work;
    // Without a later request nobody would have listened.
    work.catch(() => {});
    return work;
  }
}

const disposed = () => new LabError(CODES.disposed, "this lab was disposed of");

/** The build and whether there may be helpers. @param {{ workers?: number, fast?: boolean }} options */
function engineOf({ workers, fast = false }) {
  return { fast: fast && hasRelaxedSimd(), helpers: howMany(workers) > 1 };
}
