/** What a reader can do, step by step with the engine: actions in, events for the reducer out. No DOM. */

import { CODES, LabError, LoraLab } from "../engine/lora-lab.js";
import { INITIAL, canGoOn, canTrain, isIdle, mainAction, reduce, voice } from "./state.js";

/** @typedef {import("./adapters.js").Adapters} Adapters */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./state.js").Event} Event */
/** @typedef {import("./state.js").Place} Place */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("../engine/types.js").Step} Step */

/** What the base is asked when it is loaded and after each training: the answer has to stay the same, token for token. */
const PROBE = { prompt: "Once upon a time", tokens: 40 };

/** In the lab: the adapter at work, and one that is being checked. */
export const NAME = "default";
export const INCOMING = "incoming";

/**
 * An object whose methods all answer later, fetched with the first of their calls.
 * @template {object} T
 * @param {() => Promise<T>} make
 * @returns {T}
 */
function fetched(make) {
  /** @type {Promise<T> | undefined} */
  let made;
  const object = () => (made ??= make().catch((error) => {
    // Without network, say; the next call tries again.
    made = undefined;
    throw new LabError(CODES.fetch, String(error), { cause: error });
  }));
  const call = (/** @type {string} */ name) => async (/** @type {unknown[]} */ ...args) => /** @type {any} */ (await object())[name](...args);
  return /** @type {T} */ (new Proxy({}, { get: (_target, name) => call(String(name)) }));
}

export class Session {
  /** @type {State} */
  state = INITIAL;
  /** @type {LoraLab | undefined} */
  lab;
  #options;
  #onState;
  /** @type {Set<(state: State, event: Event) => void>} */
  #followers = new Set();
  /** Whether steps are being taken; the loop asks before each. */
  #running = false;
  /** @type {AsyncGenerator<Step, void, undefined> | undefined} */
  #steps;
  /** Aborts the comparison that is being written. */
  #comparison = new AbortController();
  #closing = new AbortController();
  /** Settles when nothing is being written: two texts never mix. @type {Promise<void>} */
  #pen = Promise.resolve();

  /**
   * @param {object} options
   * @param {string} options.model
   * @param {(id: string) => Promise<string>} options.sampleText
   * @param {(options: import("../engine/lora-lab.js").LoadOptions) => Promise<LoraLab>} [options.load]
   * @param {typeof import("./shelf.js").openShelf} [options.openShelf]
   * @param {(state: State, event: Event) => void} onState
   */
  constructor(options, onState) {
    this.#options = options;
    this.#onState = onState;
    /** There is none before the first training, and most readers' first view has no need of them. @type {Adapters} */
    this.adapters = fetched(async () => new (await import("./adapters.js")).Adapters(this, options.openShelf));
  }

  /** The folder of the base. */
  get model() {
    return this.#options.model;
  }

  /** Aborts when the session closes. */
  get closing() {
    return this.#closing.signal;
  }

  /** Another engine with the same base, for whoever needs one beside the page's. @param {import("../engine/lora-lab.js").LoadOptions} options */
  another(options) {
    const { model, load = (options) => LoraLab.load(options) } = this.#options;
    return load({ model, fast: this.state.settings.fast, ...options });
  }

