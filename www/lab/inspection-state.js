/** What the reader looks at inside the engine, and the pure function that changes it: a part of the page's state. */

/** @typedef {import("./types.js").Looks} Looks */

/** @type {Looks} */
export const NO_LOOKS = { layers: [], speaker: undefined, layer: "", delta: undefined, side: "after", read: undefined, place: 0 };

/**
 * The speaker, a kept adapter with its present name.
 * @param {import("./types.js").Speaker | undefined} speaker @param {import("./types.js").Kept[]} items
 * @returns {import("./types.js").Speaker | undefined}
 */
export function renamed(speaker, items) {
  const kept = items.find(({ id }) => speaker?.key === keptKey(id));
  return speaker && kept ? { ...speaker, name: kept.name } : speaker;
}

/** The key of a kept adapter as a speaker. @param {string} id */
export const keptKey = (id) => `kept ${id}`;

/** @param {Looks} looks @param {import("./types.js").Event} event @returns {Looks} */
export function look(looks, event) {
  switch (event.type) {
    case "begun":
    case "reset":
    case "imported":
    case "used":
    case "lost":
      // Another adapter, or none: the measurements are not of it.
      return { ...looks, layers: [], speaker: undefined, delta: undefined };
    case "shelved":
      // It may have been renamed.
      return { ...looks, speaker: renamed(looks.speaker, event.items), read: looks.read && { ...looks.read, speaker: renamed(looks.read.speaker, event.items) } };
    case "measured":
      return { ...looks, speaker: event.speaker, layers: event.layers };
    case "inspected":
      return { ...looks, layer: event.layer, delta: undefined };
    case "delta":
      return event.delta.name === looks.layer ? { ...looks, delta: event.delta } : looks;
    case "side":
      return { ...looks, side: event.side, read: undefined };
    case "read":
      return { ...looks, read: { key: event.key, candidates: event.candidates, speaker: event.speaker }, place: event.place };
    case "place": {
      const last = looks.read?.candidates.tokens.length ?? 0;
      return { ...looks, place: Math.min(last, Math.max(1, event.place)) };
    }
    default:
      return looks;
  }
}
