/** The page around the element: its words in the reader's language, and the link to this experiment. */

import "./language.js";
import "../element/element.js";
import { toHash } from "../lab/hash.js";
import { languageToggle } from "./toggle.js";
import { translate } from "./translate.js";
import { h } from "../element/view/dom.js";

/** @typedef {import("../i18n/i18n.js").Words} Words */

const lab = /** @type {import("../element/element.js").LoraLabElement} */ (document.querySelector("lora-lab"));
const toggle = /** @type {HTMLButtonElement} */ (document.getElementById("language"));
const copy = /** @type {HTMLButtonElement} */ (document.getElementById("copy"));
const told = /** @type {HTMLElement} */ (document.getElementById("told"));

/** @type {Words["t"]} */
let t = (key) => key;

languageToggle(toggle, async (lang, words) => () => {
  t = words.t;
  lab.lang = lang;
  translate(t);
  told.replaceChildren();
  document.getElementById("tutorial")?.setAttribute("href", `embed/tutorial${lang === "en" ? "" : `.${lang}`}.html`);
});

/** The address with the settings of this moment: the address bar follows them a little later. */
function link() {
  const { state } = lab;
  return state ? new URL(toHash(state.settings, state.link?.text), location.href).href : location.href;
}

/** Milliseconds that a short message stays. */
const GLANCE = 2000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

copy.addEventListener("click", async () => {
  const address = link();
  const own = lab.state?.settings.sample === "own" ? [h("p", {}, t("data.own.link"))] : [];
  clearTimeout(timer);
  try {
    await navigator.clipboard.writeText(address);
    told.replaceChildren(h("p", {}, t("page.copied")), ...own);
    if (!own.length) timer = setTimeout(() => told.replaceChildren(), GLANCE);
  } catch {
    // Refused or missing: without https a page has no clipboard.
    const field = h("input", { type: "text", readonly: true, value: address, "aria-label": t("page.copy.link") });
    told.replaceChildren(h("p", {}, t("page.copy.refused")), field, ...own);
    field.select();
  }
});

/** A press elsewhere or Escape removes the message. */
addEventListener("pointerdown", ({ target }) => {
  if (target !== copy && !told.contains(/** @type {Node} */ (target))) told.replaceChildren();
});
addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !told.firstChild) return;
  if (told.contains(document.activeElement)) copy.focus();
  told.replaceChildren();
});
