/** The chapter that compares LoRA with full fine-tuning by training both: loss, time, memory, and what is forgotten. */

import { trainingBytes } from "../../lab/kinds.js";
import { targeted, trainable } from "../../lab/plan.js";
import { can } from "../../lab/actions.js";
import { race as runBoth, stopRace } from "../../lab/race.js";
import { median } from "../../lab/race-reducer.js";
import { isRacing } from "../../lab/race-state.js";
import { isRaceOutdated } from "../../lab/state.js";
import sheet from "../styles/efficient.js";
import { button, numberField, problemBox } from "./controls.js";
import { curveOn } from "./curve.js";
import { attribute, h, show, svg, text, variable } from "./dom.js";

/** @typedef {import("../../i18n/i18n.js").Words} Words */
/** @typedef {import("../../lab/types.js").Race} Race */
/** @typedef {import("../../lab/types.js").Racer} Racer */
/** @typedef {import("../../lab/types.js").Method} Method */
/** @typedef {import("../../lab/types.js").State} State */
/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** @type {Method[]} */
const SIDES = ["lora", "full"];
/** Full fine-tuning is dashed, so that the two differ without their colours. @type {import("../chart.js").Line[]} */
const LINES = [
  { of: "loraLoss", stroke: "accent", width: 1 },
  { of: "fullLoss", stroke: "text", width: 1, dash: [4, 3] },
  { of: "loraHeldOut", stroke: "accent", width: 2.5, dots: true },
  { of: "fullHeldOut", stroke: "text", width: 2.5, dots: true, dash: [7, 4] },
];
const NOTHING = "–";

/** @param {Context} context @returns {Part} */
export function efficientView({ words, session, look }) {
  const { t } = words;
  const start = button(t("efficient.start"), () => session.press(runBoth), { class: "primary" });
  const rate = numberField("fullLearningRate", t("efficient.rate"), t("efficient.rate.about"), (value) => session.set({ fullLearningRate: value }));
  const stop = button(t("efficient.stop"), () => stopRace(session));
  const status = h("p", { class: "small", role: "status" });
  const outdated = h("p", { class: "small muted" }, t("efficient.outdated"));
  const progress = h("div", { class: "progress", role: "progressbar", "aria-label": t("efficient.progress"), "aria-valuemin": 0 }, h("span", {}));
  const problem = problemBox("efficient", words, () => session.dispatch({ type: "dismissed" }));

  const canvas = h("div", { class: "canvas", role: "img" });
  const empty = h("p", { class: "empty small muted" }, t("efficient.chart.empty"));
  const line = (/** @type {string} */ name) => h("span", { class: name.replace(".", "-") }, t(`efficient.${name}`));
  const legend = h("p", { class: "legend small" }, ...["lora.heldOut", "full.heldOut", "lora.loss", "full.loss"].map(line));
  const curve = h("div", { class: "curve" }, canvas, empty, legend);
  const table = comparison(words);

  const chart = curveOn(canvas, look, LINES);

  return {
    root: h("div", { class: "race" },
      h("div", { class: "actions" }, start.root, stop.root), h("p", { class: "small muted" }, t("efficient.about")), rate.root,
      problem.root, progress, status, outdated, curve, table.root),
    sheet,
    restyle: chart.restyle,
    render(state) {
      const { race } = state;
      const { racers, step } = race;
      const racing = isRacing(race);
      start.render(can(runBoth, state), t(racers && !racing ? "efficient.again" : "efficient.start"));
      stop.render(racing);
      rate.render(state.settings.fullLearningRate, !racing);
      const steps = race.settings?.steps ?? state.settings.steps;
      attribute(progress, "aria-valuemax", steps);
      attribute(progress, "aria-valuenow", step);
      attribute(progress, "aria-valuetext", t("train.progress.text", { step, steps }));
      variable(progress, "--share", step / steps);
      text(status, told(race, words));
      show(outdated, !racing && isRaceOutdated(state));
      problem.render(state);
      show(empty, !racers);
      attribute(curve, "data-empty", !racers);
      const fixed = (/** @type {number} */ value) => words.fixed(value, 2);
      attribute(canvas, "aria-label", racers
        ? t("efficient.chart.summary", { step, before: fixed(racers.lora.before.heldOut), lora: fixed(racers.lora.now.heldOut), full: fixed(racers.full.now.heldOut) })
        : t("efficient.chart"));
      table.render(state);
      chart.render(Boolean(racers), race.points, steps);
    },
    end: chart.end,
  };
}

