/**
 * `<lora-lab model="models/tiny/">`: the whole laboratory in one element.
 *
 * Attributes: `model` (the folder of the base), `samples` (the folder of the texts), `link` (keep the settings in the page's
 * address). Events: lora-ready, lora-step, lora-done, lora-failed. One state, one reducer, one render for each frame.
 */

import { vendor } from "./chart.js";
import { fetchBytes } from "./fetch.js";
import { fromHash, toHash } from "./hash.js";
import en from "./i18n/en.js";
import { words } from "./i18n.js";
import { Session } from "./session.js";
import { isIdle } from "./state.js";
import { sheet } from "./styles.js";
import { benefitsView } from "./view/benefits.js";
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

  connectedCallback() {
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    const session = new Session(
      { model: this.#url("model", "models/tiny/"), sampleText: (id) => this.#sample(id) },
      (state, event) => this.#changed(state, event),
    );
    this.#session = session;
    if (this.hasAttribute("link")) {
      session.set(fromHash(location.hash));
      addEventListener("hashchange", () => this.#follow(), { signal });
    }
    // The canvas does not follow style sheets by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#restyle(), { signal });
    // The worker starts while the page is being built.
    session.open().then(() => {
      if (session.state.info && !signal.aborted) this.#tell("lora-ready", session.state.info);
    });
    this.#build(session, signal);
  }

  disconnectedCallback() {
    this.#ended.abort();
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

  /**
   * Part by part, each in a task of its own: all at once would keep a slow phone from answering.
   * @param {Session} session
   * @param {AbortSignal} signal
   */
  async #build(session, signal) {
    const context = { words: words(en), session };
    const { t } = context.words;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const steps = h("div", { class: "steps" });
    root.adoptedStyleSheets = [sheet];
    root.replaceChildren(h("link", { rel: "stylesheet", href: vendor("uPlot.min.css") }));
    /** @param {Part} part @param {ParentNode} parent */
    const add = async (part, parent) => {
      this.#parts.push(part);
      parent.append(part.root);
      part.render(session.state);
      await new Promise((resolve) => setTimeout(resolve));
      return !signal.aborted;
    };
    /** @param {string} name @param {Part} part */
    const step = (name, part) => {
      const number = h("span", { class: "number", "aria-hidden": "true" }, String(steps.childElementCount + 1));
      part.root.prepend(h("header", {}, number, h("h2", {}, t(`${name}.heading`)), h("p", { class: "muted" }, t(`${name}.hint`))));
      return add(part, steps);
    };
    if (!(await add(statusPart(context), root))) return;
    root.append(steps);
    if (!(await step("data", dataView(context, SAMPLES)))) return;
    const train = trainView(context, () => this.#look());
    this.#restyle = train.restyle;
    if (!(await step("train", train))) return;
    if (!(await step("compare", compareView(context)))) return;
    await add(benefitsView(context), root);
  }

  #restyle = () => {};

  /** @param {State} state @param {Event} event */
  #changed(state, event) {
    if (event.type === "settings" && this.hasAttribute("link")) this.#keepLink();
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
