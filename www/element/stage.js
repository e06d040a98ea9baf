/** What `<lora-lab>` shows: its poster, or the parts of a view in a language, drawn from the state once a frame. */

import { wordsIn } from "../i18n/i18n.js";
import base from "./styles/base.js";
import chapters from "./styles/chapters.js";
import { theme } from "./styles/theme.js";
import { h } from "./view/dom.js";
import { poster } from "./view/poster.js";
import { pieces } from "./view/views.js";

/** @typedef {import("../i18n/i18n.js").Language} Language */
/** @typedef {import("../lab/session.js").Session} Session */
/** @typedef {import("./view/part.js").Context} Context */
/** @typedef {import("./view/part.js").Part} Part */

/**
 * @typedef {object} Scene
 * @property {Language} lang
 * @property {import("./attributes.js").View} view
 * @property {string[]} samples ids of the texts on offer
 * @property {Session | undefined} session without one there is the poster
 * @property {Context["address"]} address
 * @property {() => void} begin what the poster's button does
 */

export class Stage {
  #host;
  /** @type {Scene | undefined} */
  #scene;
  /** @type {Part[]} */
  #parts = [];
  #frame = 0;
  /** Ends when another scene is wanted. */
  #building = new AbortController();

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#host = host;
  }

  /** The language of the parts, or of those being built. */
  get lang() {
    return this.#scene?.lang;
  }

  /**
   * The first time the parts appear one by one; later they replace the old ones when all are built, so that nothing jumps.
   * If the words cannot be fetched it rejects and leaves the page as it is.
   * @param {Scene} scene
   */
  async show(scene) {
    this.#building.abort();
    this.#building = new AbortController();
    const { signal } = this.#building;
    const before = this.#scene;
    this.#scene = scene;
    const words = await this.#words(scene.lang).catch((error) => {
      if (this.#scene === scene) this.#scene = before;
      throw error;
    });
    if (signal.aborted) return;
    const root = this.#host.shadowRoot ?? this.#host.attachShadow({ mode: "open" });
    if (!root.adoptedStyleSheets.length) root.adoptedStyleSheets = [theme, base, chapters];
    const { session } = scene;
    if (!session) return root.replaceChildren(poster(words, scene.begin));
    const isFirst = !this.#parts.length;
    // Keep the focus of a reader who pressed the poster's button.
    const wasPressed = Boolean(root.activeElement?.closest(".poster"));
    if (isFirst) root.replaceChildren();
    const place = isFirst ? root : document.createDocumentFragment();
    const parts = isFirst ? this.#parts : [];
    const frame = await this.#fill(scene, { words, session, look: () => this.#look(), address: scene.address }, place, parts, signal);
    if (!isFirst) {
      for (const part of frame ? this.#parts.splice(0) : parts) part.end?.();
      if (!frame) return;
      root.replaceChildren(place);
      this.#parts.push(...parts);
      this.#render();
    }
    if (frame) this.#host.lang = scene.lang;
    if (wasPressed) frame?.focus();
  }

  /** Draw the state: many changes may come within one frame, and are drawn once. */
  draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#render());
  }

  /** Colours have changed. */
  restyle() {
    for (const part of this.#parts) part.restyle?.();
  }

  /** End every part. */
  clear() {
    this.#building.abort();
    this.#scene = undefined;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    for (const part of this.#parts.splice(0)) part.end?.();
  }

  #render() {
    this.#frame = 0;
    const state = this.#scene?.session?.state;
    if (state) for (const part of this.#parts) part.render(state);
  }

  /** Parts are replaced all at once, so chapters that are open need their words at once. @param {Language} lang */
  async #words(lang) {
    const isFirst = !this.#parts.length;
    const words = await wordsIn(lang);
    if (!isFirst) await words.more();
    return words;
  }

  /**
   * Part by part, each in a task of its own: all at once would keep a slow phone from answering.
   * @param {Scene} scene
   * @param {Context} context
   * @param {ParentNode} root
   * @param {Part[]} parts to which they are added
   * @param {AbortSignal} signal
   * @returns {Promise<HTMLElement | undefined>} the view's frame once all are there
   */
  async #fill({ view, samples }, context, root, parts, signal) {
    const frame = h("div", { class: view === "full" ? "steps" : "brief", part: "frame", tabindex: -1 });
    const adopt = (/** @type {CSSStyleSheet | undefined} */ sheet) => this.#adopt(sheet);
    for await (const { part, framed } of pieces(view, context, { samples, adopt })) {
      parts.push(part);
      adopt(part.sheet);
      if (framed && !frame.parentNode) root.append(frame);
      (framed ? frame : root).append(part.root);
      part.render(context.session.state);
      await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return undefined;
    }
    return frame;
  }

  /** A part's own sheet, once. @param {CSSStyleSheet | undefined} sheet */
  #adopt(sheet) {
    const { adoptedStyleSheets } = /** @type {ShadowRoot} */ (this.#host.shadowRoot);
    if (sheet && !adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
  }

  /** @returns {import("./chart.js").Look} */
  #look() {
    const style = getComputedStyle(this.#host);
    const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    return { text: value("--muted"), grid: value("--line"), quiet: value("--quiet"), accent: value("--accent"), font: value("--sans") || "sans-serif" };
  }
}
