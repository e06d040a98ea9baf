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

/** @typedef {{ onNote?: (note: import("./protocol.js").Note) => void, signal?: AbortSignal, save?: import("./protocol.js").Saving }} Asking */
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
/** @typedef {import("./types.js").Lost} Lost */
/** @typedef {import("./types.js").ModelFiles} ModelFiles */
/** @typedef {import("./types.js").ModelInfo} ModelInfo */
/** @typedef {import("./types.js").ModelOptions} ModelOptions */
/** @typedef {import("./types.js").Plan} Plan */
/** @typedef {import("./types.js").Progress} Progress */
/** @typedef {import("./types.js").Resumed} Resumed */
/** @typedef {import("./types.js").Saved} Saved */
/** @typedef {import("./types.js").Step} Step */
/** @typedef {import("./types.js").TrainOptions} TrainOptions */
/** @typedef {import("./types.js").Voice} Voice */
/** @typedef {{ adapter?: string }} OfAdapter the active one unless it is named */
/** @typedef {{ adapter?: Voice }} ByVoice */
/** @typedef {{ signal?: AbortSignal }} Abortable */
/** @typedef {[string | ModelFiles, ModelOptions, { fast: boolean, helpers: boolean }]} LoadArguments helpers: there may be some later */

export class LoraLab {
  /** To the leader. @type {Client} */
  #client = /** @type {any} */ (undefined);
  /** The leader's helpers. @type {Pool} */
  #pool = /** @type {any} */ (undefined);
  /** Settles when the worker, after a death the next one, can be asked. @type {Promise<unknown>} */
  #ready = Promise.resolve();
  /** Set if no worker could be had in the place of a dead one: the next call tries again. @type {(() => void) | undefined} */
  #again;
  /** What "load" is asked with, also of the next worker. @type {LoadArguments} */
  #model;
  #createWorker;
  #onRestart;
  #saveEvery;
  /** @type {Partial<Saved>} */
  #saved = {};
  /** Counts what ends an earlier train(): only the latest may step. */
  #turn = 0;
  /** Settles when it is known whether what was asked last ends it. @type {Promise<unknown>} */
  #turning = Promise.resolve();
  /** Aborted by dispose(). */
  #end = new AbortController();

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

  /** Make another adapter the active one, which is meant where none is named. @param {string} name @returns {Promise<void>} */
  select(name) {
    return this.#ask("select", [name], { save: "defaults" });
  }

  /** Switch the active adapter off, or on again, for requests that name none. @param {boolean} on @returns {Promise<void>} */
  setEnabled(on) {
    return this.#ask("setEnabled", [on], { save: "defaults" });
  }

  /** A factor on whichever adapter acts: 0 is the base, 1 as trained. @param {number} strength @returns {Promise<void>} */
  setStrength(strength) {
    return this.#ask("setStrength", [strength], { save: "defaults" });
  }

  /** @param {string} from @param {string} to @returns {Promise<void>} */
  rename(from, to) {
    return this.#ask("rename", [from, to], { save: "all" });
  }

  /** @param {string} name @returns {Promise<void>} */
  remove(name) {
    return this.#ask("remove", [name], { save: "all" });
  }

  /** Fold an adapter into the base's weights. @param {OfAdapter} [options] @returns {Promise<void>} */
  merge({ adapter } = {}) {
    return this.#ask("merge", [adapter], { save: "defaults" });
  }

