/** The settings of a training other than its rank, and those of the engine. */

import { hasRelaxedSimd } from "../../engine/machine.js";
import { kind, kinds, targetsFor } from "../../lab/kinds.js";
import { targeted } from "../../lab/plan.js";
import { rests } from "../../lab/state.js";
import { numberField } from "./controls.js";
import { attribute, h, text } from "./dom.js";

/** @type {import("./controls.js").Numeric[]} */
const NUMBERS = ["alpha", "learningRate", "steps", "batchSize", "blockSize", "seed"];

/** @param {import("../../i18n/i18n.js").Words} words @param {import("../../lab/session.js").Session} session */
export function trainingSettings(words, session) {
  const { t } = words;
  const fields = NUMBERS.map((name) => ({
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

  /** One box for each kind of linear layer, once the model is known. @type {Map<string, HTMLInputElement>} */
  const boxes = new Map();
  /** @param {import("../../engine/types.js").ModelInfo} info */
  const offer = (info) => {
    const chosen = () => {
      const layers = info.layers.filter((layer) => boxes.get(kind(layer.name))?.checked);
      // Without any box there is nothing to train: the next render ticks the last one again.
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
    parts: [h("div", { class: "fields" }, ...fields.map(({ field }) => field.root), workers.root), build, targets],
    /** @param {import("../../lab/types.js").State} state */
    render(state) {
      const { info, settings } = state;
      const open = rests(state.phase) || !info;
      for (const { name, field } of fields) field.render(settings[name], open);
      workers.render(settings.workers, open);
      fast.checked = settings.fast;
      fast.disabled = !open || !relaxed;
      targets.disabled = !open;
      text(engine, info ? t("train.engine", { count: state.workers, lanes: state.lanes }) : "");
      if (!info) return;
      if (!boxes.size) offer(info);
      const layers = targeted(info, settings.targets);
      for (const [name, box] of boxes) {
        const chosen = layers.filter((layer) => kind(layer.name) === name).length;
        box.checked = chosen > 0;
        // The picture of the model, further down the page, chooses layers of single blocks.
        box.indeterminate = chosen > 0 && chosen < info.layers.filter((layer) => kind(layer.name) === name).length;
        attribute(/** @type {HTMLElement} */ (box.parentElement), "data-checked", box.checked);
      }
    },
  };
}
