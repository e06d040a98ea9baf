/** Step 2: the adapter's size, the training, its curve. */

import { kind, kinds, targeted, targetsFor, trainable } from "../../lab/plan.js";
import { isRacing } from "../../lab/race.js";
import { hasRelaxedSimd } from "../../engine/simd.js";
import { canTrain, isIdle, isRunOutdated, mainAction, secondsLeft, voice } from "../../lab/state.js";
import sheet from "../styles/train.js";
import { button, numberField, problemBox, slider } from "./controls.js";
import { curveOn } from "./curve.js";
import { attribute, h, show, text, variable } from "./dom.js";

/** @typedef {import("./controls.js").Numeric} Numeric */

/** @type {Numeric[]} */
const MORE = ["alpha", "learningRate", "steps", "batchSize", "blockSize", "seed"];

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function trainView({ words, session, look }) {
  const { t } = words;
  const rank = slider("rank", t("train.rank"), t("train.rank.about"), words, (value) => session.set({ rank: value }));
  const share = h("span", { class: "share" });
  const count = h("span", { class: "small muted" });
  const bar = h("div", { class: "bar", role: "img" }, h("span", {}));
  const parameters = h("div", { class: "parameters", "data-test": "parameters" }, h("p", {}, share, count), bar);

  const main = button(t("train.train"), () => session.act(), { class: "primary" });
  const step = button(t("train.step"), () => session.step(), { title: t("train.step.title") });
  const reset = button(t("train.reset"), () => session.reset(), { class: "quiet", title: t("train.reset.title") });
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

  const fields = MORE.map((name) => ({
    name,
    field: numberField(name, t(`train.${name}`), t(`train.${name}.about`), (value) => session.set({ [name]: value })),
  }));
  const workers = numberField("workers", t("train.workers"), t("train.workers.about"), (value) => session.set({ workers: value }));
  const relaxed = hasRelaxedSimd();
  const fast = h("input", { type: "checkbox", name: "fast", change: () => session.set({ fast: fast.checked }) });
  const engine = h("p", { class: "small muted" });
  const build = h("div", { class: "build" },
    h("label", {}, fast, h("span", {}, t("train.fast")), h("span", { class: "about" }, t(relaxed ? "train.fast.about" : "train.fast.none"))), engine);
  const targets = h("fieldset", { class: "targets" }, h("legend", {}, t("train.targets")));
  const more = h("details", { class: "more" }, h("summary", {}, t("train.more")),
    h("div", { class: "fields" }, ...fields.map(({ field }) => field.root), workers.root), build, targets);

  const problem = problemBox("train", words, () => session.dispatch({ type: "dismissed" }));
  const root = h("section", { class: "card train", part: "train" },
    rank.root, parameters, actions, hint, problem.root, progress, stats, curve, more);

  const chart = curveOn(canvas, look);

  /** One box for each kind of linear layer, once the model is known. @type {Map<string, HTMLInputElement>} */
  const boxes = new Map();
  /** @param {import("../../engine/types.js").ModelInfo} info */
  const offer = (info) => {
    const chosen = () => {
      const layers = info.layers.filter((layer) => boxes.get(kind(layer.name))?.checked);
      // With the last box unticked there is nothing to train: it is ticked again by the next render.
      session.set(layers.length ? { targets: targetsFor(info, layers) } : {});
    };
    for (const name of kinds(info)) {
      const box = h("input", { type: "checkbox", name, change: chosen });
      const key = `target.${name}`;
      boxes.set(name, box);
      targets.append(h("label", {}, box, h("code", {}, name), h("span", { class: "about" }, words.has(key) ? t(key) : "")));
    }
  };

  return {
    root,
    sheet,
    restyle: chart.restyle,
    render(state) {
      const { info, settings, run } = state;
      const idle = isIdle(state);
      const open = idle || !info;
      rank.render(settings.rank, open);
      for (const { name, field } of fields) field.render(settings[name], open);
      targets.disabled = !open;
      workers.render(settings.workers, open);
      fast.checked = settings.fast;
      fast.disabled = !open || !relaxed;
      text(engine, info ? t("train.engine", { count: state.workers, lanes: state.lanes }) : "");
      if (info) {
        if (!boxes.size) offer(info);
        const layers = targeted(info, settings.targets);
        for (const [name, box] of boxes) {
          const chosen = layers.filter((layer) => kind(layer.name) === name).length;
          box.checked = chosen > 0;
          // Chosen in some blocks, further down the page.
          box.indeterminate = chosen > 0 && chosen < info.layers.filter((layer) => kind(layer.name) === name).length;
          attribute(/** @type {HTMLElement} */ (box.parentElement), "data-checked", box.checked);
        }
        const learns = trainable(layers, settings.rank);
        const total = info.parameters;
        text(share, words.percent(learns / total));
        text(count, t("train.parameters", { trainable: learns, total }));
        attribute(bar, "aria-label", t("train.bar", { share: words.percent(learns / total) }));
        variable(bar, "--share", Math.min(1, learns / total));
      }

      const action = mainAction(state);
      // While it starts a press does nothing, but a button that is disabled loses the keyboard's focus.
      const starting = state.phase === "starting";
      main.render(action !== "none" || starting, starting ? t("train.starting") : t(action === "none" ? "train.train" : `train.${action}`));
      attribute(main.root, "data-action", action);
      step.render(canTrain(state) && Boolean(state.corpus?.text));
      reset.render(idle && Boolean(voice(state)));
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

/** @type {import("../chart.js").Points} */
const NO_POINTS = { step: [], loss: [], heldOut: [] };
const NOTHING = "–";

/** A number with what it is. @param {string} name */
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
