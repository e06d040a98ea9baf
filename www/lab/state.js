/** The page's whole state, and what can be asked of it. Knows neither DOM nor engine; reducer.js changes it. */

import { NO_LOOKS, keptKey } from "./inspection-state.js";
import { NO_RACE, isRacing } from "./race-state.js";
import { DEFAULTS, sameTraining } from "./settings.js";

/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").Speaker} Speaker */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Writing} Writing */

/** @type {Writing} */
export const BLANK = { prompt: "", text: "", writing: false, key: "", speaker: undefined };

/** @type {State} */
export const INITIAL = {
  phase: "idle",
  busy: undefined,
  progress: undefined,
  info: undefined,
  lanes: "",
  workers: 1,
  baseBytes: 0,
  memory: 0,
  settings: DEFAULTS,
  corpus: undefined,
  own: "",
  run: undefined,
  adapter: undefined,
  adapters: 0,
  before: BLANK,
  after: BLANK,
  digest: { first: "", now: "", checks: 0, checking: false },
  answers: undefined,
  shelf: { items: [], durable: undefined, using: undefined },
  link: undefined,
  layer: "",
  looks: NO_LOOKS,
  race: NO_RACE,
  problem: undefined,
  status: { key: "status.idle", values: {} },
  news: [],
};

/** The adapter that speaks, if there is one. @param {State} state */
export function voice({ adapter, shelf }) {
  return shelf.using === undefined ? adapter : shelf.items.find(({ id }) => id === shelf.using);
}

/** Its name and step of this moment, to be stored with what it writes. @param {State} state @returns {Speaker | undefined} */
export function speaker({ adapter, shelf }) {
  const kept = shelf.items.find(({ id }) => id === shelf.using);
  if (kept) return { key: keptKey(kept.id), source: "kept", name: kept.name, step: 0 };
  return adapter && { key: `at work ${adapter.number}`, source: adapter.source, name: "", step: adapter.step };
}

/** Whether it is still that adapter, after that step, which speaks. @param {State} state @param {Speaker | undefined} whose */
export function isHeard(state, whose) {
  const now = speaker(state);
  return now?.key === whose?.key && now?.step === whose?.step;
}

/** What the main button does now. @param {State} state @returns {"none" | "train" | "again" | "pause" | "resume"} */
export function mainAction(state) {
  if (state.phase === "training") return "pause";
  if (!canTrain(state)) return "none";
  if (canGoOn(state)) return "resume";
  return state.run ? "again" : state.corpus?.text ? "train" : "none";
}

/**
 * Whether what was trained with these settings on this text is another experiment than the page's settings describe.
 * @param {{ settings: Settings, text: string }} trained @param {State} state
 */
export function isAnother({ settings, text }, state) {
  return text !== state.corpus?.text || !sameTraining(settings, state.settings);
}

/** Whether the present run is. @param {State} state */
export const isRunOutdated = (state) => state.run !== undefined && isAnother(state.run, state);

/** Whether the comparison with full fine-tuning used other settings or another text than the page has. @param {State} state */
export function isRaceOutdated(state) {
  const { settings, text } = state.race;
  return settings !== undefined && (settings.fullLearningRate !== state.settings.fullLearningRate || isAnother({ settings, text }, state));
}

/** Whether the present training can go on and matches the settings. @param {State} state */
export function canGoOn(state) {
  return state.phase === "paused" && state.run !== undefined && !state.run.over && !isRunOutdated(state);
}

/**
 * Whether a training may begin or go on: the lab is at rest, no comparison is being timed, and the chosen sample's text is loaded.
 * @param {State} state
 */
export const canTrain = (state) => isIdle(state) && !isRacing(state.race) && state.corpus?.id === state.settings.sample;

/** At rest: loaded, and nothing has the lab to itself for longer than a moment. @param {State} state */
export function isIdle({ phase, busy }) {
  return (!busy || busy.brief) && rests(phase);
}

/** Whether no steps are being taken, though something else may be under way. @param {State["phase"]} phase */
export const rests = (phase) => phase === "ready" || phase === "paused" || phase === "done";

/** Seconds until the last step, or undefined before a step has been measured. @param {State} state */
export function secondsLeft({ run }) {
  return run?.secondsPerStep ? (run.settings.steps - run.step) * run.secondsPerStep : undefined;
}
