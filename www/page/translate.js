/** Translates a page's own words: elements with `data-i18n`, and titles of those with `data-i18n-title`. */

/** @param {import("../i18n/i18n.js").Words["t"]} t */
export function translate(t) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-i18n]"))) {
    const words = t(element.dataset["i18n"] ?? "");
    if (element instanceof HTMLMetaElement) element.content = words;
    else element.textContent = words;
  }
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-i18n-title]"))) {
    element.title = t(element.dataset["i18nTitle"] ?? "");
  }
}
