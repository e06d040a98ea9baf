/**
 * `<lora-lab model="models/tiny/">`: the whole laboratory in one element.
 *
 * Attributes: `model` (the folder of the base), `samples` (the folder of the texts), `link` (keep the settings in the page's
 * address), `lang` (en or hi; else that of the nearest element around it). Events: lora-ready, lora-step, lora-done, lora-failed. One state, one reducer, one render for each frame.
 */

import { vendor } from "./chart.js";
import { fetchBytes } from "./fetch.js";
import { fromHash, toHash } from "./hash.js";
import { language, wordsIn } from "./i18n.js";
import { Session } from "./session.js";
import { isIdle } from "./state.js";
import base from "./styles/base.js";
import chapters from "./styles/chapters.js";
import { theme } from "./styles/theme.js";
import { chapterView } from "./view/chapter.js";
import { CHAPTERS } from "./view/chapters.js";
import { compareView } from "./view/compare.js";
import { problemBox } from "./view/controls.js";
import { dataView } from "./view/data.js";
import { h, show, text, variable } from "./view/dom.js";
import { trainView } from "./view/train.js";

/** @typedef {import("./state.js").Event} Event */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./view/part.js").Part} Part */

const SAMPLES = ["pirate", "robot", "recipes", "names"];

export class LoraLabElement extends HTMLElement {
  /** @type {Session | undefined} */
  #session;
  /** @type {Part[]} */
  #parts = [];
  #frame = 0;
  #ended = new AbortController();
  /** The language in which the parts are, or are about to be. @type {import("./i18n.js").Language | undefined} */
  #lang;

  static observedAttributes = ["lang"];

