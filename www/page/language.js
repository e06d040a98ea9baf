/**
 * The page's language: what the link says, else what was chosen here before, else what the browser prefers. Imported first, so
 * that the document has its language before the element reads it.
 */

import { fromHash } from "../lab/hash.js";
import { language } from "../i18n/i18n.js";

/** @typedef {import("../i18n/i18n.js").Language} Language */

const KEY = "lora-lab.lang";

/** The language that the address names. */
export const linked = () => fromHash(location.hash).lang;

/** @param {Language} lang */
export function remember(lang) {
  try {
    localStorage.setItem(KEY, lang);
  } catch {
    // Storage is refused in some frames and modes. The link holds the language as well.
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

document.documentElement.lang = linked() ?? language(remembered(), ...navigator.languages);
