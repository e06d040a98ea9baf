/** What LoRA gives, four times, with this page's own numbers. */

import { readAdapter } from "../files.js";
import { kind, targeted, trainable } from "../plan.js";
import { isIdle } from "../state.js";
import { button, fileButton, problemBox } from "./controls.js";
import { attribute, droppable, h, show, svg, text, variable } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** @param {Context} context @returns {Part} */
export function benefitsView(context) {
  const parts = [parametersCard(context), proofCard(context), efficientCard(context), storageCard(context)];
  return {
    root: h("section", { class: "benefits", part: "benefits" },
      h("h2", {}, context.words.t("benefits.heading")), h("div", { class: "grid" }, ...parts.map(({ root }) => root))),
    render: (state) => parts.forEach((part) => part.render(state)),
  };
}

/** @param {string} name @param {string} heading @param {string} about @param {...(Node | undefined)} children */
const card = (name, heading, about, ...children) =>
  h("article", { class: `card ${name}`, part: name }, h("h3", {}, heading), h("p", { class: "muted" }, about), ...children);

/** W, and beside it its A and B, to scale. @param {Context} context @returns {Part} */
function parametersCard({ words }) {
  const { t } = words;
  const w = svg("rect", { class: "w" });
  const a = svg("rect", { class: "ab" });
  const b = svg("rect", { class: "ab" });
  const names = ["W", "A", "B"].map((name) => svg("text", {}, name));
  const picture = svg("svg", { class: "matrices", role: "img" }, w, a, b, ...names);
  const sum = h("p", { class: "small figure" });
  let drawn = "";
  return {
    root: card("fewer", t("parameters.heading"), t("parameters.text"), h("div", { class: "picture" }, picture), sum),
    render({ info, settings }) {
      if (!info) return;
      const layer = targeted(info, settings.targets)[0] ?? info.layers[0];
      const { rank } = settings;
      const now = `${layer.name} ${rank}`;
      if (now === drawn) return;
      drawn = now;
      // One unit of the picture is one row or column; the width is fixed, so the longest side decides.
      const gap = Math.max(layer.in, layer.out) * 0.06;
      const place = (/** @type {SVGRectElement} */ rect, /** @type {number[]} */ [x, y, width, height]) => {
        for (const [name, value] of Object.entries({ x, y, width, height })) attribute(rect, name, value);
      };
      const left = rank + gap;
      place(b, [left, 0, layer.out, rank]);
      place(a, [0, left, rank, layer.in]);
      place(w, [left, left, layer.out, layer.in]);
      const size = (layer.out + left) / 15;
      const centres = [[left + layer.out / 2, left + layer.in / 2], [rank / 2, left + layer.in + size], [left + layer.out + size * 0.8, rank / 2]];
      names.forEach((name, index) => {
        attribute(name, "x", centres[index][0]);
        attribute(name, "y", centres[index][1]);
        attribute(name, "font-size", size);
      });
      // Room for 64 columns, so that the picture keeps its scale while the rank moves.
      attribute(picture, "viewBox", `${-size / 2} ${-size / 2} ${layer.out + 64 + gap + size * 2} ${layer.in + 64 + gap + size * 2}`);
      const values = { rank, in: layer.in, out: layer.out, lora: trainable([layer], rank), full: layer.in * layer.out };
      attribute(picture, "aria-label", t("parameters.picture", { ...values, name: kind(layer.name) }));
      text(sum, t("parameters.sum", values));
    },
  };
}

/** The digest when loaded and now. @param {Context} context @returns {Part} */
function proofCard({ words, session }) {
  const { t } = words;
  const first = h("code", { class: "digest" });
  const now = h("code", { class: "digest" });
  const verdict = h("p", { class: "verdict" });
  const recompute = button(t("proof.recompute"), () => session.recompute());
  const problem = problemBox("proof", words, () => session.dispatch({ type: "dismissed" }));
  const list = h("dl", { class: "digests" }, h("dt", {}, t("proof.first")), h("dd", {}, first), h("dt", {}, t("proof.now")), h("dd", {}, now));
  return {
    root: card("proof", t("proof.heading"), t("proof.text"), list, problem.root, h("div", { class: "row" }, verdict, recompute.root)),
    render(state) {
      const { digest, info } = state;
      problem.render(state);
      grouped(first, digest.first);
      grouped(now, digest.now);
      const same = digest.first === digest.now;
      attribute(verdict, "data-match", digest.now ? String(same) : undefined);
      text(verdict, !digest.now ? t("proof.pending") : same ? t("proof.match", { count: digest.checks }) : t("proof.differs"));
      recompute.render(Boolean(info) && !digest.checking, digest.checking ? t("proof.checking") : t("proof.recompute"));
    },
  };
}

/** Sixty-four digits are read in groups of eight. @param {HTMLElement} element @param {string} digest */
function grouped(element, digest) {
  if ((element.dataset["digest"] ?? "") === digest) return;
  element.dataset["digest"] = digest;
  element.replaceChildren(...(digest.match(/.{8}/g) ?? []).map((group) => h("span", {}, group)));
}

/** Gradient and AdamW's two moments are f32 each. */
const TRAINING_BYTES = 3 * 4;

/** @param {Context} context @returns {Part} */
function efficientCard({ words }) {
  const { t } = words;
  const lora = measure(t("efficient.lora"), "adapter");
  const full = measure(t("efficient.full"), "base");
  const engine = h("p", { class: "small muted figure" });
  return {
    root: card("efficient", t("efficient.heading"), t("efficient.text"), h("div", { class: "measures" }, lora.root, full.root), engine),
    render({ info, settings, memory }) {
      if (!info) return;
      const learns = trainable(targeted(info, settings.targets), settings.rank);
      lora.render(words.bytes(learns * TRAINING_BYTES), learns / info.parameters);
      full.render(words.bytes(info.parameters * TRAINING_BYTES), 1);
      text(engine, memory ? t("efficient.engine", { bytes: words.bytes(memory) }) : "");
    },
  };
}

/** A labelled bar. @param {string} name @param {string} className */
function measure(name, className) {
  const value = h("span", { class: "figure" });
  const label = h("span", {}, name);
  const bar = h("span", { class: "fill" });
  return {
    root: h("div", { class: `measure ${className}` }, h("p", {}, label, value), bar),
    /** @param {string} now @param {number} share @param {string} [called] */
    render(now, share, called = name) {
      text(label, called);
      text(value, now);
      variable(bar, "--share", Math.min(1, share));
    },
  };
}

/** The base's size and the adapter's as areas; saving and loading. @param {Context} context @returns {Part} */
function storageCard({ words, session }) {
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
  const root = card("storage", t("storage.heading"), t("storage.text"),
    h("div", { class: "sizing" }, picture, sizes), h("div", { class: "actions" }, save.root, load.root), problem.root, drop);
  droppable(root, (files) => {
    if (isIdle(session.state)) take(files);
  });
  return {
    root,
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
