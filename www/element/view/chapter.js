/**
 * A part of the page below the three steps. Its heading is there from the start, for readers who navigate by headings; the
 * rest is fetched and built, with its words, when it is about to scroll into view.
 */

import { h, text, uniqueId } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/**
 * @typedef {object} Chapter
 * @property {string} name of its part; "<name>.heading" and "<name>.text" are its words
 * @property {string} [under] the group that it belongs to: "<under>.heading" stands above the first of them
 * @property {() => Promise<(context: Context) => Part>} load
 */

/** How far below the window building begins. More would fetch the first chapter for readers who stay at the three steps. */
const AHEAD = "200px";

/**
 * @param {Chapter} chapter
 * @param {Context} context
 * @param {(sheet: CSSStyleSheet | undefined) => void} adopt adds a part's style sheet
 * @returns {Part}
 */
export function chapterView({ name, under, load }, context, adopt) {
  const { t } = context.words;
  const id = uniqueId();
  const body = h("div", { class: "body" });
  const root = h("section", { class: "card chapter", part: name, "aria-labelledby": id },
    h("header", {}, h(under ? "h3" : "h2", { id }, t(`${name}.heading`)), h("p", { class: "muted" }, t(`${name}.text`))), body);
  /** @type {Part | undefined} */
  let part;
  let ended = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const wait = () => {
    addEventListener("keydown", tabbed);
    near.observe(root);
  };
  const stopWaiting = () => {
    clearTimeout(timer);
    near.disconnect();
    removeEventListener("keydown", tabbed);
  };
  const build = async () => {
    stopWaiting();
    try {
      const [make] = await Promise.all([load(), context.words.more()]);
      if (ended) return;
      part = make(context);
      adopt(part.sheet);
      part.render(context.session.state);
      body.replaceChildren(part.root);
      root.dataset["built"] = "";
    } catch (error) {
      // Perhaps offline; it is tried again when it is next in view.
      console.error(error);
      text(body, t("chapter.failed"));
      if (!ended) timer = setTimeout(wait, 2000);
    }
  };
  const near = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && build(), { rootMargin: `${AHEAD} 0px` });
  /** Tab would skip a chapter that is not built, since it has no controls: build it first. @param {KeyboardEvent} event */
  const tabbed = (event) => {
    if (event.key === "Tab" && event.composedPath().includes(root.getRootNode())) build();
  };
  wait();
  return {
    root,
    render: (state) => part?.render(state),
    restyle: () => part?.restyle?.(),
    end() {
      ended = true;
      stopWaiting();
      part?.end?.();
    },
  };
}
