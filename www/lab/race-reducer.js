/** The pure function that changes the part of the page's state that compares LoRA with full fine-tuning. */

import { NO_RACE } from "./race-state.js";

/** @typedef {import("./types.js").Measured} Measured */
/** @typedef {import("./types.js").Race} Race */
/** @typedef {import("./types.js").RaceEvent} RaceEvent */
/** @typedef {import("./types.js").Racer} Racer */

/** @param {Race} race @param {RaceEvent} event @returns {Race} */
export function raced(race, event) {
  const { racers } = race;
  switch (event.type) {
    case "begun":
      return { ...NO_RACE, phase: "starting", settings: event.settings, text: event.text };
    case "ready": {
      const { lora, full } = event.measured;
      const begun = (/** @type {Measured} */ before) => ({ before, now: before, seconds: [] });
      const points = { step: [0], loraLoss: [null], loraHeldOut: [lora.heldOut], fullLoss: [null], fullHeldOut: [full.heldOut] };
      return { ...race, phase: "training", racers: { lora: begun(lora), full: begun(full) }, points };
    }
    case "step": {
      if (!racers) return race;
      const { lora, full } = event.steps;
      const added = { step: lora.step, loraLoss: lora.loss, loraHeldOut: lora.heldOutLoss ?? null, fullLoss: full.loss, fullHeldOut: full.heldOutLoss ?? null };
      const points = Object.fromEntries(Object.entries(race.points).map(([name, column]) => [name, [...column, added[/** @type {keyof typeof added} */ (name)]]]));
      return { ...race, step: lora.step, racers: { lora: stepped(racers.lora, lora), full: stepped(racers.full, full) }, points: /** @type {any} */ (points) };
    }
    case "judging":
      return { ...race, phase: "judging" };
    case "judged": {
      const { lora, full } = event.measured;
      return racers ? { ...race, judged: true, racers: { lora: { ...racers.lora, now: lora }, full: { ...racers.full, now: full } } } : race;
    }
    case "ended": {
      if (!racers) return NO_RACE;
      return { ...race, phase: race.judged && race.step === race.settings?.steps ? "done" : "stopped" };
    }
    default:
      return race;
  }
}

/** @param {Racer} racer @param {import("../engine/types.js").Step} step @returns {Racer} */
function stepped({ before, now, seconds }, { tokens, tokensPerSecond, heldOutLoss }) {
  return { before, now: { ...now, heldOut: heldOutLoss ?? now.heldOut }, seconds: [...seconds, tokens / tokensPerSecond] };
}

/** The middle one; of an even number the mean of the middle two. @param {number[]} values @returns {number | undefined} */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (!sorted.length) return undefined;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
