/** The shelf: adapters kept under a name, one of which speaks. Choosing another keeps the loaded base, so it takes no time. */

import { can } from "../../lab/actions.js";
import { files } from "../../lab/imports.js";
import { rests } from "../../lab/state.js";
import { discard as takeOff, keep as putOn, openShelf, rename, use } from "../../lab/voices.js";
import { ask, button } from "./controls.js";
import { called } from "./called.js";
import { attribute, h, show, text, uniqueId } from "./dom.js";
import { downloadAdapter } from "./download.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */
/** @typedef {import("../../lab/types.js").State} State */

/** Milliseconds in which a second press on "Delete" confirms it. */
const SURE = 4000;

/** @param {Context} context @returns {Part} */
export function shelfView(context) {
  const { words, session } = context;
  const { t } = words;
  const group = uniqueId();
  const name = h("input", { type: "text", maxlength: 60, autocomplete: "off", spellcheck: "false" });
  const { root: form, run: keep } = ask("keep", name, t("shelf.keep.name"), t("shelf.keep"), () => {
    session.press(putOn, name.value.trim() || name.placeholder);
    name.value = "";
  });
  const atWork = choice(group, () => session.press(use, undefined));
  const atWorkName = h("span", { class: "name" });
  const atWorkRow = h("li", { class: "kept" }, h("label", {}, atWork, atWorkName));
  const list = h("ul", { class: "voices" }, atWorkRow);
  const empty = h("p", { class: "muted empty" }, t("shelf.empty"));
  const note = h("p", { class: "small muted" });
  /** @type {Map<string, ReturnType<typeof keptRow>>} */
  const rows = new Map();
  session.press(openShelf);
  return {
    root: h("fieldset", { class: "shelf" }, h("legend", {}, t("shelf.heading")), form, list, empty, note),
    render(state) {
      const { adapter, shelf, run } = state;
      const idle = rests(state.phase);
      show(form, Boolean(adapter));
      keep.disabled = !can(putOn, state);
      name.disabled = !idle;
      const sample = adapter?.source === "trained" && run ? called(run.sample, words) : t(`shelf.from.${adapter?.source ?? "file"}`);
      name.placeholder = t("shelf.suggestion", { name: sample, rank: adapter?.rank ?? 0 });
      show(atWorkRow, Boolean(adapter));
      text(atWorkName, t(`shelf.atWork.${adapter?.source ?? "trained"}`));
      choose(atWork, shelf.using === undefined && Boolean(adapter), can(use, state));
      for (const [id, row] of rows) {
        if (shelf.items.some((kept) => kept.id === id)) continue;
        row.end();
        rows.delete(id);
      }
      for (const kept of shelf.items) {
        const row = rows.get(kept.id) ?? keptRow(context, group, kept.id);
        if (!rows.has(kept.id)) {
          rows.set(kept.id, row);
          list.append(row.root);
        }
        row.render(kept, shelf.using === kept.id, can(use, state));
      }
      show(empty, shelf.items.length === 0);
      text(note, shelf.durable === undefined ? "" : t(shelf.durable ? "shelf.durable" : "shelf.memory"));
    },
    end: () => rows.forEach((row) => row.end()),
  };
}

/** @param {string} group @param {() => void} change */
const choice = (group, change) => h("input", { type: "radio", name: group, change });

/** @param {HTMLInputElement} input @param {boolean} chosen @param {boolean} enabled */
function choose(input, chosen, enabled) {
  input.checked = chosen;
  input.disabled = !enabled;
  attribute(/** @type {HTMLElement} */ (input.closest(".kept")), "data-checked", chosen);
}

/** @param {Context} context @param {string} group @param {string} id */
function keptRow({ words, session }, group, id) {
  const { t } = words;
  const pick = choice(group, () => session.press(use, id));
  let called = "";
  const name = h("input", { type: "text", class: "rename", maxlength: 60, autocomplete: "off", spellcheck: "false",
    change: () => {
      // An empty field keeps the old name.
      if (name.value.trim()) session.press(rename, id, name.value);
      else name.value = called;
    },
    keydown: (event) => {
      if (event.key === "Escape") name.value = called;
      if (event.key === "Enter" || event.key === "Escape") name.blur();
    } });
  const about = h("span", { class: "small muted figure" });
  const save = button(t("shelf.export"), async () => downloadAdapter(await session.press(files, id)), { class: "quiet" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const ask = (/** @type {boolean} */ sure) => {
    clearTimeout(timer);
    timer = sure ? setTimeout(() => ask(false), SURE) : undefined;
    attribute(discard.root, "data-sure", sure);
    text(discard.root, t(sure ? "shelf.sure" : "shelf.delete"));
  };
  const discard = button(t("shelf.delete"), () => (timer ? session.press(takeOff, id) : ask(true)), { class: "quiet" });
  discard.root.addEventListener("blur", () => ask(false));
  const root = h("li", { class: "kept" }, h("label", {}, pick, h("span", { class: "sr" })), name, about, h("span", { class: "actions" }, save.root, discard.root));
  return {
    root,
    /** @param {import("../../lab/types.js").Kept} kept @param {boolean} chosen @param {boolean} idle */
    render(kept, chosen, idle) {
      choose(pick, chosen, idle);
      discard.root.disabled = !idle;
      text(about, t("shelf.about", { rank: kept.rank, size: words.bytes(kept.bytes) }));
      if (kept.name === called) return;
      called = kept.name;
      name.value = called;
      attribute(pick, "aria-label", t("shelf.use", { name: called }));
      attribute(name, "aria-label", t("shelf.rename", { name: called }));
      attribute(save.root, "aria-label", t("shelf.export.one", { name: called }));
      attribute(discard.root, "aria-label", t("shelf.delete.one", { name: called }));
    },
    end() {
      clearTimeout(timer);
      root.remove();
    },
  };
}
