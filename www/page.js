/** The page around the element: its words, and the link to this experiment. */

import "./element.js";
import en from "./i18n/en.js";
import { words } from "./i18n.js";

const { t } = words(en);

for (const element of document.querySelectorAll("[data-i18n]")) {
  const key = /** @type {HTMLElement} */ (element).dataset["i18n"] ?? "";
  if (element instanceof HTMLMetaElement) element.content = t(key);
  else element.textContent = t(key);
}

const copy = /** @type {HTMLButtonElement} */ (document.getElementById("copy"));
copy.title = t("page.copy.title");
copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    copy.textContent = t("page.copied");
    setTimeout(() => (copy.textContent = t("page.copy")), 2000);
  } catch {
    // Where the clipboard is refused, the address bar holds the link all the same.
  }
});
