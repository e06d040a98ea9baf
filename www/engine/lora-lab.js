/**
 * The engine without any interface: a tiny GPT in a worker, and LoRA adapters on it. No DOM is used here.
 *
 *     const lab = await LoraLab.load({ model: "models/tiny/" });
 *     await lab.attach({ rank: 8 });
 *     for await (const { step, loss } of lab.train({ text, steps: 200 })) console.log(step, loss);
 *     const { text } = await lab.generate("Once upon a time", { onText: (part) => write(part) });
 */

import * as is from "./arguments.js";
import { Client, blobWorker } from "./client.js";
import { CODES, LabError } from "./protocol.js";
import { BROWSERS, hasRelaxedSimd, hasSimd, howMany } from "./machine.js";

export { CODES, LabError } from "./protocol.js";

/** @import * as T from "./types.js" */
/** @typedef {{ onNote?: (note: import("./protocol.js").Note) => void, signal?: AbortSignal, save?: import("./protocol.js").Saving }} Asking */
/** @typedef {T.AdapterFiles} AdapterFiles */
/** @typedef {T.AdapterInfo} AdapterInfo */
/** @typedef {T.AttachOptions} AttachOptions */
/** @typedef {T.Candidates} Candidates */
/** @typedef {T.Corpus} Corpus */
/** @typedef {T.DeltaOptions} DeltaOptions */
/** @typedef {T.DeltaView} DeltaView */
/** @typedef {T.Footprint} Footprint */
/** @typedef {T.GenerateOptions} GenerateOptions */
/** @typedef {T.Generated} Generated */
/** @typedef {T.LayerDelta} LayerDelta */
/** @typedef {T.LoadOptions} LoadOptions */
/** @typedef {T.Lost} Lost */
/** @typedef {T.ModelFiles} ModelFiles */
/** @typedef {T.ModelInfo} ModelInfo */
/** @typedef {T.ModelOptions} ModelOptions */
/** @typedef {T.Plan} Plan */
/** @typedef {T.Progress} Progress */
/** @typedef {T.Resumed} Resumed */
/** @typedef {T.Saved} Saved */
/** @typedef {T.Step} Step */
/** @typedef {T.TrainOptions} TrainOptions */
/** @typedef {T.Voice} Voice */
/** @typedef {{ adapter?: string }} OfAdapter the active one by default */
/** @typedef {{ adapter?: Voice }} ByVoice */
/** @typedef {{ signal?: AbortSignal }} Abortable */
/** @typedef {[string | ModelFiles, ModelOptions, { fast: boolean, helpers: boolean }]} LoadArguments helpers: whether some may join later */

const TINY = new URL(/* @vite-ignore */ "../models/tiny/", import.meta.url).href;
/** Options that several methods share. */
const OF = { adapter: is.adapter };
const BY = { adapter: is.voice, signal: is.signal };
const LOADING = {
  model: is.model, workers: is.workers, fast: is.flag, splitQkv: is.flag, full: is.flag, onProgress: is.callback, onRestart: is.callback,
  signal: is.signal, createWorker: is.callback, saveEvery: is.number,
};
const TRAINING = { ...BY, ...OF, text: is.string, ids: is.ids };

export class LoraLab {
  /** To the leader. @type {Client} */
  #client = /** @type {any} */ (undefined);
  /** Set once a training wants some. @type {import("./helpers.js").Helpers | undefined} */
  #helpers;
  /** Settles when the worker, or its replacement, can be asked. @type {Promise<unknown>} */
  #ready = Promise.resolve();
  /** Set if a dead worker could not be replaced: the next call tries again. @type {(() => void) | undefined} */
  #again;
  /** The arguments of "load", also for a replacement. @type {LoadArguments} */
  #model;
  #createWorker;
  #onRestart;
  #saveEvery;
  /** @type {Partial<Saved>} */
  #saved = {};
  /** Counts calls that end an earlier train(): only the latest may step. */
  #turn = 0;
  /** Settles when it is known whether the latest such call is accepted. @type {Promise<unknown>} */
  #turning = Promise.resolve();
  /** Aborted by dispose(). */
  #end = new AbortController();

