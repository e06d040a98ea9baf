/** Shown until the reader starts the lab by a click or a key, in the same size. */

import { h } from "./dom.js";

/** @param {import("../../i18n/i18n.js").Words} words @param {() => void} open @returns {HTMLElement} */
export function poster({ t }, open) {
  const start = h("button", { type: "button", class: "primary", part: "start", click: open }, t("poster.start"));
  return h("section", { class: "poster card", part: "poster" }, h("h2", {}, t("page.heading")), h("p", { class: "muted" }, t("poster.text")), start);
}
