/** Actions on kept adapters: put one on the shelf, let it speak, rename it, take it off; and make the link that holds one. No DOM. */

import { action } from "./actions.js";
import { atRest, later } from "./imports.js";

/** See what is on the shelf. */
export const openShelf = action("openShelf", { place: "adapter", beside: true, perform: later((adapters) => adapters.open()) });

/** Put the adapter at work on the shelf under a name. */
export const keep = action("keep", {
  place: "adapter",
  brief: true,
  when: (state) => atRest(state) && Boolean(state.adapter),
  perform: later((adapters, /** @type {string} */ name) => adapters.keep(name)),
});

/** Give a kept adapter another name. */
export const rename = action("rename", {
  place: "adapter",
  beside: true,
  perform: later((adapters, /** @type {string} */ id, /** @type {string} */ name) => adapters.rename(id, name)),
});

/** Take an adapter off the shelf, for good. */
export const discard = action("discard", {
  place: "adapter",
  brief: true,
  settles: true,
  when: atRest,
  perform: later((adapters, /** @type {string} */ id) => adapters.discard(id)),
});

/** Let a kept adapter speak, or with undefined the one at work. */
export const use = action("use", {
  place: "adapter",
  brief: true,
  settles: true,
  when: atRest,
  perform: later((adapters, /** @type {string | undefined} */ id) => adapters.use(id)),
});

/** The adapter that speaks as text for a link, or why it is too large. */
export const makeLink = action("makeLink", { place: "adapter", brief: true, when: atRest, perform: later((adapters) => adapters.link()) });
