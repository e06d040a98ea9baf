/** A page in the reader's language, and the button that turns it into the other one. */

import { linked, remember } from "./language.js";
import { LANGUAGES, language, wordsIn } from "../i18n/i18n.js";

/** @typedef {import("../i18n/i18n.js").Language} Language */
/** @typedef {import("../i18n/i18n.js").Words} Words */

/** A page offers one other language. @param {Language} lang */
const other = (lang) => /** @type {Language[]} */ (Object.keys(LANGUAGES)).find((name) => name !== lang) ?? lang;

/**
 * @param {HTMLButtonElement} button
 * @param {(lang: Language, words: Words) => Promise<() => void>} prepare fetches what else is needed; returns what switches the page
 */
export function languageToggle(button, prepare) {
  const html = document.documentElement;
  let wanted = language(html.lang);

  /** @param {Language} lang @returns {Promise<boolean>} whether the page now speaks it */
  async function speak(lang) {
    wanted = lang;
    const say = await wordsIn(lang).then((words) => prepare(lang, words)).catch(() => undefined);
    // The button may have been pressed again meanwhile.
    if (wanted !== lang) return false;
    if (!say) {
      // Not fetched: the page keeps its language, and the button can be pressed again.
      wanted = language(html.lang);
      return false;
    }
    html.lang = lang;
    button.lang = other(lang);
    say();
    return true;
  }

  speak(wanted);
  button.addEventListener("click", async () => {
    const lang = other(wanted);
    if (await speak(lang)) remember(lang);
  });
  addEventListener("hashchange", () => {
    const lang = linked();
    if (lang && lang !== wanted) speak(lang);
  });
}
