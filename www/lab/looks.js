/** What the reader looks at inside the engine, and the pure function that changes it: a part of the page's state. */

/** @typedef {import("../engine/types.js").Candidates} Candidates */
/** @typedef {import("../engine/types.js").DeltaView} DeltaView */
/** @typedef {import("../engine/types.js").LayerDelta} LayerDelta */

/** A text of the comparison. @typedef {"before" | "after"} Side */

/**
 * @typedef {object} Looks
 * @property {LayerDelta[]} layers what the adapter adds to each layer, when last measured
 * @property {number} step after which they were measured
 * @property {string} layer the one that is looked at closely, or ""
 * @property {DeltaView | undefined} delta of that layer
 * @property {Side} side the text that is read token by token
 * @property {{ key: string, candidates: Candidates } | undefined} read for which text and voice
 * @property {number} place the token that is looked at; past the last one is what might come next
 */

/**
 * @typedef {{ type: "measured", step: number, layers: LayerDelta[] }
 *   | { type: "inspected", layer: string }
 *   | { type: "delta", delta: DeltaView }
 *   | { type: "side", side: Side }
 *   | { type: "read", key: string, candidates: Candidates, place: number }
 *   | { type: "place", place: number }} LookEvent
 */

/** @type {Looks} */
export const NO_LOOKS = { layers: [], step: 0, layer: "", delta: undefined, side: "after", read: undefined, place: 0 };

/** @param {Looks} looks @param {import("./state.js").Event} event @returns {Looks} */
export function look(looks, event) {
  switch (event.type) {
    case "begun":
    case "reset":
    case "imported":
      // Another adapter, or none: what was measured is not its own.
      return { ...looks, layers: [], step: 0, delta: undefined };
    case "measured":
      return { ...looks, step: event.step, layers: event.layers };
    case "inspected":
      return { ...looks, layer: event.layer, delta: undefined };
    case "delta":
      return event.delta.name === looks.layer ? { ...looks, delta: event.delta } : looks;
    case "side":
      return { ...looks, side: event.side, read: undefined };
    case "read":
      return { ...looks, read: { key: event.key, candidates: event.candidates }, place: event.place };
    case "place": {
      const last = looks.read?.candidates.tokens.length ?? 0;
      return { ...looks, place: Math.min(last, Math.max(1, event.place)) };
    }
    default:
      return looks;
  }
}
