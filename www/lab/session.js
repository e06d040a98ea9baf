/** The laboratory behind a page: one state, one engine, and do(), through which every action goes. No DOM. */

import { CODES, LabError, LoraLab } from "../engine/lora-lab.js";
import { action, can } from "./actions.js";
import { choose } from "./corpus.js";
import { prove } from "./proof.js";
import { reduce } from "./reducer.js";
import { atWork, keptName } from "./slots.js";
import { INITIAL, isHeard, rests, speaker } from "./state.js";
import { Texts } from "./texts.js";
import { Training } from "./training.js";

/** @template {any[]} A @template R @typedef {import("./actions.js").Action<A, R>} Action */
/** @typedef {import("./adapters.js").Adapters} Adapters */
/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").Event} Event */
/** @typedef {import("./types.js").Place} Place */
/** @typedef {import("./types.js").State} State */

export class Session {
  /** @type {State} */
  state = INITIAL;
  /** @type {LoraLab | undefined} */
  lab;
  texts = new Texts(this);
  training = new Training(this);
  #options;
  #onState;
  /** @type {Set<(state: State, event: Event) => void>} */
  #followers = new Set();
  /** @type {Promise<Adapters> | undefined} */
  #adapters;
  /** Settles when the lab is free again. */
  #free = Promise.resolve();
  /** The settings that the engine was loaded with, as text. */
  #engine = "";
  /** Whether what speaks has changed since the proof was made. */
  #unproved = false;
  #closing = new AbortController();

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
  }

  /** The folder of the base. */
  get model() {
    return this.#options.model;
  }

  /** The text of a sample, by its id. */
  get sampleText() {
    return this.#options.sampleText;
  }

  /** Aborts when the session closes. */
  get closing() {
    return this.#closing.signal;
  }

  /** Imports, exports and kept adapters; fetched on first use. @returns {Promise<Adapters>} */
  adapters() {
    this.#adapters ??= import("./adapters.js").then(
      ({ Adapters }) => new Adapters(this, this.#options.openShelf),
      (error) => {
        // Perhaps offline; the next call tries again.
        this.#adapters = undefined;
        throw new LabError(CODES.fetch, String(error), { cause: error });
      },
    );
    return this.#adapters;
  }

  /** Another engine with the same base, beside the page's. @param {import("../engine/lora-lab.js").LoadOptions} options */
  another(options) {
    const { model, load = (options) => LoraLab.load(options) } = this.#options;
    return load({ model, fast: this.state.settings.fast, ...options });
  }

  /** @param {Event} event */
  dispatch(event) {
    const before = speaker(this.state);
    this.state = reduce(this.state, event);
    if (!isHeard(this.state, before)) this.#unproved = true;
    this.#onState(this.state, event);
    for (const follower of this.#followers) follower(this.state, event);
  }

  /**
   * Call `follower` on every event, once the state has changed.
   * @param {(state: State, event: Event) => void} follower
   * @returns {() => void} ends it
   */
  follow(follower) {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /**
   * Perform the action, or reject: with `busy` if it cannot be done now, else with the error that the page shows.
   * @template {any[]} A
   * @template R
   * @param {Action<A, R>} action
   * @param {A} args
   * @returns {Promise<R>}
   */
  async do(action, ...args) {
    const { name, place, beside, brief, settles, perform } = action;
    // No await between this and the "busy" below: of two calls that wake up, only one is let in.
    while (!beside && this.state.busy?.brief) await this.#free;
    if (this.closing.aborted) throw new LabError(CODES.disposed, `${name}: the lab was closed`);
    if (!can(action, this.state)) {
      const { busy, phase } = this.state;
      this.dispatch({ type: "refused", action: name });
      const missing = busy ? undefined : action.missing?.(this.state);
      if (missing) this.#tell(place, missing);
      throw missing ?? new LabError("busy", `${name}: expected the lab to be ready for it, it is ${busy ? `at "${busy.action}"` : phase}`);
    }
    // Before the first await, so that nothing else is let in.
    let free = () => {};
    if (!beside) {
      this.#free = new Promise((resolve) => (free = resolve));
      this.dispatch({ type: "busy", action: name, brief });
      this.texts.silence();
    }
    try {
      return await perform(this, ...args);
    } catch (error) {
      this.#tell(place, error);
      throw error;
    } finally {
      if (!beside) {
        this.dispatch({ type: "free" });
        free();
        this.#fitEngine();
      }
      // Any other action may have broken off a text as well.
      if (settles) await this.settle();
      else if (!beside) this.#write();
    }
  }

  /** do() for a control: never rejects, since the page shows the error. @template {any[]} A @template R @param {Action<A, R>} action @param {A} args @returns {Promise<R | undefined>} */
  press(action, ...args) {
    return this.do(action, ...args).catch(() => undefined);
  }

  /**
   * For work that no action asked for: its error is shown at that place.
   * @template T
   * @param {Place} place
   * @param {() => Promise<T>} work
   * @returns {Promise<T | undefined>}
   */
  async attempt(place, work) {
    try {
      return await work();
    } catch (error) {
      this.#tell(place, error);
      return undefined;
    }
  }

  /** Load the model and write its first text. */
  async open() {
    this.dispatch({ type: "loading" });
    let baseBytes = 0;
    this.#engine = JSON.stringify(engine(this.state.settings));
    const lab = await this.attempt("page", () => this.another({
      ...engine(this.state.settings),
      signal: this.closing,
      onProgress: (progress) => {
        if (progress.phase === "weights") baseBytes = progress.loaded;
        this.dispatch({ type: "progress", progress });
      },
      onRestart: (_error, lost, training) => this.#restarted(lost, training),
    }));
    if (!lab) return;
    this.lab = lab;
    // Before anything can be trained: later digests and answers are compared with these.
    await this.attempt("proof", () => prove(this));
    if (this.closing.aborted) return;
    this.dispatch({ type: "loaded", info: lab.info, lanes: lab.lanes, workers: lab.workers, baseBytes });
    this.#fitEngine();
    await this.press(choose, this.state.settings.sample);
    while (this.state.busy?.brief) await this.#free;
    await this.#write();
  }

  async close() {
    this.training.pause();
    this.#closing.abort();
    this.texts.silence();
    await this.lab?.dispose();
  }

  /** @param {Partial<Settings>} settings */
  set(settings) {
    this.dispatch({ type: "settings", settings });
    this.#fitEngine();
  }

  /** Reload the engine if the settings want another build or number of workers; not while an action has the lab to itself. */
  #fitEngine() {
    const { state, lab } = this;
    const wanted = JSON.stringify(engine(state.settings));
    if (!lab || this.#engine === wanted || state.busy || !can(reload, state)) return;
    this.#engine = wanted;
    this.press(reload);
  }

  /** After a change that affects the texts: renew texts and proof, now or at the end of the action that has the lab to itself. */
  async settle() {
    this.#unproved = true;
    await this.#write();
  }

  /** Renew what is outdated, unless the lab is busy. */
  async #write() {
    const isFree = () => !this.state.busy && !this.closing.aborted;
    if (isFree()) await this.attempt("compare", () => this.texts.compare());
    if (!this.#unproved || !isFree()) return;
    this.#unproved = false;
    await this.attempt("proof", () => prove(this));
  }

  /**
   * The worker died and another took its place.
   * @param {import("../engine/lora-lab.js").Lost} lost what could not be restored
   * @param {{ adapter?: string, step: number } | undefined} training where the one under way stands
   */
  #restarted(lost, training) {
    if (this.closing.aborted) return;
    const before = speaker(this.state);
    if (training && training.adapter === atWork(this.state)) this.dispatch({ type: "stands", step: training.step });
    const what = this.lose(lost);
    if (what) this.#tell("train", new LabError("lost", what));
    // Only if another adapter speaks now: the text itself may have killed the worker.
    if (!isHeard(this.state, before)) this.settle();
  }

  /** Stop showing what the engine could not restore. @param {import("../engine/lora-lab.js").Lost} lost @returns {string} what it is, or "" */
  lose({ run, adapters, step }) {
    const now = atWork(this.state);
    const { using } = this.state.shelf;
    const isAdapter = now !== undefined && adapters.includes(now);
    const isRun = now !== undefined && run === now;
    const isKept = using !== undefined && adapters.includes(keptName(using));
    if (isAdapter || isRun) this.dispatch({ type: "lost", adapter: isAdapter, step });
    // It is still on the shelf and can be chosen again.
    if (isKept) this.dispatch({ type: "used", id: undefined });
    return isAdapter ? "the adapter" : isRun ? "the training's state" : isKept ? "the kept adapter that spoke: choose it again" : "";
  }

  /** @param {Place} place @param {unknown} error */
  #tell(place, error) {
    if (this.closing.aborted || /** @type {any} */ (error)?.code === CODES.aborted) return;
    const { code = CODES.internal, message = String(error) } = /** @type {{ code?: string, message?: string }} */ (Object(error));
    this.dispatch({ type: "failed", problem: { place, code: String(code), message } });
  }
}

/** How many workers and which build, as load() takes them. @param {Settings} settings */
function engine({ workers, fast }) {
  return { workers: workers || undefined, fast };
}

/** Change the number of workers or the build. Adapters and training are kept. */
const reload = action("reload", {
  place: "train",
  brief: true,
  settles: true,
  when: ({ phase }) => rests(phase),
  /** @param {Session} session */
  async perform(session) {
    const { lab, state } = session;
    if (!lab) return;
    try {
      await lab.reload(engine(state.settings));
    } catch (error) {
      const { lost } = /** @type {LabError} */ (error);
      if (lost) session.lose(lost);
      throw error;
    } finally {
      session.dispatch({ type: "reloaded", lanes: lab.lanes, workers: lab.workers });
    }
  },
});