  attributeChangedCallback() {
    if (this.#session?.state.settings.lang !== this.#around()) this.#session?.set({ lang: this.#around() });
  }

  connectedCallback() {
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    const session = new Session(
      { model: this.#url("model", "models/tiny/"), sampleText: (id) => this.#sample(id) },
      (state, event) => this.#changed(state, event),
    );
    this.#session = session;
    const linked = this.hasAttribute("link") ? fromHash(location.hash) : {};
    session.set({ lang: this.#around(), ...linked });
    if (this.hasAttribute("link")) {
      addEventListener("hashchange", () => this.#follow(), { signal });
    }
    // The canvas does not follow style sheets by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#restyle(), { signal });
    // The worker starts while the page is being built.
    session.open().then(() => {
      if (session.state.info && !signal.aborted) this.#tell("lora-ready", session.state.info);
    });
  }

  disconnectedCallback() {
    this.#ended.abort();
    this.#lang = undefined;
    cancelAnimationFrame(this.#frame);
    for (const part of this.#parts.splice(0)) part.end?.();
    this.#session?.close();
    this.#session = undefined;
  }

  /** The engine, for whoever wants more than the buttons give. */
  get lab() {
    return this.#session?.lab;
  }

  /** The page's state, to be read. @returns {State | undefined} */
  get state() {
    return this.#session?.state;
  }

  /** In the language of the settings. One that cannot be fetched leaves the page in the one it has. */
  #speak() {
    const session = this.#session;
    if (!session || session.state.settings.lang === this.#lang) return;
    const before = this.#lang;
    this.#build(session, this.#ended.signal).catch((error) => {
      this.#lang = before;
      session.dispatch({ type: "failed", problem: { place: "page", code: "fetch", message: String(error) } });
    });
  }

  /** The language that the nearest attribute says. */
  #around() {
    return language(this.closest("[lang]")?.getAttribute("lang"));
  }

  /**
   * All parts in the language of the settings. The first time they are seen as they come; in another language they are put in
   * place of the old ones when all are there, so that nothing jumps.
   * @param {Session} session
   * @param {AbortSignal} signal
   */
  async #build(session, signal) {
    const { lang } = session.state.settings;
    this.#lang = lang;
    const isWanted = () => !signal.aborted && this.#lang === lang;
    const words = await wordsIn(lang);
    if (!isWanted()) return;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const isFirst = !this.#parts.length;
    if (isFirst) {
      root.adoptedStyleSheets = [theme, base, chapters];
      root.replaceChildren(h("link", { rel: "stylesheet", href: vendor("uPlot.min.css") }));
      this.lang = lang;
      return this.#addParts({ words, session }, root, this.#parts, isWanted);
    }
    /** @type {Part[]} */
    const parts = [];
    const fragment = document.createDocumentFragment();
    const isWhole = await this.#addParts({ words, session }, fragment, parts, isWanted);
    const leaving = isWhole ? this.#parts.splice(0) : parts;
    for (const part of leaving) part.end?.();
    if (!isWhole) return;
    const kept = [...root.children].filter((child) => child instanceof HTMLLinkElement);
    root.replaceChildren(...kept, fragment);
    this.lang = lang;
    this.#parts.push(...parts);
    this.#render();
  }

  /** A part's own sheet, once. @param {CSSStyleSheet | undefined} sheet */
  #adopt(sheet) {
    const { adoptedStyleSheets } = /** @type {ShadowRoot} */ (this.shadowRoot);
    if (sheet && !adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
  }

  /**
   * Part by part, each in a task of its own: all at once would keep a slow phone from answering.
   * @param {import("./view/part.js").Context} context
   * @param {ParentNode} root
   * @param {Part[]} parts to which they are added
   * @param {() => boolean} isWanted whether to go on
   * @returns {Promise<boolean>} whether all are there
   */
  async #addParts(context, root, parts, isWanted) {
    const { t } = context.words;
    const steps = h("div", { class: "steps" });
    const adopt = (/** @type {CSSStyleSheet | undefined} */ sheet) => this.#adopt(sheet);
    /** @param {Part} part @param {ParentNode} parent */
    const add = async (part, parent) => {
      parts.push(part);
      adopt(part.sheet);
      parent.append(part.root);
      part.render(context.session.state);
      await new Promise((resolve) => setTimeout(resolve));
      return isWanted();
    };
    /** @param {string} name @param {Part} part */
    const step = (name, part) => {
      const number = h("span", { class: "number", "aria-hidden": "true" }, String(steps.childElementCount + 1));
      part.root.prepend(h("header", {}, number, h("h2", {}, t(`${name}.heading`)), h("p", { class: "muted" }, t(`${name}.hint`))));
      return add(part, steps);
    };
    if (!(await add(statusPart(context), root))) return false;
    root.append(steps);
    if (!(await step("data", dataView(context, SAMPLES)))) return false;
    const train = trainView(context, () => this.#look());
    this.#restyle = train.restyle;
    if (!(await step("train", train))) return false;
    if (!(await step("compare", compareView(context)))) return false;
    let group = "";
    for (const chapter of CHAPTERS) {
      if (chapter.under && chapter.under !== group) root.append(h("h2", { class: "under" }, t(`${chapter.under}.heading`)));
      group = chapter.under ?? "";
      if (!(await add(chapterView(chapter, context, adopt), root))) return false;
    }
    return true;
  }

  #restyle = () => {};

  /** @param {State} state @param {Event} event */
  #changed(state, event) {
    if (event.type === "settings") {
      if (this.hasAttribute("link")) this.#keepLink();
      this.#speak();
    }
    if (event.type === "step") this.#tell("lora-step", event.step);
    if (event.type === "finished") this.#tell("lora-done", { heldOut: state.run?.heldOut });
    if (event.type === "failed") this.#tell("lora-failed", event.problem);
    // Many events may come within one frame; it is drawn once.
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = 0;
    const state = this.#session?.state;
    if (state) for (const part of this.#parts) part.render(state);
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #linkTimer;

  /** Browsers refuse an address that changes too often, as under a moving slider. */
  #keepLink() {
    clearTimeout(this.#linkTimer);
    this.#linkTimer = setTimeout(() => {
      const state = this.#session?.state;
      if (state) history.replaceState(history.state, "", toHash(state.settings));
    }, 200);
  }

  /** Another link was pasted into the same page. */
  async #follow() {
    const session = this.#session;
    if (!session || !isIdle(session.state) || location.hash === toHash(session.state.settings)) return;
    session.set(fromHash(location.hash));
    await session.choose(session.state.settings.sample);
    await session.setStrength(session.state.settings.strength);
  }

  /** @param {string} id */
  async #sample(id) {
    const folder = this.#url("samples", "samples/");
    const bytes = await fetchBytes(new URL(`${id}.txt`, folder), { signal: this.#ended.signal });
    return new TextDecoder().decode(bytes);
  }

  /** A folder: as the attribute says, seen from the page, or where these modules lie. @param {string} attribute @param {string} fallback */
  #url(attribute, fallback) {
    const value = this.getAttribute(attribute);
    const url = value === null ? new URL(fallback, import.meta.url) : new URL(value, document.baseURI);
    return url.href.endsWith("/") ? url.href : `${url.href}/`;
  }

  /** @param {string} type @param {unknown} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  /** @returns {import("./chart.js").Look} */
  #look() {
    const style = getComputedStyle(this);
    const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    return { text: value("--muted"), grid: value("--line"), quiet: value("--quiet"), accent: value("--accent"), font: value("--sans") || "sans-serif" };
  }
}

/** What a screen reader is told, how far loading is, and what broke the whole page. @param {import("./view/part.js").Context} context @returns {Part} */
function statusPart({ words, session }) {
  const { t } = words;
  const live = h("p", { class: "sr", "aria-live": "polite", role: "status" });
  const loading = h("p", { class: "small muted" });
  const bar = h("div", { class: "progress" }, h("span", {}));
  const busy = h("div", { class: "loading" }, loading, bar);
  const problem = problemBox("page", words, () => session.dispatch({ type: "dismissed" }));
  return {
    root: h("div", { class: "status" }, live, busy, problem.root),
    render(state) {
      const { key, values } = state.status;
      const told = Object.entries(values).map(([name, value]) => [name, Number.isInteger(value) ? value : words.fixed(value, 2)]);
      text(live, t(key, Object.fromEntries(told)));
      show(busy, state.phase === "loading");
      problem.render(state);
      const { progress } = state;
      variable(bar, "--share", progress?.total ? progress.loaded / progress.total : 0);
      if (!progress || progress.phase === "engine") return text(loading, t("loading.engine"));
      const loaded = words.bytes(progress.loaded);
      text(loading, progress.total ? t("loading.of", { loaded, total: words.bytes(progress.total) }) : t("loading.weights", { loaded }));
    },
  };
}

customElements.define("lora-lab", LoraLabElement);
