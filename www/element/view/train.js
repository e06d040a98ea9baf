/** Step 2: the adapter's size, the training, its curve. */

import { targeted, trainable } from "../../lab/plan.js";
import { isRacing } from "../../lab/race-state.js";
import { can } from "../../lab/actions.js";
import { isRunOutdated, mainAction, rests, secondsLeft, voice } from "../../lab/state.js";
import { act, reset as forget, step as takeStep } from "../../lab/training.js";
import sheet from "../styles/train.js";
import { button, problemBox, slider } from "./controls.js";
import { curveOn } from "./curve.js";
import { attribute, h, show, text, variable } from "./dom.js";

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function trainView({ words, session, look }) {
  const { t } = words;
  const rank = slider("rank", t("train.rank"), t("train.rank.about"), words, (value) => session.set({ rank: value }));
  const share = h("span", { class: "share" });
  const count = h("span", { class: "small muted" });
  const bar = h("div", { class: "bar", role: "img" }, h("span", {}));
  const parameters = h("div", { class: "parameters", "data-test": "parameters" }, h("p", {}, share, count), bar);

  const main = button(t("train.train"), () => act(session), { class: "primary" });
  const step = button(t("train.step"), () => session.press(takeStep), { title: t("train.step.title") });
  const reset = button(t("train.reset"), () => session.press(forget), { class: "quiet", title: t("train.reset.title") });
  const actions = h("div", { class: "actions" }, main.root, step.root, reset.root);
  const hint = h("p", { class: "small muted" });
  const progress = h("div", { class: "progress", role: "progressbar", "aria-label": t("train.progress"), "aria-valuemin": 0 }, h("span", {}));

  const heldOut = stat(t("train.heldOut"));
  const at = stat(t("train.stepOf", { steps: 0 }));
  const speed = stat(t("train.speed"));
  const left = stat(t("train.left"));
  const stats = h("dl", { class: "stats" }, heldOut.root, at.root, speed.root, left.root);

  const canvas = h("div", { class: "canvas", role: "img" });
  const empty = h("p", { class: "empty small muted" }, t("train.chart.empty"));
  const legend = h("p", { class: "legend small" },
    h("span", { class: "quiet-line" }, t("train.legend.loss")), h("span", { class: "accent-line" }, t("train.legend.heldOut")));
  const curve = h("div", { class: "curve" }, canvas, empty, legend);

  const more = moreSettings(words, session);

  const problem = problemBox("train", words, () => session.dispatch({ type: "dismissed" }));
  const root = h("section", { class: "card train", part: "train" },
    rank.root, parameters, actions, hint, problem.root, progress, stats, curve, more.root);

  const chart = curveOn(canvas, look);

  return {
    root,
    sheet,
    restyle: chart.restyle,
    render(state) {
      const { info, settings, run } = state;
      const idle = rests(state.phase);
      const open = idle || !info;
      rank.render(settings.rank, open);
      more.render(state);
      if (info) {
        const layers = targeted(info, settings.targets);
        const learns = trainable(layers, settings.rank);
        const total = info.parameters;
        text(share, words.percent(learns / total));
        text(count, t("train.parameters", { trainable: learns, total }));
        attribute(bar, "aria-label", t("train.bar", { share: words.percent(learns / total) }));
        variable(bar, "--share", Math.min(1, learns / total));
      }

      const action = mainAction(state);
      // While it starts a press does nothing, but disabling the button would lose the keyboard's focus.
      const starting = state.phase === "starting";
      main.render(action !== "none" || starting, starting ? t("train.starting") : t(action === "none" ? "train.train" : `train.${action}`));
      attribute(main.root, "data-action", action);
      step.render(can(takeStep, state) && Boolean(state.corpus?.text));
      reset.render(can(forget, state) && Boolean(voice(state)));
      const racing = isRacing(state.race);
      text(hint, t(racing ? "train.racing" : "train.changed"));
      show(hint, racing || (idle && isRunOutdated(state)));
      problem.render(state);

      const steps = run?.settings.steps ?? settings.steps;
      const done = run?.step ?? 0;
      attribute(progress, "aria-valuemax", steps);
      attribute(progress, "aria-valuenow", done);
      attribute(progress, "aria-valuetext", t("train.progress.text", { step: done, steps }));
      variable(progress, "--share", done / steps);
      const seconds = secondsLeft(state);
      heldOut.render(run ? words.fixed(run.heldOut, 2) : NOTHING);
      at.render(words.number(done), t("train.stepOf", { steps }));
      speed.render(run?.tokensPerSecond ? words.number(run.tokensPerSecond) : NOTHING);
      left.render(seconds === undefined ? NOTHING : words.duration(seconds));

      show(empty, !run);
      attribute(curve, "data-empty", !run);
      attribute(canvas, "aria-label", run
        ? t("train.chart.summary", { before: words.fixed(run.firstHeldOut, 2), now: words.fixed(run.heldOut, 2), step: run.step })
        : t("train.chart"));
      chart.render(Boolean(run) || state.phase === "starting", run?.points ?? NO_POINTS, steps);
    },
    end: chart.end,
  };
}

/**
 * Settings that few need at first: fetched, with their words, when opened.
 * @param {import("../../i18n/i18n.js").Words} words @param {import("../../lab/session.js").Session} session
 */
function moreSettings(words, session) {
  const failed = h("p", { class: "small muted" });
  const root = h("details", { class: "more", toggle: () => root.open && !asked && build() }, h("summary", {}, words.t("train.more")), failed);
  let asked = false;
  /** @type {ReturnType<typeof import("./training-settings.js").trainingSettings> | undefined} */
  let settings;
  const build = async () => {
    asked = true;
    text(failed, "");
    try {
      const [{ trainingSettings }] = await Promise.all([import("./training-settings.js"), words.more()]);
      settings = trainingSettings(words, session);
      settings.render(session.state);
      failed.before(...settings.parts);
    } catch {
      // Perhaps offline: tried again when it is next opened.
      asked = false;
      text(failed, words.t("chapter.failed"));
    }
  };
  return {
    root,
    /** @param {import("../../lab/types.js").State} state */
    render: (state) => settings?.render(state),
  };
}

/** @type {import("../chart.js").Points} */
const NO_POINTS = { step: [], loss: [], heldOut: [] };
const NOTHING = "–";

/** A number and its label. @param {string} name */
function stat(name) {
  const value = h("dd", {}, NOTHING);
  const label = h("dt", {}, name);
  return {
    root: h("div", {}, label, value),
    /** @param {string} now @param {string} [called] */
    render(now, called = name) {
      text(value, now);
      text(label, called);
    },
  };
}