/** The spoken summary, without the steps: a screen reader announces every change. @param {Race} race @param {Words} words */
function told({ phase, step, settings, racers }, words) {
  if (phase === "none" || !settings) return "";
  if (phase === "stopped") return words.t("efficient.stopped", { step, steps: settings.steps });
  if (phase !== "done" || !racers) return words.t(`efficient.${phase}`);
  const { lora, full } = racers;
  const fixed = (/** @type {number} */ value) => words.fixed(value, 2);
  return words.t("efficient.done", {
    share: words.percent(lora.now.footprint.trainable / full.now.footprint.trainable),
    lora: fixed(lora.now.heldOut),
    full: fixed(full.now.heldOut),
    loraChange: change(lora, words),
    fullChange: change(full, words),
  });
}

/** How much the loss on the base's own stories has risen. @param {Racer} racer @param {Words} words */
function change({ before, now }, words) {
  const rise = now.stories - before.stories;
  return `${rise < 0 ? "−" : "+"}${words.fixed(Math.abs(rise), 2)}`;
}

/** The table: a row for each measure, a column for each side. @param {Words} words */
function comparison(words) {
  const { t } = words;
  const squares = SIDES.map((side) => ({ side, gradients: svg("rect"), moments: svg("rect", { class: "moments" }) }));
  const pictures = squares.map(({ side, gradients, moments }) => svg("svg", { class: `square of-${side}`, viewBox: "0 0 100 100", "aria-hidden": "true" }, moments, gradients));
  /** @param {string} name @param {boolean} [about] */
  const row = (name, about = false) => {
    const cells = SIDES.map(() => h("span", { class: "figure" }, NOTHING));
    const root = h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, t(`efficient.${name}`), about && h("span", { class: "about" }, t(`efficient.${name}.about`))),
      ...cells.map((cell, index) => h("td", { role: "cell" }, name === "memory" && pictures[index], cell)));
    /** @param {(side: Method) => string} value */
    const render = (value) => SIDES.forEach((side, index) => text(cells[index], value(side)));
    return { root, render };
  };
  const [unseen, forgotten, time, memory, learns, whole] =
    [row("unseen"), row("forgotten", true), row("time", true), row("memory", true), row("learns"), row("whole")];
  return {
    // Explicit roles: some browsers drop a table's own when CSS lays its rows out as grids, as on a narrow screen.
    root: h("table", { role: "table" }, h("caption", { class: "sr" }, t("efficient.table")),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, h("td", { role: "cell" }),
        ...SIDES.map((side) => h("th", { scope: "col", role: "columnheader", class: `of-${side}` }, t(`efficient.${side}`))))),
      h("tbody", { role: "rowgroup" }, ...[unseen, forgotten, time, memory, learns, whole].map(({ root }) => root))),
    /** @param {State} state */
    render({ info, settings, race: { racers, judged } }) {
      if (!info) return;
      // Before the engines have loaded: computed here, the same numbers.
      const planned = (/** @type {number} */ numbers) => ({ trainable: numbers, ...trainingBytes(numbers) });
      const lora = racers?.lora.now.footprint ?? planned(trainable(targeted(info, settings.targets), settings.rank));
      const full = racers?.full.now.footprint ?? planned(info.parameters);
      const footprints = { lora, full };
      const bytes = (/** @type {Method} */ side) => footprints[side].gradientBytes + footprints[side].optimizerBytes;
      const most = Math.max(bytes("lora"), bytes("full"));
      for (const { side, gradients, moments } of squares) {
        const edge = 100 * Math.sqrt(bytes(side) / most);
        const part = footprints[side].gradientBytes / bytes(side);
        for (const [rect, height] of /** @type {[SVGElement, number][]} */ ([[moments, edge], [gradients, edge * part]])) {
          for (const [name, value] of Object.entries({ x: 0, y: 100 - edge, width: edge, height })) attribute(rect, name, value.toFixed(2));
        }
      }
      const fixed = (/** @type {number} */ value) => words.fixed(value, 2);
      memory.render((side) => words.bytes(bytes(side)));
      learns.render((side) => words.number(footprints[side].trainable));
      unseen.render((side) => (racers ? `${fixed(racers[side].before.heldOut)} → ${fixed(racers[side].now.heldOut)}` : NOTHING));
      forgotten.render((side) => {
        if (!racers) return NOTHING;
        const { before, now } = racers[side];
        return judged ? `${fixed(before.stories)} → ${fixed(now.stories)}` : fixed(before.stories);
      });
      time.render((side) => {
        const seconds = median(racers?.[side].seconds ?? []);
        return seconds === undefined ? NOTHING : words.milliseconds(seconds);
      });
      whole.render((side) => (racers && judged ? words.bytes(racers[side].now.footprint.wasmBytes) : NOTHING));
    },
  };
}
