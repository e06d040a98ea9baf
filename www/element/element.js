/**
 * `<lora-lab model="models/tiny/">`: the whole laboratory in one element.
 *
 * Attributes and their properties are in attributes.js. Events: lora-ready, lora-step, lora-done, lora-failed. Until the element
 * is in view, or with `start="click"` until it is clicked, nothing is downloaded. One state, one reducer, one render for each frame.
 */

import { AttributeElement } from "./attributes.js";
import { fetchBytes } from "../engine/fetch.js";
import { adapterIn, fromHash, toHash } from "../lab/hash.js";
import { language } from "../i18n/i18n.js";
import { CODES, LabError, LoraLab } from "../engine/lora-lab.js";
import { Session } from "../lab/session.js";
import { DEFAULTS, FIELDS } from "../lab/settings.js";
import { Stage } from "./stage.js";
import { INITIAL, isIdle } from "../lab/state.js";

/** @typedef {import("../lab/settings.js").Settings} Settings */
/** @typedef {import("../lab/state.js").Event} Event */
/** @typedef {import("../lab/state.js").Place} Place */
/** @typedef {import("../lab/state.js").State} State */
/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */

const SAMPLES = ["pirate", "robot", "recipes", "names"];

export class LoraLabElement extends AttributeElement {
  /**
   * How every element of the page makes its workers, where their scripts cannot be found by themselves: in a bundle, say.
   * @type {import("../engine/lora-lab.js").LoadOptions["createWorker"]}
   */
  static createWorker;

  /** @type {Session | undefined} */
  #session;
  /** Settles when the model has told its first story, or could not be loaded. @type {Promise<void> | undefined} */
  #opening;
  #stage = new Stage(this);
  #ended = new AbortController();
  /** Begun once, it begins by itself when it is put back. */
  #wanted = false;
  /** Attributes that have changed in this turn. @type {Set<string>} */
  #changing = new Set();

