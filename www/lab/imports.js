/** Actions on adapters as files: import and export. The code that performs them is fetched on first use. No DOM. */

import { action } from "./actions.js";
import { rests } from "./state.js";

/** @typedef {import("./adapters.js").Adapters} Adapters */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */

/** @template {any[]} A @template R @param {(adapters: Adapters, ...args: A) => Promise<R>} perform */
export const later = (perform) => async (/** @type {Session} */ session, /** @type {A} */ ...args) => perform(await session.adapters(), ...args);

export const atRest = (/** @type {State} */ { phase }) => rests(phase);

/** The files of the adapter that speaks, or of a kept one. */
export const files = action("files", {
  place: "adapter",
  beside: true,
  perform: later((adapters, /** @type {string | undefined} */ id) => adapters.files(id)),
});

/** Replace the adapter at work by one that is read from files. If it cannot be used, the old one stays. */
export const importFiles = action("importFiles", {
  place: "adapter",
  settles: true,
  when: atRest,
  perform: later((adapters, /** @type {() => Promise<AdapterFiles>} */ read) => adapters.take(read, "file")),
});

/** The same for one from a link. */
export const importLink = action("importLink", {
  place: "compare",
  settles: true,
  when: atRest,
  perform: later((adapters, /** @type {string} */ text) => adapters.importLink(text)),
});
