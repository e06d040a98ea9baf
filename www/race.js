/**
 * LoRA against full fine-tuning on the same data: what has been measured so far, and the pure function that changes it. A part of the
 * page's state; racing.js does the work.
 */

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./types.js").Footprint} Footprint */
/** @typedef {import("./types.js").Step} Step */

/** lora: adapters on a frozen base; full: all weights of the base. @typedef {"lora" | "full"} Side */
/** @template T @typedef {{ lora: T, full: T }} Both */

/** Losses in nats a token. @typedef {{ footprint: Footprint, heldOut: number, stories: number }} Measured stories: on the base's own */

/**
 * @typedef {object} Racer
 * @property {Measured} before training
 * @property {Measured} now before.stories until the end
 * @property {number[]} seconds of each step, by the worker's clock
 */

/**
 * @typedef {object} Race
 * @property {"none" | "starting" | "training" | "judging" | "stopped" | "done"} phase judging: the stories are read again
 * @property {Settings | undefined} settings of both
 * @property {string} text that both learn from
 * @property {number} step that both have taken
 * @property {Both<Racer> | undefined} racers once both are ready
 * @property {Curves} points
 * @property {boolean} judged whether what is forgotten was measured after the last step
 */

/** One entry for each step, null where nothing was measured. @typedef {Record<"loraLoss" | "loraHeldOut" | "fullLoss" | "fullHeldOut", (number | null)[]> & { step: number[] }} Curves */

/**
 * @typedef {{ type: "race", settings: Settings, text: string }
 *   | { type: "race-ready", measured: Both<Measured> }
 *   | { type: "race-step", steps: Both<Step> }
 *   | { type: "race-judging" }
 *   | { type: "race-judged", measured: Both<Measured> }
 *   | { type: "race-ended" }} RaceEvent
 */

/** @type {Race} */
export const NO_RACE = {
  phase: "none",
  settings: undefined,
  text: "",
  step: 0,
  racers: undefined,
  points: { step: [], loraLoss: [], loraHeldOut: [], fullLoss: [], fullHeldOut: [] },
  judged: false,
};

/** @param {Race} race @param {import("./state.js").Event} event @returns {Race} */
export function raced(race, event) {
  const { racers } = race;
  switch (event.type) {
    case "race":
      return { ...NO_RACE, phase: "starting", settings: event.settings, text: event.text };
    case "race-ready": {
      const { lora, full } = event.measured;
      const begun = (/** @type {Measured} */ before) => ({ before, now: before, seconds: [] });
      const points = { step: [0], loraLoss: [null], loraHeldOut: [lora.heldOut], fullLoss: [null], fullHeldOut: [full.heldOut] };
      return { ...race, phase: "training", racers: { lora: begun(lora), full: begun(full) }, points };
    }
    case "race-step": {
      const { lora, full } = event.steps;
      if (!racers) return race;
      const { points } = race;
      return {
        ...race,
        step: lora.step,
        racers: { lora: stepped(racers.lora, lora), full: stepped(racers.full, full) },
        points: {
          step: [...points.step, lora.step],
          loraLoss: [...points.loraLoss, lora.loss],
          loraHeldOut: [...points.loraHeldOut, lora.heldOutLoss ?? null],
          fullLoss: [...points.fullLoss, full.loss],
          fullHeldOut: [...points.fullHeldOut, full.heldOutLoss ?? null],
        },
      };
    }
    case "race-judging":
      return { ...race, phase: "judging" };
    case "race-judged": {
      const { lora, full } = event.measured;
      return racers ? { ...race, judged: true, racers: { lora: { ...racers.lora, now: lora }, full: { ...racers.full, now: full } } } : race;
    }
    case "race-ended": {
      if (!racers) return NO_RACE;
      return { ...race, phase: race.judged && race.step === race.settings?.steps ? "done" : "stopped" };
    }
    default:
      return race;
  }
}

/** @param {Racer} racer @param {Step} step @returns {Racer} */
function stepped({ before, now, seconds }, { tokens, tokensPerSecond, heldOutLoss }) {
  return { before, now: { ...now, heldOut: heldOutLoss ?? now.heldOut }, seconds: [...seconds, tokens / tokensPerSecond] };
}

/** @param {Race} race */
export function isRacing({ phase }) {
  return phase === "starting" || phase === "training" || phase === "judging";
}

/** The middle one; of an even number the mean of the middle two. @param {number[]} values @returns {number | undefined} */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (!sorted.length) return undefined;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