  connectedCallback() {
    this.upgradeProperties();
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    addEventListener("hashchange", () => this.#followLink(), { signal });
    // The canvas does not follow style sheets by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#stage.restyle(), { signal });
    const sight = new IntersectionObserver((entries) => {
      if (this.start === "visible" && entries.some(({ isIntersecting }) => isIntersecting)) this.#begin();
    });
    sight.observe(this);
    signal.addEventListener("abort", () => sight.disconnect());
    if (this.#wanted) this.#begin();
    else this.#show();
  }

  disconnectedCallback() {
    this.#ended.abort();
    this.#end();
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (before === now || !this.isConnected || name === "start") return;
    if (name === "theme") return this.#stage.restyle();
    if (name === "view") return this.#show();
    if (name === "lang") return this.#session ? this.#speakAround(this.#session) : this.#show();
    if (name === "model" || name === "samples" || name === "adapter") return this.#restart();
    if (!this.#session) return;
    // Several may change in one go; they make one change of the settings.
    if (!this.#changing.size) queueMicrotask(() => this.#take());
    this.#changing.add(name);
  }

  /** Load the model, in view or not. Settles when the base has told its first story. */
  async open() {
    if (!this.isConnected) throw new LabError("not-connected", "expected <lora-lab> to be in a page before it is used");
    this.#begin();
    await this.#opening;
    const { problem, phase } = this.#session?.state ?? {};
    if (phase === "broken") throw new LabError(problem?.code ?? CODES.internal, problem?.message ?? "the model could not be loaded");
  }

  /** Train to the last step, or until pause(). @returns {Promise<{ step: number, heldOut: number } | undefined>} */
  train() {
    return this.#act("train", async (session) => {
      await session.train();
      const { run } = session.state;
      return run && { step: run.step, heldOut: run.heldOut };
    });
  }

  /** Acts before the next step; train() goes on from there. */
  pause() {
    this.#session?.pause();
  }

  /** One single step. */
  step() {
    return this.#act("train", (session) => session.step());
  }

  /** Remove the adapter. */
  reset() {
    return this.#act("train", (session) => session.reset());
  }

  /** Both texts of a prompt, or of the one that stands there. @param {string} [prompt] @returns {Promise<{ before: string, after: string }>} */
  async compare(prompt) {
    const session = await this.#opened();
    if (prompt !== undefined) session.set({ prompt });
    await this.#watched(session, "compare", () => session.compare());
    return { before: session.state.before.text, after: session.state.after.text };
  }

  /** Continue a prompt, as LoraLab.generate() does. @type {LoraLab["generate"]} */
  async generate(prompt, options) {
    return (await this.#engine()).generate(prompt, options);
  }

  /** PEFT's two files. @returns {Promise<AdapterFiles>} */
  async exportAdapter() {
    return (await this.#engine()).exportAdapter();
  }

  /** Put an adapter in the place of the one there is. @param {AdapterFiles} files */
  importAdapter(files) {
    return this.#act("adapter", (session) => session.adapters.load(async () => files));
  }

  /** Train on a text of one's own. @param {string} text @param {string} [name] */
  useText(text, name) {
    return this.#act("data", async (session) => session.useText(text, name));
  }

  /** The engine, for whoever wants more than the buttons give. */
  get lab() {
    return this.#session?.lab;
  }

  /** The page's state, to be read. @returns {State | undefined} */
  get state() {
    return this.#session?.state;
  }

  async #opened() {
    await this.open();
    if (!this.#session) throw new LabError(CODES.disposed, "<lora-lab> was taken out of the page");
    return this.#session;
  }

  async #engine() {
    const { lab } = await this.#opened();
    if (!lab) throw new LabError(CODES.notLoaded, "expected a loaded model");
    return lab;
  }

  /** @template T @param {Place} place @param {(session: Session) => Promise<T>} action */
  async #act(place, action) {
    const session = await this.#opened();
    if (!isIdle(session.state)) throw new LabError("busy", `expected the lab to be at rest, it is ${session.state.phase}`);
    return this.#watched(session, place, () => action(session));
  }

  /** What the page tells its reader, a caller is told by a rejection. @template T @param {Session} session @param {Place} place @param {() => Promise<T>} action */
  async #watched(session, place, action) {
    const before = session.state.problem;
    const result = await action();
    const { problem } = session.state;
    if (problem && problem !== before && problem.place === place) throw new LabError(problem.code, problem.message);
    return result;
  }

  /** From the poster to the model, once. */
  #begin() {
    if (this.#session) return;
    this.#wanted = true;
    const { createWorker } = LoraLabElement;
    const session = new Session(
      {
        model: this.#url("model", "../models/tiny/"),
        sampleText: (id) => this.#sample(id),
        load: (options) => LoraLab.load({ ...options, createWorker }),
      },
      (state, event) => this.#changed(state, event),
    );
    this.#session = session;
    session.set({ lang: this.#around(), ...this.attributeSettings(), ...(this.link ? fromHash(location.hash) : {}) });
    // The worker starts while the page is being built.
    this.#opening = this.#open(session);
    this.#show();
  }

  /** @param {Session} session */
  async #open(session) {
    await session.open(this.link ? adapterIn(location.hash) : undefined);
    const { info } = session.state;
    if (!info || session !== this.#session) return;
    if (this.adapter !== null) await session.adapters.load(() => this.#adapterFiles());
    if (session !== this.#session) return;
    this.#tell("lora-ready", info);
    // This view has no button for it, and nothing to compare without.
    if (this.view === "compare" && this.adapter === null) session.train();
  }

  #end() {
    this.#stage.clear();
    this.#session?.close();
    this.#session = undefined;
    this.#opening = undefined;
  }

  /** Another model, other texts: all anew. */
  #restart() {
    const begun = this.#session !== undefined;
    this.#end();
    if (begun) this.#begin();
  }

  /** In the language of the settings. */
  #speak() {
    if (this.#session && this.#session.state.settings.lang !== this.#stage.lang) this.#show();
  }

  /** @param {Session} session */
  #speakAround(session) {
    if (session.state.settings.lang !== this.#around()) session.set({ lang: this.#around() });
  }

  /** The language that the nearest attribute says. */
  #around() {
    return language(this.closest("[lang]")?.getAttribute("lang"));
  }

  #show() {
    const session = this.#session;
    const lang = session?.state.settings.lang ?? this.#around();
    const address = (/** @type {string} */ adapter) => new URL(toHash(session?.state.settings ?? DEFAULTS, adapter), location.href).href;
    const scene = { lang, view: this.view, samples: this.#samples(), session, begin: () => this.#begin(), address: this.link ? address : undefined };
    this.#stage.show(scene).catch((error) => {
      session?.dispatch({ type: "failed", problem: { place: "page", code: CODES.fetch, message: String(error) } });
    });
  }

