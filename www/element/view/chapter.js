/**
 * A part of the page below the three steps. Its heading is there from the start, for whoever goes by headings; the rest is
 * fetched and built, words and all, when it first comes near the window. Before that it weighs nothing.
 */

import { h, text, uniqueId } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/**
 * @typedef {object} Chapter
 * @property {string} name its part's name; "<name>.heading" and "<name>.text" are its words
 * @property {string} [under] the group that it belongs to: "<under>.heading" stands above the first of them
 * @property {() => Promise<(context: Context) => Part>} load
 */

/** How far below the window building begins. More would fetch the first chapter for whoever only looks at the three steps. */
const AHEAD = "200px";

/**
 * @param {Chapter} chapter
 * @param {Context} context
 * @param {(sheet: CSSStyleSheet | undefined) => void} adopt what is styled, before it is seen
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
  const build = async () => {
    near.disconnect();
    removeEventListener("keydown", tabbed);
    try {
      const [make] = await Promise.all([load(), context.words.more()]);
      if (ended) return;
      part = make(context);
      adopt(part.sheet);
      part.render(context.session.state);
      body.replaceChildren(part.root);
      root.dataset["built"] = "";
    } catch (error) {
      // Without network, say; it is tried again when the reader comes back to it.
      console.error(error);
      text(body, t("chapter.failed"));
      if (!ended) setTimeout(() => near.observe(root), 2000);
    }
  };
  const near = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && build(), { rootMargin: `${AHEAD} 0px` });
  /** Tab goes to what there is to press: past a chapter that is not built, which the window then never comes near. @param {KeyboardEvent} event */
  const tabbed = (event) => {
    if (event.key === "Tab" && event.composedPath().includes(root.getRootNode())) build();
  };
  addEventListener("keydown", tabbed);
  near.observe(root);
  return {
    root,
    render: (state) => part?.render(state),
    restyle: () => part?.restyle?.(),
    end() {
      ended = true;
      near.disconnect();
      removeEventListener("keydown", tabbed);
      part?.end?.();
    },
  };
}