  /** @param {Event} event */
  dispatch(event) {
    this.state = reduce(this.state, event);
    this.#onState(this.state, event);
    for (const follower of this.#followers) follower(this.state, event);
  }

  /**
   * Hear of every event, after the state has changed.
   * @param {(state: State, event: Event) => void} follower
   * @returns {() => void} ends it
   */
  follow(follower) {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Fetch the model and let it tell its first story. @param {string} [adapter] as a link holds it */
  async open(adapter) {
    this.dispatch({ type: "loading" });
    let baseBytes = 0;
    const opened = await this.attempt("page", async () => {
      this.lab = await this.another({
        ...engine(this.state.settings),
        signal: this.#closing.signal,
        onProgress: (progress) => {
          if (progress.phase === "weights") baseBytes = progress.loaded;
          this.dispatch({ type: "progress", progress });
        },
      });
      this.dispatch({ type: "loaded", info: this.lab.info, lanes: this.lab.lanes, workers: this.lab.workers, baseBytes });
      return true;
    });
    if (!opened) return;
    await this.choose(this.state.settings.sample);
    await this.compare();
    await this.recompute();
    // Last: a comparison that begins takes away what was said in its place, and a broken link has to be seen.
    if (adapter) await this.adapters.loadLink(adapter);
  }

  close() {
    this.#running = false;
    this.#closing.abort();
    this.#comparison.abort();
    return this.lab?.dispose();
  }

  /** @param {Partial<Settings>} settings */
  set(settings) {
    const before = this.state.settings;
    this.dispatch({ type: "settings", settings });
    const { workers, fast } = this.state.settings;
    if (this.lab && (workers !== before.workers || fast !== before.fast)) this.#reload(this.lab);
  }

  /** Another number of workers or the other build. Adapters and training are kept. @param {LoraLab} lab */
  async #reload(lab) {
    this.silence();
    await this.attempt("train", async () => {
      await lab.reload(engine(this.state.settings));
      // What was asked of the engine before it was gone is asked again by whoever needs it.
      this.#steps = undefined;
      this.dispatch({ type: "reloaded", lanes: lab.lanes, workers: lab.workers });
      await this.#rest();
    });
  }

  /** Take a sample's text, or the reader's own. @param {string} id */
  async choose(id) {
    this.set({ sample: id });
    if (id === "own") return this.dispatch({ type: "corpus", id, text: this.state.own, name: "" });
    await this.attempt("data", async () => {
      const text = await this.#options.sampleText(id);
      // A click on another sample may have been faster than the network.
      if (this.state.settings.sample === id) this.dispatch({ type: "corpus", id, text, name: "" });
    });
  }

  /** @param {string} text @param {string} [name] of the file it comes from */
  useText(text, name = "") {
    this.set({ sample: "own" });
    this.dispatch({ type: "corpus", id: "own", text, name });
  }

  /** Take a text that has yet to be read from a file. @param {() => Promise<{ text: string, name: string }>} read */
  async useFile(read) {
    await this.attempt("data", async () => {
      const { text, name } = await read();
      this.useText(text, name);
    });
  }

  /** The big button: train, pause, resume. */
  async act() {
    if (this.state.phase === "training") return this.pause();
    if (mainAction(this.state) !== "none") await this.train();
  }

  /** Steps until the last one or a pause. */
  async train() {
    if (!canTrain(this.state)) return;
    await this.attempt("train", async () => {
      this.#running = true;
      if (canGoOn(this.state)) await this.adapters.resume();
      else await this.#begin();
      this.dispatch({ type: "training" });
      while (this.#running) {
        const step = await this.#step();
        if (!step) break;
        // The reader sees the voice change while the loss falls; the last text is written below.
        if (step.heldOutLoss !== undefined && !step.done) await this.#write("after");
      }
      this.dispatch({ type: this.#isDone() ? "finished" : "paused" });
    });
    this.#running = false;
    await this.#rest();
  }

  /** Acts before the next step. */
  pause() {
    this.#running = false;
    this.#comparison.abort();
  }

  /** One single step. */
  async step() {
    if (!canTrain(this.state)) return;
    await this.attempt("train", async () => {
      if (canGoOn(this.state)) await this.adapters.resume();
      else await this.#begin();
      this.dispatch({ type: "training" });
      await this.#step();
      this.dispatch({ type: this.#isDone() ? "finished" : "paused" });
    });
    await this.#rest();
  }

  /** Forget the adapter. The base has nothing to forget. */
  async reset() {
    if (!isIdle(this.state)) return;
    this.#comparison.abort();
    await this.attempt("train", async () => {
      await this.forget();
      this.dispatch({ type: "reset" });
    });
  }

  /** Both texts from one prompt and one seed. What is there already for these very settings stays. */
  async compare() {
    if (!this.lab) return;
    this.#comparison.abort();
    await this.attempt("compare", async () => {
      await this.#write("before");
      if (voice(this.state)) await this.#write("after");
    });
  }

  /** @param {number} strength */
  async setStrength(strength) {
    this.set({ strength });
    await this.attempt("compare", async () => this.lab?.setStrength(strength));
    await this.compare();
    await this.recompute();
  }

  /** Ask the engine for the base's digest and its answer, anew. */
  async recompute() {
    const { lab } = this;
    if (!lab) return;
    this.dispatch({ type: "checking" });
    await this.attempt("proof", async () => {
      const [digest, memory] = await Promise.all([lab.baseDigest(), lab.memory()]);
      const { off, on } = await this.inTurn(() => this.#probe(lab));
      this.dispatch({ type: "digest", digest, memory, off, on });
    });
  }

  /** A fresh adapter, the text in tokens, and the loss before anything is learnt. */
  async #begin() {
    const { lab, state } = this;
    const { settings, corpus } = state;
    if (!lab || !corpus?.text.trim()) throw new LabError("text-empty", "expected a text to train on, got nothing");
    this.dispatch({ type: "starting" });
    const { rank, alpha, targets, seed, steps, batchSize, blockSize, learningRate } = settings;
    await this.adapters.remove(INCOMING);
    // The new one first: if its settings are refused, the old one is still there.
    await lab.attach({ name: INCOMING, rank, alpha, targets, seed });
    try {
      const tokens = await lab.beginTraining({ text: corpus.text, steps, batchSize, blockSize, learningRate, seed });
      const heldOut = (await lab.evaluate()) ?? NaN;
      await this.forget();
      await lab.rename(INCOMING, NAME);
      await lab.setStrength(settings.strength);
      this.dispatch({ type: "begun", settings, corpus: tokens, heldOut, adapter: await this.adapters.atWork("trained") });
    } catch (error) {
      await lab.remove(INCOMING).catch(() => {});
      await this.adapters.reselect().catch(() => {});
      throw error;
    }
  }

  /** @returns {Promise<Step | undefined>} */
  async #step() {
    this.#steps ??= this.lab?.train();
    const start = performance.now();
    const next = await this.#steps?.next();
    if (!next?.value) return undefined;
    this.dispatch({ type: "step", step: next.value, seconds: (performance.now() - start) / 1000 });
    return next.value;
  }

  /**
   * The likeliest tokens after a prompt that never changes, with the adapter off and, if there is one, on. Off for this call
   * alone: whoever else asks the engine meanwhile gets the adapter.
   * @param {LoraLab} lab
   */
  async #probe(lab) {
    const greedy = async (/** @type {boolean} */ adapter) => {
      const { ids, text } = await lab.generate(PROBE.prompt, { temperature: 0, maxTokens: PROBE.tokens, adapter });
      return { ids: [...ids], text: PROBE.prompt + text };
    };
    return { off: await greedy(false), on: voice(this.state) && (await greedy(true)) };
  }

  #isDone() {
    const { run } = this.state;
    return run !== undefined && run.step >= run.settings.steps;
  }

  /** After the steps: the texts and the digest as they are now. */
  async #rest() {
    if (this.#closing.signal.aborted) return;
    await this.compare();
    await this.recompute();
  }

  /** Let go of run and adapter; the state is told by whoever puts something in their place. */
  async forget() {
    this.#steps = undefined;
    await this.adapters.forget();
  }

  /** Break off the text that is being written. */
  silence() {
    this.#comparison.abort();
  }

  /** One side of the comparison. @param {"before" | "after"} side */
  #write(side) {
    return this.inTurn(() => this.#stream(side));
  }

  /**
   * Let the model write after whatever it is writing now.
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  inTurn(action) {
    const done = this.#pen.then(action);
    this.#pen = done.then(() => {}, () => {});
    return done;
  }

  /** @param {"before" | "after"} side */
  async #stream(side) {
    const { settings, run, adapter, shelf } = this.state;
    const { prompt, temperature, maxTokens, textSeed, strength } = settings;
    const sampling = { temperature, maxTokens, seed: textSeed };
    const speaker = shelf.using ?? [adapter?.source, run?.step, run?.settings];
    const key = JSON.stringify([prompt, sampling, side === "after" ? [strength, speaker] : []]);
    if (this.state[side].key === key) return;
    this.#comparison = new AbortController();
    const { signal } = this.#comparison;
    this.dispatch({ type: "writing", side, key, prompt });
    let whole = false;
    try {
      const onText = (/** @type {string} */ text) => {
        if (!signal.aborted) this.dispatch({ type: "text", side, text });
      };
      await this.lab?.generate(prompt, { ...sampling, adapter: side === "after", signal, onText });
      whole = true;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.dispatch({ type: "written", side, whole });
    }
  }

  /**
   * Do it, or tell the reader at that place why not. The page goes on either way.
   * @template T
   * @param {Place} place
   * @param {() => Promise<T>} action
   * @returns {Promise<T | undefined>}
   */
  async attempt(place, action) {
    try {
      return await action();
    } catch (error) {
      if (this.#closing.signal.aborted) return undefined;
      const { code = "internal", message = String(error) } = /** @type {{ code?: string, message?: string }} */ (Object(error));
      // A generator that has thrown is finished; the engine may well go on with the run.
      this.#steps = undefined;
      this.dispatch({ type: "failed", problem: { place, code: String(code), message } });
      return undefined;
    }
  }
}

/** How many workers and which build, as load() takes them. @param {Settings} settings */
function engine({ workers, fast }) {
  return { workers: workers || undefined, fast };
}
