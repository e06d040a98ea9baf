/** The small views: `compact`, one narrow card that chooses, trains and compares; `compare`, a prompt and both texts. */

import { mainAction, secondsLeft } from "../../lab/state.js";
import { act } from "../../lab/training.js";
import { compareView } from "./compare.js";
import { button, problemBox } from "./controls.js";
import { dataView } from "./data.js";
import { attribute, h, show, text, variable } from "./dom.js";

export { default as sheet } from "../styles/brief.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** What `compact` is made of. @param {Context} context @param {string[]} samples @returns {Part[]} */
export const compactParts = (context, samples) => [dataView(context, samples), trainingPart(context, { quiet: false }), compareView(context)];

/** What `compare` is made of: training, if there is any, starts by itself and only shows its progress. @param {Context} context @returns {Part[]} */
export const compareParts = (context) => [compareView(context), trainingPart(context, { quiet: true })];

/**
 * The main button, the progress, and the result in one line.
 * @param {Context} context
 * @param {{ quiet: boolean }} options quiet: without the button, and hidden when there is nothing to show
 * @returns {Part}
 */
function trainingPart({ words, session }, { quiet }) {
  const { t } = words;
  const main = button(t("train.train"), () => act(session), { class: "primary" });
  const progress = h("div", { class: "progress", role: "progressbar", "aria-label": t("train.progress"), "aria-valuemin": 0 }, h("span", {}));
  const at = h("span", { class: "figure" });
  const loss = h("span", { class: "figure" });
  const line = h("p", { class: "small muted line" }, at, loss);
  const dismiss = () => session.dispatch({ type: "dismissed" });
  /** `compare` has no part for the data, so its errors are shown here. */
  const places = /** @type {import("../../lab/types.js").Place[]} */ (quiet ? ["data", "train", "adapter"] : ["train", "adapter"]);
  const problems = places.map((place) => problemBox(place, words, dismiss));
  const root = h("section", { class: "training", part: "train" }, !quiet && main.root, progress, line, ...problems.map((problem) => problem.root));
  return {
    root,
    render(state) {
      const { settings, run, phase } = state;
      const action = mainAction(state);
      main.render(action !== "none", phase === "starting" ? t("train.starting") : t(action === "none" ? "train.train" : `train.${action}`));
      attribute(main.root, "data-action", action);
      const steps = run?.settings.steps ?? settings.steps;
      const step = run?.step ?? 0;
      attribute(progress, "aria-valuemax", steps);
      attribute(progress, "aria-valuenow", step);
      attribute(progress, "aria-valuetext", t("train.progress.text", { step, steps }));
      variable(progress, "--share", step / steps);
      const busy = phase === "starting" || phase === "training";
      const seconds = secondsLeft(state);
      const left = busy && seconds !== undefined ? `, ${words.duration(seconds)} ${t("train.left")}` : "";
      text(at, t("train.progress.text", { step, steps }) + left);
      text(loss, run ? t("brief.loss", { before: words.fixed(run.firstHeldOut, 2), now: words.fixed(run.heldOut, 2) }) : "");
      for (const problem of problems) problem.render(state);
      const here = state.problem !== undefined && places.includes(state.problem.place);
      show(root, !quiet || busy || here);
      show(progress, !quiet || busy);
      show(line, !quiet || busy);
    },
  };
}