  /** @type {ModelInfo} */
  info;
  /** The instruction set that the engine was built for: "simd128" or "relaxed-simd". */
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
  static async load(options) {
    options = is.given(options, LOADING);
    const { onProgress, signal, createWorker = blobWorker, splitQkv = false, full = false } = options;
    signal?.throwIfAborted();
    if (!hasSimd()) {
      throw new LabError(CODES.noSimd, `expected WebAssembly SIMD, which this browser lacks; it came with ${BROWSERS}`);
    }
    /** @type {LoadArguments} */
    const model = [/** @type {string | ModelFiles} */ (options.model ?? TINY), { splitQkv, full }, engineOf(options)];
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
  async plan(options) {
    const { name: _name, ...config } = is.given(options, { name: is.string }, true);
    return this.#ask("plan", [config]);
  }

  /**
   * Add a fresh adapter to the base and make it the active one. Its B is zero, so the output does not change yet.
   * @param {AttachOptions} [options]
   * @returns {Promise<Plan>}
   */
  async attach(options) {
    const { name = "default", ...config } = is.given(options, { name: is.string }, true);
    return this.#ask("attach", [name, config], { save: "all" });
  }

  /** @returns {Promise<AdapterInfo[]>} */
  adapters() {
    return this.#ask("adapters", []);
  }

  /** Make another adapter the active one, the default where none is named. @param {string} name @returns {Promise<void>} */
  async select(name) {
    return this.#ask("select", [is.adapter(name, "name")], { save: "defaults" });
  }

  /** Switch the active adapter off, or on again, for requests that name none. @param {boolean} on @returns {Promise<void>} */
  async setEnabled(on) {
    return this.#ask("setEnabled", [is.flag(on, "on")], { save: "defaults" });
  }

  /** A factor on whichever adapter acts: 0 is the base, 1 as trained. @param {number} strength @returns {Promise<void>} */
  async setStrength(strength) {
    return this.#ask("setStrength", [is.number(strength, "strength")], { save: "defaults" });
  }

  /** @param {string} from @param {string} to @returns {Promise<void>} */
  async rename(from, to) {
    return this.#ask("rename", [is.adapter(from, "from"), is.string(to, "to")], { save: "all" });
  }

  /** @param {string} name @returns {Promise<void>} */
  async remove(name) {
    return this.#ask("remove", [is.adapter(name, "name")], { save: "all" });
  }

  /** Fold an adapter into the base's weights. @param {OfAdapter} [options] @returns {Promise<void>} */
  async merge(options) {
    return this.#ask("merge", [is.given(options, OF).adapter], { save: "defaults" });
  }

  /** Undo merge(): the base is what it was, bit for bit. @returns {Promise<void>} */
  unmerge() {
    return this.#ask("unmerge", [], { save: "defaults" });
  }

  /** @returns {Promise<boolean>} */
  isMerged() {
    return this.#ask("isMerged", []);
  }

  /** The active adapter, or the one of that name, as PEFT's two files. @param {string} [name] @returns {Promise<AdapterFiles>} */
  async exportAdapter(name) {
    return this.#ask("exportAdapter", [name === undefined ? name : is.adapter(name, "name")]);
  }

  /**
   * Add an adapter from PEFT's two files and make it the active one. All or nothing.
   * @param {{ safetensors: T.Bytes, config: string, name?: string }} files
   * @returns {Promise<Plan>}
   */
  async importAdapter(files) {
    const { safetensors, config, name = "default" } = is.given(files, { safetensors: is.bytes, config: is.string, name: is.string }, ["safetensors", "config"]);
    return this.#ask("importAdapter", [name, safetensors, config], { save: "all" });
  }

  /**
   * Tokenise the text and prepare the first step; train() without a text then takes the steps. Useful to measure something in
   * between, such as the held-out loss. A call that is refused leaves an earlier training as it was.
   * @param {TrainOptions & Abortable} options
   * @returns {Promise<Corpus>}
   */
  async beginTraining(options) {
    return (await this.#begin(is.given(options, TRAINING, true))).corpus;
  }

  /**
   * Train an adapter: one step for each next(). Not calling next() pauses; `break` keeps the state of the last step yielded.
   * With a text (or ids) a training begins, of the named adapter or else the active one; selecting another later does not
   * change that. Without, the training under way goes on (after a break, beginTraining() or resume()). An abort takes effect
   * between two steps, and every step taken is yielded. A later train(), beginTraining() or endTraining() ends an earlier train().
   * @param {TrainOptions & Abortable} [options]
   * @returns {AsyncGenerator<Step, void, undefined>}
   */
  async *train(options) {
    const { signal, ...given } = is.given(options, TRAINING, true);
    signal?.throwIfAborted();
    const turn = given.text === undefined && given.ids === undefined ? await this.#goOn(given) : (await this.#begin({ ...given, signal })).turn;
    let savedAt = performance.now();
    let dirty = false;
    try {
      for (;;) {
        // While this waits, another call may come.
        for (let asked; asked !== this.#turning; ) await (asked = this.#turning);
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
  async evaluate(options) {
    return this.#ask("evaluate", [], is.given(options, { signal: is.signal }));
  }

  /** Whether there is a training, under way or at its end. @returns {Promise<boolean>} */
  isTraining() {
    return this.#ask("isTraining", []);
  }

  /** Adapter, optimizer, position and data in one: everything that resume() needs to go on. @returns {Promise<Uint8Array>} */
  saveState() {
    return this.#ask("saveState", []);
  }

  /** On the same base, go back to a saved state; train(), also one that began before, goes on from there. @param {T.Bytes} bytes @returns {Promise<Resumed>} */
  async resume(bytes) {
    return this.#ask("resume", [is.bytes(bytes, "bytes")], { save: "all" });
  }

  /** Make an adapter what it was when attached or imported; its training ends. @param {OfAdapter} [options] @returns {Promise<void>} */
  async reset(options) {
    return this.#ask("reset", [is.given(options, OF).adapter], { save: "all" });
  }

  /**
   * Continue a prompt. An abort rejects with the signal's reason; the text so far has gone to `onText`.
   * @param {string | T.Ids} prompt
   * @param {GenerateOptions & Abortable & { onText?: (text: string) => void }} [options]
   * @returns {Promise<Generated>}
   */
  async generate(prompt, options) {
    const { onText, signal, adapter, ...settings } = is.given(options, { ...BY, onText: is.callback }, true);
    const onNote = onText && ((/** @type {{ data: any }} */ { data }) => onText(data));
    return this.#ask("generate", [is.textOrIds(prompt, "prompt"), settings, adapter], { onNote, signal });
  }

  /** How much an adapter adds to each layer: cheap enough for every few steps of a training. @param {OfAdapter} [options] @returns {Promise<LayerDelta[]>} */
  async deltas(options) {
    return this.#ask("deltas", [is.given(options, OF).adapter]);
  }

  /** What an adapter adds to one layer: a map of ΔW and its singular values. @param {string} layer @param {DeltaOptions & OfAdapter} [options] @returns {Promise<DeltaView>} */
  async delta(layer, options) {
    const { adapter, ...view } = is.given(options, OF, true);
    return this.#ask("delta", [is.string(layer, "layer"), view, adapter]);
  }

  /**
   * The tokens of a text (at most one context) and, after each, the likeliest next ones of the base and of an adapter.
   * @param {string | T.Ids} prompt
   * @param {{ count?: number } & ByVoice & Abortable} [options]
   * @returns {Promise<Candidates>}
   */
  async candidates(prompt, options) {
    const { signal, adapter, ...settings } = is.given(options, BY, true);
    return this.#ask("candidates", [is.textOrIds(prompt, "prompt"), settings, adapter], { signal });
  }

  /**
   * Mean loss of any text in nats a token.
   * @param {string | T.Ids} text
   * @param {ByVoice & Abortable} [options]
   * @returns {Promise<number>}
   */
  async loss(text, options) {
    const { signal, adapter } = is.given(options, BY);
    return this.#ask("loss", [is.textOrIds(text, "text"), adapter], { signal });
  }

  /** Logits (time · vocabulary) after each of the ids. @param {T.Ids} ids @param {ByVoice & Abortable} [options] @returns {Promise<Float32Array>} */
  async logits(ids, options) {
    const { signal, adapter } = is.given(options, BY);
    return this.#ask("logits", [is.ids(ids, "ids"), adapter], { signal });
  }

  /** @param {string} text @returns {Promise<Uint32Array>} */
  async encode(text) {
    return this.#ask("encode", [is.string(text, "text")]);
  }

  /** @param {T.Ids} ids @returns {Promise<string>} */
  async decode(ids) {
    return this.#ask("decode", [is.ids(ids, "ids")]);
  }

  /** SHA-256 over the base's weights as they are in the worker's memory now. @returns {Promise<string>} */
  baseDigest() {
    return this.#ask("baseDigest", []);
  }

  /** Memory for training the named adapter, else the one in training, else the active one; loaded with `full`, for training all weights. @param {OfAdapter} [options] @returns {Promise<Footprint>} */
  async footprint(options) {
    return this.#ask("footprint", [is.given(options, OF).adapter]);
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
   * Change the number of workers or the build. Adapters and training are kept, and train() goes on where it was. Calls made
   * meanwhile wait. If something could not be kept, it rejects with "lost", and the lab goes on without.
   * @param {{ workers?: number, fast?: boolean }} [options] as in load()
   * @returns {Promise<void>}
   */
  async reload(options) {
    const { workers, ...rest } = is.given(options, { workers: is.workers, fast: is.flag });
    const engine = engineOf({ workers, ...rest });
    const reason = new LabError(CODES.workerDied, "the engine was loaded anew");
    let wasDead = false;
    const anew = async () => {
      // The worker may be dead, or die while it saves: then the last save is used.
      if (!this.#client.closed) {
        await this.#askNow("save", [], { save: "all" }).catch((error) => {
          if (!this.#client.closed) throw error;
        });
      }
      wasDead = Boolean(this.#client.closed);
      this.workers = howMany(workers);
      this.#model = [this.#model[0], this.#model[1], engine];
      return this.#replace(reason);
    };
    const { loss, lost, training } = await this.#readyAfter(anew, reason);
    if (wasDead) this.#onRestart?.(reason, lost, training);
    if (loss) throw loss;
  }

  /** End the workers. Whatever is pending rejects with the code "disposed". */
  async dispose() {
    const error = disposed();
    this.#end.abort(error);
    this.#client.close(error);
    this.#helpers?.end(error);
  }

  /** @param {TrainOptions & Abortable} options */
  async #begin({ text, ids, signal, adapter, ...config }) {
    if ((text === undefined) === (ids === undefined)) is.refuse("text", "a text, or instead of it ids", text);
    const asked = this.#ask("beginTraining", [text ?? ids, config, adapter], { save: "all", signal });
    const turn = await this.#turnBy(asked);
    // If the training or the worker has ended by then, the next request rejects.
    await this.#muster().catch(() => {});
    return { corpus: await asked, turn };
  }

  /** Go on with the training under way. @param {TrainOptions} options only `adapter` is allowed */
  async #goOn({ adapter, ...settings }) {
    for (const [name, value] of Object.entries(settings)) is.refuse(name, "nothing without a text or ids: the training under way keeps its settings", value);
    const { adapter: trained } = await this.#muster();
    if (adapter !== undefined && adapter !== trained) is.refuse("adapter", `that of the training under way, "${trained}"`, adapter);
    return ++this.#turn;
  }

  /** Unless this is refused, an earlier train() ends. @param {Promise<unknown>} asked */
  #turnBy(asked) {
    const turn = asked.then(() => ++this.#turn);
    this.#turning = turn.catch(() => {});
    return turn;
  }

  /** Start as many helpers as the training can use, without waiting for them. @returns {Promise<{ adapter?: string }>} */
  async #muster() {
    const position = await this.#ask("position", []);
    const leader = this.#client;
    const wanted = Math.min(this.workers, position.sequences) - 1;
    // Without helpers, as when offline, the steps are the same and slower.
    const module = wanted > 0 ? await import("./helpers.js").catch(() => undefined) : undefined;
    if (module && leader === this.#client && !leader.closed) {
      this.#helpers ??= new module.Helpers(leader, this.#createWorker);
      this.#helpers.grow(wanted);
    }
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

  /** Ask the present leader, without waiting. @param {string} method @param {unknown[]} args @param {Asking} [options] @returns {Promise<any>} */
  async #askNow(method, args, options) {
    this.#end.signal.throwIfAborted();
    // A partial save needs a full one first.
    const save = options?.save && (this.#saved.adapters ? options.save : "all");
    const { result, saved } = await this.#client.request(method, args, { ...options, save });
    Object.assign(this.#saved, saved);
    return result;
  }

  /** Make this worker the leader. @param {Client} client @param {{ lanes: string }} loaded */
  #follow(client, { lanes }) {
    this.#client = client;
    this.lanes = lanes;
    this.#helpers = undefined;
    client.onDeath = (error) => this.#restart(error);
  }

  /** @param {LabError} reason what the worker died of */
  #restart(reason) {
    // An earlier reload() may have replaced the worker already.
    const ready = this.#readyAfter(async () => (this.#client.closed ? this.#replace(reason) : undefined), reason);
    // Requests do not wait for this: a listener that throws fails none of them.
    ready.then((next) => next && this.#onRestart?.(reason, next.lost, next.training), () => {});
  }

  /** Replace the leader, which is dead or about to be closed. @param {LabError} reason */
  async #replace(reason) {
    this.#client.close(reason);
    this.#helpers?.end(reason);
    // Few pages need it.
    const { replacement } = await import("./restart.js");
    const next = await replacement(this.#createWorker, this.#model, this.#saved, { reason, unwanted: this.#end.signal });
    if (this.#end.signal.aborted) next.client.close(this.#end.signal.reason);
    this.#end.signal.throwIfAborted();
    this.#saved = next.saved;
    this.#follow(next.client, next.loaded);
    return next;
  }

  /**
   * Restarts run one after another, and every request waits for the last. If it fails, so do they, and the next request tries again.
   * @template T
   * @param {() => Promise<T>} work
   * @param {LabError} reason
   */
  #readyAfter(work, reason) {
    const ready = this.#ready.catch(() => {}).then(work);
    this.#ready = ready;
    this.#again = undefined;
    ready.catch(() => {
      if (this.#ready === ready) this.#again = () => this.#restart(reason);
    });
    return ready;
  }
}

const disposed = () => new LabError(CODES.disposed, "this lab was disposed of");

/** The build and whether there may be helpers. @param {{ workers?: number, fast?: boolean }} options */
function engineOf({ workers, fast = false }) {
  return { fast: fast && hasRelaxedSimd(), helpers: howMany(workers) > 1 };
}