  /** Take it out again: the base is what it was, bit for bit. @returns {Promise<void>} */
  unmerge() {
    return this.#ask("unmerge", [], { save: "defaults" });
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
   * the held-out loss before training say, is wanted in between. What is refused leaves an earlier training as it was.
   * @param {TrainOptions & Abortable} options
   * @returns {Promise<Corpus>}
   */
  async beginTraining(options) {
    return (await this.#begin(options)).corpus;
  }

  /**
   * Train an adapter: one step for each next(). Whoever stops asking has paused; breaking off keeps the state of the last
   * step yielded. With a text (or ids) a training begins, of the adapter that is named or else the active one; it stays that one's whatever
   * is selected meanwhile. Without, the one under way goes on (after a break, beginTraining() or resume()). An abort is heard
   * between two steps, and no step that was taken is kept back. A later train(), beginTraining() or endTraining() ends an earlier train().
   * @param {TrainOptions & Abortable} [options]
   * @returns {AsyncGenerator<Step, void, undefined>}
   */
  async *train({ signal, ...options } = {}) {
    signal?.throwIfAborted();
    const begins = options.text !== undefined || options.ids !== undefined;
    const turn = begins ? (await this.#begin({ ...options, signal })).turn : await this.#goOn(options);
    let savedAt = performance.now();
    let dirty = false;
    try {
      for (;;) {
        await this.#turning;
        if (turn !== this.#turn) return;
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
      if (dirty) this.#ask("save", [], { save: "run" }).catch(() => {});
    }
  }

  /** End the training under way, if there is one, and with it an earlier train(). Its adapter keeps what it has learnt. @returns {Promise<void>} */
  async endTraining() {
    await this.#turnBy(this.#ask("endTraining", [], { save: "all" }));
  }

  /** Mean loss on the held-out share with the adapter in training, at full strength; undefined if nothing is held out. @param {Abortable} [options] @returns {Promise<number | undefined>} */
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

  /** On the same base, go back to a saved state; train(), also one that began before, goes on from there. @param {Uint8Array} bytes @returns {Promise<Resumed>} */
  resume(bytes) {
    return this.#ask("resume", [bytes], { save: "all" });
  }

  /** An adapter as it was when attached or imported. A training of it ends. @param {OfAdapter} [options] @returns {Promise<void>} */
  reset({ adapter } = {}) {
    return this.#ask("reset", [adapter], { save: "all" });
  }

  /**
   * Continue a prompt. An abort rejects with the signal's reason; what came until then has gone to `onText`.
   * @param {string | Uint32Array | number[]} prompt
   * @param {GenerateOptions & Abortable & { onText?: (text: string) => void }} [options]
   * @returns {Promise<Generated>}
   */
  generate(prompt, { onText, signal, adapter, ...options } = {}) {
    const onNote = onText && ((/** @type {{ data: any }} */ { data }) => onText(data));
    return this.#ask("generate", [textOrIds(prompt), options, adapter], { onNote, signal });
  }

  /** How much an adapter adds to each layer: cheap enough for every few steps of a training. @param {OfAdapter} [options] @returns {Promise<LayerDelta[]>} */
  deltas({ adapter } = {}) {
    return this.#ask("deltas", [adapter]);
  }

  /** What it adds to one layer: a map of ΔW and its singular values. @param {string} layer @param {DeltaOptions & OfAdapter} [options] @returns {Promise<DeltaView>} */
  delta(layer, { adapter, ...options } = {}) {
    return this.#ask("delta", [layer, options, adapter]);
  }

  /**
   * The tokens of a text (of at most a context) and, after each, the likeliest next ones of the base and of an adapter.
   * @param {string | Uint32Array | number[]} prompt
   * @param {{ count?: number } & ByVoice & Abortable} [options]
   * @returns {Promise<Candidates>}
   */
  candidates(prompt, { signal, adapter, ...options } = {}) {
    return this.#ask("candidates", [textOrIds(prompt), options, adapter], { signal });
  }

  /**
   * Mean loss of any text in nats a token.
   * @param {string | Uint32Array | number[]} text
   * @param {ByVoice & Abortable} [options]
   * @returns {Promise<number>}
   */
  loss(text, { signal, adapter } = {}) {
    return this.#ask("loss", [textOrIds(text), adapter], { signal });
  }

  /** Logits (time · vocabulary) after each of the ids. @param {Uint32Array | number[]} ids @param {ByVoice & Abortable} [options] @returns {Promise<Float32Array>} */
  logits(ids, { signal, adapter } = {}) {
    return this.#ask("logits", [Uint32Array.from(ids), adapter], { signal });
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

  /** What a training of an adapter takes; unless one is named, of that in training or else of the active one or, loaded with `full`, of all weights. @param {OfAdapter} [options] @returns {Promise<Footprint>} */
  footprint({ adapter } = {}) {
    return this.#ask("footprint", [adapter]);
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
   * meanwhile, another reload() as well, waits. If something could not be kept, it rejects with "lost", and the lab goes on without.
   * @param {{ workers?: number, fast?: boolean }} [options] as in load()
   * @returns {Promise<void>}
   */
  async reload(options = {}) {
    const engine = engineOf(options);
    const before = this.#ready;
    const reason = new LabError(CODES.workerDied, "the engine was loaded anew");
    const anew = async () => {
      // A worker that could not be had is had now, or not.
      await before.catch(() => {});
      if (!this.#client.closed) await this.#askNow("save", [], { save: "all" });
      this.workers = howMany(options.workers);
      this.#model = [this.#model[0], this.#model[1], engine];
      return this.#replace(reason);
    };
    const { loss } = await this.#readyAfter(anew(), reason);
    if (loss) throw loss;
  }

  /** End the workers. Whatever is pending rejects with the code "disposed". */
  async dispose() {
    const error = disposed();
    this.#end.abort(error);
    this.#client.close(error);
    this.#pool.end(error);
  }

  /** @param {TrainOptions & Abortable} options */
  async #begin({ text, ids = [], signal, adapter, ...config }) {
    const asked = this.#ask("beginTraining", [text ?? Uint32Array.from(ids), config, adapter], { save: "all", signal });
    const turn = await this.#turnBy(asked);
    // If the training has ended by then, or the worker, whoever asks next is told.
    await this.#muster().catch(() => {});
    return { corpus: await asked, turn };
  }

  /** Take up the training under way. @param {TrainOptions} options of which it can have none any more */
  async #goOn({ adapter, ...settings }) {
    const given = Object.entries(settings).find(([, value]) => value !== undefined);
    if (given) throw new LabError(CODES.config, `${given[0]}: expected a text or ids beside it, since a training under way keeps its settings`);
    const { adapter: trained } = await this.#muster();
    if (adapter !== undefined && adapter !== trained) {
      throw new LabError(CODES.config, `adapter is ${adapter}, expected that of the training under way, ${trained ?? "none"}`);
    }
    return ++this.#turn;
  }

  /** If it is no refusal, an earlier train() is over. @param {Promise<unknown>} asked */
  #turnBy(asked) {
    const turn = asked.then(() => ++this.#turn);
    this.#turning = turn.catch(() => {});
    return turn;
  }

  /** See that there are as many helpers as the training can use. They start while it goes on. @returns {Promise<{ adapter?: string }>} */
  async #muster() {
    const position = await this.#ask("position", []);
    this.#pool.grow(Math.min(this.workers, position.sequences) - 1);
    return position;
  }

  /** @param {string} method @param {unknown[]} args @param {Asking} [options] @returns {Promise<any>} */
  async #ask(method, args, options) {
    await this.#usable();
    return this.#askNow(method, args, options);
  }

  /** Settles when there is a worker to ask. */
  #usable() {
    this.#again?.();
    return this.#ready;
  }

  /** Of the leader there is at this moment. @param {string} method @param {unknown[]} args @param {Asking} [options] @returns {Promise<any>} */
  async #askNow(method, args, options) {
    this.#end.signal.throwIfAborted();
    // A part is of no use before there is a whole.
    const save = options?.save && (this.#saved.adapters ? options.save : "all");
    const { result, saved } = await this.#client.request(method, args, { ...options, save });
    Object.assign(this.#saved, saved);
    return result;
  }

  /** This worker leads from now on. @param {Client} client @param {{ lanes: string }} loaded */
  #follow(client, { lanes }) {
    this.#client = client;
    this.lanes = lanes;
    this.#pool = new Pool(client, this.#createWorker);
    client.onDeath = (error) => this.#restart(error);
  }

  /** @param {LabError} reason what the worker died of */
  #restart(reason) {
    // Apart from what requests wait for: a listener that throws fails none of them.
    this.#readyAfter(this.#replace(reason), reason).then(({ lost }) => this.#onRestart?.(reason, lost), () => {});
  }

  /** Another leader in the place of the one that is gone or going. @param {LabError} reason */
  async #replace(reason) {
    this.#client.close(reason);
    this.#pool.end(reason);
    // Hardly any page needs it.
    const { replacement } = await import("./restart.js");
    const next = await replacement(this.#createWorker, this.#model, this.#saved, { reason, unwanted: this.#end.signal });
    this.#saved = next.saved;
    this.#follow(next.client, next.loaded);
    return next;
  }

  /**
   * Every request waits for it. If it fails, so do they, and the next one after that tries again.
   * @template T
   * @param {Promise<T>} work
   * @param {LabError} reason
   */
  #readyAfter(work, reason) {
    this.#ready = work;
    this.#again = undefined;
    work.catch(() => {
      if (this.#ready === work) this.#again = () => this.#restart(reason);
    });
    return work;
  }
}

const disposed = () => new LabError(CODES.disposed, "this lab was disposed of");

/** The build and whether there may be helpers. @param {{ workers?: number, fast?: boolean }} options */
function engineOf({ workers, fast = false }) {
  return { fast: fast && hasRelaxedSimd(), helpers: howMany(workers) > 1 };
}
