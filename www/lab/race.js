/** LoRA against full fine-tuning: the pure function that changes what has been measured, a part of the page's state. racing.js does the work. */

/** @typedef {import("./racing.js").Measured} Measured */
/** @typedef {import("./racing.js").Race} Race */
/** @typedef {import("./racing.js").Racer} Racer */

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
      if (!racers) return race;
      const { lora, full } = event.steps;
      const added = { step: lora.step, loraLoss: lora.loss, loraHeldOut: lora.heldOutLoss ?? null, fullLoss: full.loss, fullHeldOut: full.heldOutLoss ?? null };
      const points = Object.fromEntries(Object.entries(race.points).map(([name, column]) => [name, [...column, added[/** @type {keyof typeof added} */ (name)]]]));
      return { ...race, step: lora.step, racers: { lora: stepped(racers.lora, lora), full: stepped(racers.full, full) }, points: /** @type {any} */ (points) };
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

/** @param {Racer} racer @param {import("../engine/types.js").Step} step @returns {Racer} */
function stepped({ before, now, seconds }, { tokens, tokensPerSecond, heldOutLoss }) {
  return { before, now: { ...now, heldOut: heldOutLoss ?? now.heldOut }, seconds: [...seconds, tokens / tokensPerSecond] };
}

/** Whether its engines compute. @param {Race} race */
export function isRacing({ phase }) {
  return phase === "starting" || phase === "training" || phase === "judging";
}
