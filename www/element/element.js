/**
 * `<lora-lab model="models/tiny/">`: the whole laboratory in one element.
 *
 * Events: lora-ready, lora-step, lora-done, lora-failed. Until the element is in view, or with
 * `start="click"` until it is clicked, nothing is downloaded. One state, one reducer, one render for each frame.
 */

import { AttributeElement } from "./attributes.js";
import { fetchBytes } from "../engine/fetch.js";
import { adapterIn, fromHash, toHash } from "../lab/hash.js";
import { language } from "../i18n/i18n.js";
import { CODES, LabError, LoraLab } from "../engine/lora-lab.js";
import { choose, useText } from "../lab/corpus.js";
import { Session } from "../lab/session.js";
import { DEFAULTS, FIELDS } from "../lab/settings.js";
import { Stage } from "./stage.js";
import { speakerName } from "../lab/slots.js";
import { INITIAL, isIdle } from "../lab/state.js";
import { compare, setStrength } from "../lab/texts.js";
import { reset, step, train } from "../lab/training.js";
import { files, importFiles, importLink } from "../lab/imports.js";

/** @typedef {import("../lab/types.js").Settings} Settings */
/** @typedef {import("../lab/types.js").Event} Event */
/** @typedef {import("../lab/types.js").Place} Place */
/** @typedef {import("../lab/types.js").State} State */
/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */

const SAMPLES = ["pirate", "robot", "recipes", "names"];

export class LoraLabElement extends AttributeElement {
  /**
   * Makes the workers of every element, where the default cannot find their script, as in a bundle.
   * @type {import("../engine/lora-lab.js").LoadOptions["createWorker"]}
   */
  static createWorker;

  /** @type {Session | undefined} */
  #session;
  /** Settles when the first text is written, or the model could not be loaded. @type {Promise<void> | undefined} */
  #opening;
  #stage = new Stage(this);
  #ended = new AbortController();
  /** Whether it has begun: then it does so by itself when it is put back. */
  #wanted = false;
  /** Attributes that have changed in this turn. @type {Set<string>} */
  #changing = new Set();

