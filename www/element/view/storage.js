/** The chapter about an adapter's size: sizes as areas, import and export, the link that holds an adapter, the shelf. */

import { LONGEST } from "../../lab/adapter-link.js";
import { readAdapter } from "../../lab/files.js";
import { files as readFiles, importFiles } from "../../lab/imports.js";
import { targeted, trainable } from "../../lab/plan.js";
import { can } from "../../lab/actions.js";
import { voice } from "../../lab/state.js";
import { makeLink } from "../../lab/voices.js";
import sheet from "../styles/storage.js";
import { button, fileButton, problemBox } from "./controls.js";
import { attribute, droppable, h, show, svg, text } from "./dom.js";
import { downloadAdapter } from "./download.js";
import { shelfView } from "./shelf.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** Characters of the text that fit beside the sizes. */
const HEARD = 220;

/** @param {Context} context @returns {Part} */
export function storageView(context) {
  const { words, session } = context;
  const { t } = words;
  const base = svg("rect", { class: "w", x: 0, y: 0, width: 100, height: 100, rx: 2 });
  const adapter = svg("rect", { class: "ab" });
  const picture = svg("svg", { class: "areas", viewBox: "0 0 100 100", "aria-hidden": "true" }, base, adapter);
  const baseSize = h("dd", {});
  const adapterSize = h("dd", {});
  const adapterName = h("dt", {});
  const sizes = h("dl", { class: "sizes" }, h("div", { class: "adapter" }, adapterName, adapterSize), h("div", { class: "base" }, h("dt", {}, t("storage.base")), baseSize));
  const heard = h("blockquote", { class: "heard", lang: "" });
  const said = h("figure", { class: "said" }, h("figcaption", { class: "small muted" }, t("storage.heard")), heard);
  const save = button(t("storage.save"), async () => downloadAdapter(await session.press(readFiles, undefined)));
  const take = (/** @type {File[]} */ files) => session.press(importFiles, () => readAdapter(files));
  const load = fileButton(t("storage.load"), { accept: ".safetensors,.json", multiple: true, title: t("storage.load.title") }, take);
  const link = linkView(context);
  const shelf = shelfView(context);
  const problem = problemBox("adapter", words, () => session.dispatch({ type: "dismissed" }));
  const drop = h("p", { class: "drop", "aria-hidden": "true" }, t("storage.drop"));
  const root = h("div", { class: "files" },
    h("div", { class: "own-files" }, h("div", { class: "sizing" }, picture, sizes, said), h("div", { class: "actions" }, save.root, load.root, link.button), link.root, problem.root),
    shelf.root, drop);
  droppable(root, (files) => {
    if (can(importFiles, session.state)) take(files);
  });
  return {
    root,
    sheet,
    render(state) {
      const { info, settings, baseBytes } = state;
      const speaks = voice(state);
      save.render(Boolean(speaks) && state.phase !== "training");
      load.render(can(importFiles, state));
      link.render(state);
      // The text is shown beside the choice of adapter, since the comparison may be out of view.
      const said = speaks ? state.after : state.before;
      text(heard, said.text && (said.prompt + said.text).slice(0, HEARD));
      shelf.render(state);
      problem.render(state);
      if (!info) return;
      const bytes = speaks?.bytes ?? trainable(targeted(info, settings.targets), settings.rank) * 4;
      text(adapterName, t(speaks ? "storage.adapter" : "storage.planned"));
      text(adapterSize, words.bytes(bytes));
      text(baseSize, words.bytes(baseBytes));
      // Areas, not lengths, are in the ratio of the sizes.
      const side = Math.min(100, 100 * Math.sqrt(bytes / Math.max(1, baseBytes)));
      for (const [name, value] of Object.entries({ x: 0, y: 100 - side, width: side, height: side, rx: 1 })) attribute(adapter, name, value);
    },
    end: shelf.end,
  };
}

/** A link with the adapter in it, or why there can be none. @param {Context} context */
function linkView({ words, session, address }) {
  const { t } = words;
  const told = h("p", { class: "small muted link-made", "aria-live": "polite" });
  const copy = button(t("link.copy"), async () => {
    const link = await session.press(makeLink);
    if (link?.text) navigator.clipboard?.writeText(address?.(link.text) ?? "").catch(() => {}); // the address bar holds the link as well
  }, { title: t("link.title") });
  show(copy.root, Boolean(address));
  return {
    root: told,
    button: copy.root,
    /** @param {import("../../lab/types.js").State} state */
    render(state) {
      const { link } = state;
      copy.render(Boolean(voice(state)) && can(makeLink, state));
      if (!link) return text(told, "");
      if (!link.text) return text(told, t("link.large", { numbers: link.numbers, room: link.room, most: LONGEST }));
      text(told, link.bits ? t("link.made", { numbers: link.numbers, bits: link.bits, length: address?.(link.text).length ?? 0 }) : t("link.taken"));
    },
  };
}
