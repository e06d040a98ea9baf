/** The page around the element: its words in the reader's language, and the link to this experiment. */

import { linked, remember } from "./language.js";
import "./element.js";
import { LANGUAGES, language, wordsIn } from "./i18n.js";
import { translate } from "./translate.js";

/** @typedef {import("./i18n.js").Language} Language */
/** @typedef {import("./i18n.js").Words} Words */

const html = document.documentElement;
const lab = /** @type {HTMLElement} */ (document.querySelector("lora-lab"));
const toggle = /** @type {HTMLButtonElement} */ (document.getElementById("language"));
const copy = /** @type {HTMLButtonElement} */ (document.getElementById("copy"));

/** @type {Language} */
let wanted = language(html.lang);
/** @type {Words["t"]} */
let t = (key) => key;

/** The page offers one other language. @param {Language} lang */
const other = (lang) => /** @type {Language[]} */ (Object.keys(LANGUAGES)).find((name) => name !== lang) ?? lang;

/** @param {Language} lang @returns {Promise<boolean>} whether the page now speaks it */
async function speak(lang) {
  wanted = lang;
  const spoken = await wordsIn(lang).catch(() => undefined);
  // Out of reach: the page stays in the language it has, and the button can be pressed again.
  if (!spoken) wanted = language(html.lang);
  // A second click may have been faster than the network.
  if (!spoken || wanted !== lang) return false;
  t = spoken.t;
  html.lang = lang;
  lab.lang = lang;
  toggle.lang = other(lang);
  translate(t);
  document.getElementById("tutorial")?.setAttribute("href", `embed/tutorial${lang === "en" ? "" : `.${lang}`}.html`);
  return true;
}

speak(wanted);

toggle.addEventListener("click", async () => {
  const lang = other(wanted);
  if (await speak(lang)) remember(lang);
});

addEventListener("hashchange", () => {
  const lang = linked();
  if (lang && lang !== wanted) speak(lang);
});

copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    copy.textContent = t("page.copied");
    setTimeout(() => (copy.textContent = t("page.copy")), 2000);
  } catch {
    // Where the clipboard is refused, the address bar holds the link all the same.
  }
});