  connectedCallback() {
    this.upgradeProperties();
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    addEventListener("hashchange", () => (this.#following = this.#following.then(() => this.#followLink())), { signal });
    // The chart's canvas does not follow style sheets.
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
    // Several that change together are one change of the settings.
    if (!this.#changing.size) queueMicrotask(() => this.#take());
    this.#changing.add(name);
  }

  /** Load the model, in view or not. Settles when the base has written its first text. */
  async open() {
    if (!this.isConnected) throw new LabError("not-connected", "expected <lora-lab> to be in a page before it is used");
    this.#begin();
    await this.#opening;
    const { problem, phase } = this.#session?.state ?? {};
    if (phase === "broken") throw new LabError(problem?.code ?? CODES.internal, problem?.message ?? "the model could not be loaded");
  }

  /** Train to the last step, or until pause(). @returns {Promise<{ step: number, heldOut: number } | undefined>} */
  async train() {
    const session = await this.#withText();
    await session.do(train);
    const { run } = session.state;
    return run && { step: run.step, heldOut: run.heldOut };
  }

  /** Acts before the next step; train() goes on from there. */
  pause() {
    this.#session?.training.pause();
  }

  /** One single step. */
  async step() {
    await (await this.#withText()).do(step);
  }

  /** Remove the adapter. */
  async reset() {
    await (await this.#opened()).do(reset);
  }

  /** Both texts of a prompt, by default the present one. @param {string} [prompt] @returns {Promise<{ before: string, after: string }>} */
  async compare(prompt) {
    const session = await this.#opened();
    if (prompt !== undefined) session.set({ prompt });
    await session.do(compare);
    return { before: session.state.before.text, after: session.state.after.text };
  }

  /**
   * Continue a prompt, as LoraLab.generate() does, by the adapter that speaks on the page unless the options name another.
   * @param {Parameters<LoraLab["generate"]>[0]} prompt
   * @param {Parameters<LoraLab["generate"]>[1] & { strength?: number }} [options] strength: of the adapter, in place of the page's
   * @returns {ReturnType<LoraLab["generate"]>}
   */
  async generate(prompt, { strength, adapter = true, ...options } = {}) {
    const session = await this.#opened();
    const lab = this.#engine(session);
    return session.texts.inTurn(async () => {
      try {
        await session.texts.speakAt(strength ?? session.state.settings.strength);
        return await lab.generate(prompt, { ...options, adapter: adapter === true ? speakerName(session.state) : adapter });
      } finally {
        await session.texts.speakAt(session.state.settings.strength).catch(() => {});
      }
    });
  }

  /** PEFT's two files of the adapter that speaks. @returns {Promise<AdapterFiles>} */
  async exportAdapter() {
    const session = await this.#opened();
    return session.do(files, undefined);
  }

  /** Replace the adapter by this one. @param {AdapterFiles} files */
  async importAdapter(files) {
    const session = await this.#opened();
    await session.do(importFiles, async () => files);
  }

  /** Train on a text of one's own. @param {string} text @param {string} [name] */
  async useText(text, name) {
    await (await this.#opened()).do(useText, text, name);
  }

  /** The engine, for what the buttons do not offer. */
  get lab() {
    return this.#session?.lab;
  }

  /** The page's state, read-only. @returns {State | undefined} */
  get state() {
    return this.#session?.state;
  }

  async #opened() {
    await this.open();
    if (!this.#session) throw new LabError(CODES.disposed, "<lora-lab> was taken out of the page");
    return this.#session;
  }

  /** Waits for the text of the chosen sample, which may be loading. */
  async #withText() {
    const session = await this.#opened();
    await this.#taking;
    return session;
  }

  /** @param {Session} session */
  #engine({ lab }) {
    if (!lab) throw new LabError(CODES.notLoaded, "expected a loaded model");
    return lab;
  }

  /** Replace the poster by the lab, once. */
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
    const adapter = this.link ? adapterIn(location.hash) : undefined;
    await session.open();
    const { info } = session.state;
    // Last: a comparison clears the error in its place, and that of a broken link has to stay.
    if (info && adapter) await session.press(importLink, adapter);
    if (!info || session !== this.#session) return;
    if (this.adapter !== null) await session.press(importFiles, () => this.#adapterFiles());
    if (session !== this.#session) return;
    this.#tell("lora-ready", info);
    // This view has no button to train, and needs an adapter.
    if (this.view === "compare" && this.adapter === null) session.press(train);
  }

  #end() {
    clearTimeout(this.#linkTimer);
    this.#stage.clear();
    this.#session?.close();
    this.#session = undefined;
    this.#opening = undefined;
  }

  /** Begin anew with another model or other texts. */
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

  /** The language of the nearest `lang`. */
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

  /** Links are followed one after another. @type {Promise<void>} */
  #following = Promise.resolve();

  /** Another link to the same page was opened. */
  async #followLink() {
    const session = this.#session;
    const { settings, link } = this.#linked;
    if (!this.link || !session || !isIdle(session.state) || location.hash === toHash(settings, link?.text)) return;
    const adapter = adapterIn(location.hash);
    await this.#follow(session, fromHash(location.hash));
    if (adapter) await session.press(importLink, adapter);
  }

  /** Take over the settings whose attributes have changed. */
  #take() {
    const names = new Set(this.#changing);
    this.#changing.clear();
    const session = this.#session;
    if (!session) return;
    const changed = Object.entries(FIELDS).filter(([, { key }]) => names.has(key));
    const settings = { ...DEFAULTS, ...this.attributeSettings() };
    this.#taking = this.#follow(session, Object.fromEntries(changed.map(([name]) => [name, /** @type {any} */ (settings)[name]])));
  }

  /** Settles when the latest attributes are taken over. @type {Promise<void> | undefined} */
  #taking;

  /** @param {Session} session @param {Partial<Settings>} settings */
  async #follow(session, settings) {
    session.set(settings);
    await session.press(choose, session.state.settings.sample);
    await session.press(setStrength, session.state.settings.strength);
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

  /** A folder's URL: the attribute's, relative to the page, or the fallback, relative to this module. @param {string} attribute @param {string} fallback */
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

// A server may import the element without a page.
globalThis.customElements?.define("lora-lab", LoraLabElement);
