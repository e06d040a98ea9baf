/** Benefit 4, small enough to send: sizes as areas, files in and out. */

import { readAdapter } from "../files.js";
import { targeted, trainable } from "../plan.js";
import { isIdle } from "../state.js";
import sheet from "../styles/storage.js";
import { button, fileButton, problemBox } from "./controls.js";
import { attribute, droppable, h, show, svg, text } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** The base's size and the adapter's as areas; saving and loading. @param {Context} context @returns {Part} */
export function storageView({ words, session }) {
  const { t } = words;
  const base = svg("rect", { class: "w", x: 0, y: 0, width: 100, height: 100, rx: 3 });
  const adapter = svg("rect", { class: "ab" });
  const picture = svg("svg", { class: "areas", viewBox: "0 0 100 100", "aria-hidden": "true" }, base, adapter);
  const baseSize = h("dd", {});
  const adapterSize = h("dd", {});
  const adapterName = h("dt", {});
  const sizes = h("dl", { class: "sizes" }, h("div", { class: "adapter" }, adapterName, adapterSize), h("div", { class: "base" }, h("dt", {}, t("storage.base")), baseSize));
  const save = button(t("storage.save"), async () => download(await session.saveAdapter()));
  const take = (/** @type {File[]} */ files) => session.loadAdapter(() => readAdapter(files));
  const load = fileButton(t("storage.load"), { accept: ".safetensors,.json", multiple: true, title: t("storage.load.title") }, take);
  const problem = problemBox("adapter", words, () => session.dispatch({ type: "dismissed" }));
  const drop = h("p", { class: "drop", "aria-hidden": "true" }, t("storage.drop"));
  const root = h("div", { class: "files" },
    h("div", { class: "sizing" }, picture, sizes), h("div", { class: "actions" }, save.root, load.root), problem.root, drop);
  droppable(root, (files) => {
    if (isIdle(session.state)) take(files);
  });
  return {
    root,
    sheet,
    render(state) {
      const { info, settings, baseBytes } = state;
      const idle = isIdle(state);
      save.render(Boolean(state.adapter) && state.phase !== "training");
      load.render(idle);
      problem.render(state);
      if (!info) return;
      const bytes = state.adapter?.bytes ?? trainable(targeted(info, settings.targets), settings.rank) * 4;
      text(adapterName, t(state.adapter ? "storage.adapter" : "storage.planned"));
      text(adapterSize, words.bytes(bytes));
      text(baseSize, words.bytes(baseBytes));
      // Areas, not lengths, are in the ratio of the sizes.
      const side = Math.min(100, 100 * Math.sqrt(bytes / Math.max(1, baseBytes)));
      for (const [name, value] of Object.entries({ x: 0, y: 100 - side, width: side, height: side, rx: 2 })) attribute(adapter, name, value);
      show(drop, true);
    },
  };
}

/** @param {import("../types.js").AdapterFiles | undefined} files */
function download(files) {
  if (!files) return;
  const named = { "adapter_model.safetensors": files.safetensors, "adapter_config.json": files.config };
  for (const [name, content] of Object.entries(named)) {
    const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (content)]));
    h("a", { href: url, download: name }).click();
    // The browser has taken the blob by the next turn; some take a little longer.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}
