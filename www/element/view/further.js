/** The chapter that exports a run: as a folder for a bigger machine, and its log. */

import { can } from "../../lab/actions.js";
import { exportFolder, logAsCsv, logAsJson } from "../../lab/export.js";
import { isIdle } from "../../lab/state.js";
import sheet from "../styles/further.js";
import { button, problemBox } from "./controls.js";
import { h, show } from "./dom.js";
import { download } from "./download.js";

/** What is in the folder, and the key of the words about each. */
const INSIDE = { "train.py": "script", "README.md": "readme", "base/": "base", "adapter/": "adapter", "run.safetensors": "run", "text.txt": "text.file", "log.csv, log.json": "log" };
const NAME = "lora-lab-run";

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function furtherView({ words, session }) {
  const { t } = words;
  const list = h("dl", { class: "inside-folder" }, ...Object.entries(INSIDE).flatMap(([path, key]) =>
    [h("dt", {}, h("code", { lang: "" }, path)), h("dd", {}, t(`further.${key}`))]));
  const whole = button(t("further.export"), async () => {
    const zip = await session.press(exportFolder, NAME);
    if (zip) download({ [`${NAME}.zip`]: zip });
  }, { class: "primary" });
  const csv = button(t("further.csv"), () => session.state.run && download({ "log.csv": logAsCsv(session.state.run) }));
  const json = button(t("further.json"), () => session.state.run && download({ "log.json": logAsJson(session.state.run, session.state.info) }));
  const empty = h("p", { class: "small muted" }, t("further.empty"));
  const command = h("pre", { class: "command", lang: "", tabindex: 0 }, h("code", {}, "pip install -r requirements.txt\naccelerate launch train.py"));
  const problem = problemBox("further", words, () => session.dispatch({ type: "dismissed" }));
  return {
    root: h("div", { class: "further" }, list, command, h("div", { class: "actions" }, whole.root, csv.root, json.root), empty, problem.root),
    sheet,
    render(state) {
      const ready = isIdle(state) && Boolean(state.run?.log.length);
      whole.render(can(exportFolder, state));
      csv.render(ready);
      json.render(ready);
      show(empty, !ready);
      problem.render(state);
    },
  };
}
