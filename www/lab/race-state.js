/** The part of the page's state that compares LoRA with full fine-tuning, as it is before anything is measured. */

/** @typedef {import("./types.js").Race} Race */

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

/** Whether its engines are running. @param {Race} race */
export function isRacing({ phase }) {
  return phase === "starting" || phase === "training" || phase === "judging";
}
