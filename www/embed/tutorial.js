/**
 * The live pieces between the paragraphs, which use only the public interface of one `<lora-lab>`: its attributes, events, `state`
 * and `lab`. All words are in the page; this fills in numbers.
 */

import { LoraLabElement } from "../element.js";
import { language, wordsIn } from "../i18n/i18n.js";
import { trainingBytes } from "../lab/kinds.js";
import { targeted, trainable } from "../lab/plan.js";
import { downloadAdapter } from "../element/view/download.js";

const element = /** @type {LoraLabElement} */ (document.querySelector("lora-lab"));
const words = await wordsIn(language(document.documentElement.lang));

/** @template {Element} T @param {string} id @param {new (...args: any[]) => T} _kind @returns {T} */
const the = (id, _kind) => /** @type {T} */ (/** @type {unknown} */ (document.getElementById(id)));
const rank = the("rank", HTMLInputElement);
const strength = the("strength", HTMLInputElement);
const fingerprint = the("fingerprint", HTMLButtonElement);
const save = the("save", HTMLButtonElement);
const matrices = the("matrices", SVGSVGElement);
const voice = the("voice", HTMLElement);

/** @param {string} name @param {string} text */
function show(name, text) {
  for (const output of document.querySelectorAll(`[data-show="${name}"]`)) output.textContent = text;
}

/** @param {string} name @param {boolean} visible */
function when(name, visible) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-when="${name}"]`))) element.hidden = !visible;
}

/** W of the first attention layer with its A and B. @param {number} width of the model */
function drawRank(width) {
  const r = Number(rank.value);
  const [inputs, outputs] = [width, 3 * width];
  const [lora, full] = [r * (inputs + outputs), inputs * outputs];
  const values = { width, rank: r, in: inputs, out: outputs, lora, full };
  for (const [name, value] of Object.entries(values)) show(name, words.number(value));
  show("share", words.percent(lora / full));
  // Room for 64 columns, so that the picture keeps its scale while the rank moves.
  const edge = 64 + width / 16;
  matrices.setAttribute("viewBox", `0 0 ${edge + outputs} ${edge + inputs}`);
  /** @param {string} name @param {Record<string, number>} box */
  const place = (name, box) => {
    for (const [attribute, value] of Object.entries(box)) matrices.querySelector(name)?.setAttribute(attribute, String(value));
  };
  place(".w", { x: edge, y: edge, width: outputs, height: inputs });
  place(".a", { x: 64 - r, y: edge, width: r, height: inputs });
  place(".b", { x: edge, y: 64 - r, width: outputs, height: r });
}

/** What training this many numbers takes. @param {number} numbers */
function bytes(numbers) {
  const { gradientBytes, optimizerBytes } = trainingBytes(numbers);
  return words.bytes(gradientBytes + optimizerBytes);
}

/** Show the element's state wherever the article mentions it. */
function draw() {
  const { state } = element;
  if (!state?.info) return;
  const { info, settings, adapter, phase, baseBytes } = state;
  const learns = trainable(targeted(info, settings.targets), Number(rank.value));
  show("total", words.number(info.parameters));
  show("loraBytes", bytes(learns));
  show("fullBytes", bytes(info.parameters));
  for (const [bar, share] of Object.entries({ ".bar.lora": learns / info.parameters, ".bar.full": 1 })) {
    /** @type {HTMLElement | null} */ (document.querySelector(bar))?.style.setProperty("--share", String(Math.min(1, share)));
  }
  show("adapterBytes", words.bytes(adapter?.bytes ?? learns * 4));
  show("baseBytes", words.bytes(baseBytes));
  const rests = Boolean(adapter) && (phase === "done" || phase === "paused");
  fingerprint.disabled = false;
  save.disabled = !rests;
  strength.disabled = !rests;
  when("untrained", !adapter);
}

/** @type {Set<string>} */
const seen = new Set();

fingerprint.addEventListener("click", async () => {
  fingerprint.disabled = true;
  const step = element.state?.run?.step ?? 0;
  const digest = (await element.lab?.baseDigest()) ?? "";
  fingerprint.disabled = false;
  if (!digest) return;
  seen.add(digest);
  const line = /** @type {DocumentFragment} */ (the("taken", HTMLTemplateElement).content.cloneNode(true));
  for (const [field, text] of Object.entries({ step: words.number(step), digest: `${digest.slice(0, 16)}…` })) {
    const place = line.querySelector(`[data-field="${field}"]`);
    if (place) place.textContent = text;
  }
  const list = the("fingerprints", HTMLOListElement);
  list.append(line);
  when("same", list.childElementCount > 1 && seen.size === 1);
  when("differs", seen.size > 1);
});

/** One after another, so that the last text shown is of the latest strength. */
let writing = Promise.resolve();

/** The same prompt, always the likeliest token, at the strength of this slider; the lab at the top keeps its own. */
async function speak() {
  const { state } = element;
  if (!state?.adapter || strength.disabled) return;
  const asked = strength.value;
  const { text } = await element.generate(state.settings.prompt, { temperature: 0, maxTokens: 48, strength: Number(asked) });
  if (asked === strength.value) voice.textContent = state.settings.prompt + text;
}

strength.addEventListener("input", () => show("strength", words.number(Number(strength.value), 2)));
strength.addEventListener("change", () => {
  writing = writing.then(speak).catch(() => {
    // Another training has begun, and writes again at its end.
  });
});

save.addEventListener("click", async () => downloadAdapter(await element.exportAdapter()));

const { n_embd: width } = await (await fetch(new URL("../models/tiny/config.json", import.meta.url))).json();
drawRank(width);
rank.addEventListener("input", () => {
  drawRank(width);
  draw();
});
// The lab gets the rank when the slider rests.
rank.addEventListener("change", () => element.setAttribute("rank", rank.value));

draw();
for (const type of ["lora-ready", "lora-step"]) element.addEventListener(type, draw);
element.addEventListener("lora-done", () => {
  draw();
  writing = writing.then(speak).catch(() => {});
});
