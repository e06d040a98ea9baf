/** Announcements for screen readers, the progress of loading, and errors of the whole page. */

import { problemBox } from "./controls.js";
import { h, show, text, variable } from "./dom.js";

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function statusPart({ words, session }) {
  const { t } = words;
  const live = h("p", { class: "sr", "aria-live": "polite", role: "status" });
  const happened = h("div", { class: "sr", "aria-live": "polite" });
  // What was announced before a change of language is not repeated.
  const heard = new WeakSet(session.state.news);
  const loading = h("p", { class: "small muted" });
  const bar = h("div", { class: "progress" }, h("span", {}));
  const busy = h("div", { class: "loading" }, loading, bar);
  const problem = problemBox("page", words, () => session.dispatch({ type: "dismissed" }));
  return {
    root: h("div", { class: "status" }, live, happened, busy, problem.root),
    render(state) {
      const { key, values } = state.status;
      const told = Object.entries(values).map(([name, value]) => [name, Number.isInteger(value) ? value : words.fixed(value, 2)]);
      text(live, t(key, Object.fromEntries(told)));
      for (const news of state.news) {
        if (heard.has(news)) continue;
        heard.add(news);
        // A new node, so that the same words are announced a second time.
        happened.append(h("p", {}, t(news.key, news.values)));
        if (happened.children.length > state.news.length) happened.firstElementChild?.remove();
      }
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