  /** @param {State} state @param {Event} event */
  #changed(state, event) {
    if (this.link && (state.settings !== this.#linked.settings || state.link !== this.#linked.link)) this.#keepLink(state);
    if (event.type === "settings") this.#speak();
    if (event.type === "step") this.#tell("lora-step", event.step);
    if (event.type === "finished") this.#tell("lora-done", { heldOut: state.run?.heldOut });
    if (event.type === "failed") this.#tell("lora-failed", event.problem);
    this.#stage.draw();
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #linkTimer;

  /** What the address holds, or will in a moment. @type {Pick<State, "settings" | "link">} */
  #linked = { settings: INITIAL.settings, link: undefined };

  /** Browsers refuse an address that changes too often, as under a moving slider. @param {State} state */
  #keepLink({ settings, link }) {
    this.#linked = { settings, link };
    clearTimeout(this.#linkTimer);
    this.#linkTimer = setTimeout(() => history.replaceState(history.state, "", toHash(settings, link?.text)), 200);
  }

  /** Another link was pasted into the same page. */
  async #followLink() {
    const session = this.#session;
    const { settings, link } = this.#linked;
    if (!this.link || !session || !isIdle(session.state) || location.hash === toHash(settings, link?.text)) return;
    const adapter = adapterIn(location.hash);
    await this.#follow(session, fromHash(location.hash));
    if (adapter) await session.adapters.loadLink(adapter);
  }

  /** Attributes have changed: those settings, and no others. */
  #take() {
    const names = new Set(this.#changing);
    this.#changing.clear();
    const session = this.#session;
    if (!session) return;
    const changed = Object.entries(FIELDS).filter(([, { key }]) => names.has(key));
    const settings = { ...DEFAULTS, ...this.attributeSettings() };
    return this.#follow(session, Object.fromEntries(changed.map(([name]) => [name, /** @type {any} */ (settings)[name]])));
  }

  /** @param {Session} session @param {Partial<Settings>} settings */
  async #follow(session, settings) {
    session.set(settings);
    await session.choose(session.state.settings.sample);
    await session.setStrength(session.state.settings.strength);
  }

  /** @param {string} id */
  async #sample(id) {
    const folder = this.#url("samples", "../samples/");
    const bytes = await fetchBytes(new URL(`${id}.txt`, folder), { signal: this.#ended.signal });
    return new TextDecoder().decode(bytes);
  }

  /** The texts on offer: ours, or the one that the attribute names beside them. */
  #samples() {
    const { sample } = this;
    return sample === "own" || SAMPLES.includes(sample) ? SAMPLES : [sample];
  }

  /** @returns {Promise<AdapterFiles>} */
  async #adapterFiles() {
    const folder = this.#url("adapter", "");
    const file = (/** @type {string} */ name) => fetchBytes(new URL(name, folder), { signal: this.#ended.signal });
    const [safetensors, config] = await Promise.all([file("adapter_model.safetensors"), file("adapter_config.json")]);
    return { safetensors: /** @type {Uint8Array} */ (safetensors), config: new TextDecoder().decode(config) };
  }

  /** A folder: as the attribute says, seen from the page, or as seen from this module. @param {string} attribute @param {string} fallback */
  #url(attribute, fallback) {
    const value = this.getAttribute(attribute);
    const url = value === null ? new URL(fallback, import.meta.url) : new URL(value, document.baseURI);
    return url.href.endsWith("/") ? url.href : `${url.href}/`;
  }

  /** @param {string} type @param {unknown} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

// Where there is no page, on a server say, the element is imported but never made.
globalThis.customElements?.define("lora-lab", LoraLabElement);
