/** The page's whole state and the one pure function that changes it. Knows neither DOM nor engine. */

import { NO_LOOKS, look } from "./looks.js";
import { NO_RACE, isRacing, raced } from "./race.js";
import { DEFAULTS, sameTraining } from "./settings.js";

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("../engine/types.js").Corpus} Corpus */
/** @typedef {import("../engine/types.js").ModelInfo} ModelInfo */
/** @typedef {import("../engine/types.js").Progress} Progress */
/** @typedef {import("../engine/types.js").Step} Step */

/** Where on the page something went wrong, and so where it is told. @typedef {"page" | "data" | "train" | "compare" | "proof" | "adapter" | "efficient" | "inside" | "tokens" | "further"} Place */
/** @typedef {{ place: Place, code: string, message: string }} Problem */
/** The curve: one entry for each step, null where a step did not evaluate. @typedef {{ step: number[], loss: (number | null)[], heldOut: (number | null)[] }} Points */

/**
 * @typedef {object} Run a training
 * @property {Settings} settings those it was begun with
 * @property {string} text what it trains on
 * @property {Corpus} corpus
 * @property {Points} points
 * @property {Step[]} log each step as the engine told it
 * @property {number} step
 * @property {number} firstHeldOut
 * @property {number} heldOut the latest
 * @property {number} tokensPerSecond smoothed
 * @property {number} secondsPerStep smoothed, by the reader's clock
 */

/** @typedef {{ prompt: string, text: string, writing: boolean, key: string, step: number }} Writing a text of the model after a prompt, for which settings (key) and after how many steps */
/** @typedef {{ ids: number[], text: string }} Answer what the model finds likeliest, token by token */
/** @typedef {{ source: "trained" | "file" | "link", bytes: number, trainable: number, rank: number }} Adapter the one at work: trained, or brought in */
/** @typedef {{ id: string, name: string, sample: string, base: string, kept: number, bytes: number, trainable: number, rank: number }} Kept an adapter on the shelf; base: the digest of the base that it belongs to */
/** @typedef {{ key: string, values: Record<string, string> }} News something that has happened; each is an object of its own, though it may say the same */
/** @typedef {{ text?: string, bits: number, numbers: number, room: number }} Link the adapter in use as text for a link; without text it is too large */

/**
 * @typedef {object} State
 * @property {"idle" | "loading" | "ready" | "starting" | "training" | "paused" | "done" | "broken"} phase
 * @property {Progress | undefined} progress
 * @property {ModelInfo | undefined} info
 * @property {string} lanes the instruction set of the engine's build
 * @property {number} workers that share a step
 * @property {number} baseBytes of the base's weights as downloaded
 * @property {number} memory
 * @property {Settings} settings
 * @property {{ id: string, text: string, name: string } | undefined} corpus
 * @property {string} own the reader's own text
 * @property {Run | undefined} run
 * @property {Adapter | undefined} adapter
 * @property {Writing} before
 * @property {Writing} after
 * @property {{ first: string, now: string, checks: number, checking: boolean }} digest
 * @property {{ base: Answer, off: Answer, on: Answer | undefined } | undefined} answers to one prompt: of the base when loaded, with the adapter off now, and on
 * @property {{ items: Kept[], durable: boolean | undefined, using: string | undefined }} shelf using: the id of the kept adapter that speaks, undefined for the one at work; durable: undefined until it was opened
 * @property {Link | undefined} link
 * @property {string} layer the linear layer that the reader looks at
 * @property {import("./looks.js").Looks} looks into the engine
 * @property {import("./racing.js").Race} race LoRA against full fine-tuning
 * @property {Problem | undefined} problem
 * @property {{ key: string, values: Record<string, number> }} status what a screen reader is told of the lab's phase
 * @property {News[]} news what it is told of texts and the shelf, the latest last
 */

/**
 * @typedef {{ type: "loading" }
 *   | { type: "progress", progress: Progress }
 *   | { type: "loaded", info: ModelInfo, lanes: string, workers: number, baseBytes: number }
 *   | { type: "reloaded", lanes: string, workers: number }
 *   | { type: "settings", settings: Partial<Settings> }
 *   | { type: "corpus", id: string, text: string, name: string }
 *   | { type: "starting" }
 *   | { type: "begun", settings: Settings, corpus: Corpus, heldOut: number, adapter: Adapter }
 *   | { type: "training" }
 *   | { type: "step", step: Step, seconds: number }
 *   | { type: "paused" }
 *   | { type: "finished" }
 *   | { type: "reset" }
 *   | { type: "imported", adapter: Adapter, link?: Link }
 *   | { type: "shelved", items: Kept[], durable: boolean, news?: News }
 *   | { type: "used", id: string | undefined }
 *   | { type: "linked", link: Link }
 *   | { type: "writing", side: "before" | "after", key: string, prompt: string }
 *   | { type: "text", side: "before" | "after", text: string }
 *   | { type: "written", side: "before" | "after", whole: boolean }
 *   | { type: "checking" }
 *   | { type: "digest", digest: string, memory: number, off: Answer, on: Answer | undefined }
 *   | { type: "looked", layer: string }
 *   | { type: "failed", problem: Problem }
 *   | { type: "dismissed" }
 *   | import("./looks.js").LookEvent
 *   | import("./racing.js").RaceEvent} Event
 */

/** @type {Writing} */
const BLANK = { prompt: "", text: "", writing: false, key: "", step: 0 };

/** @type {State} */
export const INITIAL = {
  phase: "idle",
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

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  const next = changed(state, event);
  const [looks, race] = [look(next.looks, event), raced(next.race, event)];
  return looks === next.looks && race === next.race ? next : { ...next, looks, race };
}

/** @param {State} state @param {Event} event @returns {State} */
function changed(state, event) {
  switch (event.type) {
    case "loading":
      return { ...state, phase: "loading", problem: undefined, status: { key: "status.loading", values: {} } };
    case "progress":
      return { ...state, progress: event.progress };
    case "loaded": {
      const { info, lanes, workers, baseBytes } = event;
      return { ...state, phase: "ready", info, lanes, workers, baseBytes, progress: undefined, status: { key: "status.ready", values: {} } };
    }
    case "reloaded":
      return { ...state, lanes: event.lanes, workers: event.workers };
    case "settings":
      return { ...state, settings: { ...state.settings, ...event.settings } };
    case "corpus": {
      const { id, text, name } = event;
      return { ...state, corpus: { id, text, name }, own: id === "own" ? text : state.own, problem: without(state.problem, "data") };
    }
    case "starting":
      return { ...state, phase: "starting", problem: without(state.problem, "train"), status: { key: "status.starting", values: {} } };
    case "begun":
      return { ...state, run: begun(event, state.corpus?.text ?? ""), adapter: event.adapter, after: BLANK, ...atWork(state) };
    case "training":
      return { ...state, phase: "training", problem: without(state.problem, "train"), status: { key: "status.training", values: {} } };
    case "step":
      // A link holds the adapter as it was.
      return state.run ? { ...state, run: stepped(state.run, event.step, event.seconds), link: undefined } : state;
    case "paused":
      return { ...state, phase: state.run ? "paused" : "ready", status: { key: state.run ? "status.paused" : "status.ready", values: { step: state.run?.step ?? 0 } } };
    case "finished":
      return { ...state, phase: "done", status: { key: "status.done", values: { before: state.run?.firstHeldOut ?? 0, after: state.run?.heldOut ?? 0 } } };
    case "reset":
      return { ...state, phase: "ready", run: undefined, adapter: undefined, after: BLANK, answers: state.answers && { ...state.answers, on: undefined }, ...atWork(state), problem: without(state.problem, "train"), status: { key: "status.reset", values: {} } };
    case "imported":
      return { ...state, phase: "ready", run: undefined, adapter: event.adapter, after: BLANK, ...atWork(state), link: event.link, problem: undefined, status: { key: "status.imported", values: {} } };
    case "shelved": {
      const { items, durable } = event;
      const using = items.some(({ id }) => id === state.shelf.using) ? state.shelf.using : undefined;
      return { ...state, shelf: { items, durable, using }, news: event.news ? latest(state, event.news) : state.news, problem: event.news ? without(state.problem, "adapter") : state.problem };
    }
    case "used":
      return { ...state, shelf: { ...state.shelf, using: event.id }, link: undefined, news: latest(state, speaking(state, event.id)), problem: without(state.problem, "adapter") };
    case "linked":
      return { ...state, link: event.link, problem: without(state.problem, "adapter") };
    case "writing":
      return { ...state, [event.side]: { prompt: event.prompt, text: "", writing: true, key: event.key, step: state.run?.step ?? 0 }, problem: without(state.problem, "compare") };
    case "text":
      return { ...state, [event.side]: { ...state[event.side], text: state[event.side].text + event.text } };
    case "written": {
      // A text that was cut short stands for no settings: whoever asks next gets it written from the start.
      const writing = state[event.side];
      // While it trains, a text follows the next one: only the last is news.
      const news = event.whole && isIdle(state) ? latest(state, { key: event.side === "before" ? "news.before" : "news.after", values: {} }) : state.news;
      return { ...state, [event.side]: { ...writing, writing: false, key: event.whole ? writing.key : "" }, news };
    }
    case "checking":
      return { ...state, digest: { ...state.digest, checking: true } };
    case "digest": {
      const { first, checks } = state.digest;
      const answers = { base: state.answers?.base ?? event.off, off: event.off, on: event.on };
      return { ...state, memory: event.memory, answers, problem: without(state.problem, "proof"), digest: { first: first || event.digest, now: event.digest, checks: checks + 1, checking: false } };
    }
    case "race":
      return { ...state, problem: without(state.problem, "efficient") };
    case "looked":
      return { ...state, layer: event.layer };
    case "failed":
      return failed(state, event.problem);
    case "dismissed":
      return { ...state, problem: undefined };
    default:
      return state;
  }
}

/** The adapter at work speaks again. @param {State} state */
const atWork = ({ shelf }) => ({ shelf: { ...shelf, using: undefined }, link: undefined });

/** The adapter that speaks, if there is one. @param {State} state */
export function voice({ adapter, shelf }) {
  return shelf.using === undefined ? adapter : shelf.items.find(({ id }) => id === shelf.using);
}

/** More than one may come between two frames. @param {State} state @param {News} news */
const latest = (state, news) => [...state.news.slice(-2), news];

/** @param {State} state @param {string | undefined} id @returns {News} */
function speaking({ shelf }, id) {
  const name = shelf.items.find((kept) => kept.id === id)?.name;
  return name === undefined ? { key: "news.atWork", values: {} } : { key: "news.used", values: { name } };
}

/** @param {Problem | undefined} problem @param {Place} place */
function without(problem, place) {
  return problem?.place === place ? undefined : problem;
}

/** @param {Extract<Event, { type: "begun" }>} event @param {string} text @returns {Run} */
function begun({ settings, corpus, heldOut }, text) {
  const points = { step: [0], loss: [null], heldOut: [heldOut] };
  return { settings, text, corpus, points, log: [], step: 0, firstHeldOut: heldOut, heldOut, tokensPerSecond: 0, secondsPerStep: 0 };
}

/** @param {Run} run @param {Step} step @param {number} seconds @returns {Run} */
function stepped(run, step, seconds) {
  // After a worker's death the run goes on from its last saved step: what was drawn beyond it did not last.
  const kept = run.points.step.findIndex((at) => at >= step.step);
  /** @template T @param {T[]} list @param {T} last */
  const grown = (list, last) => [...(kept < 0 ? list : list.slice(0, kept)), last];
  /** The first measure stands for itself; later ones move it slowly. @param {number} old @param {number} now */
  const smooth = (old, now) => (old ? old + 0.15 * (now - old) : now);
  return {
    ...run,
    step: step.step,
    log: [...run.log.filter(({ step: at }) => at < step.step), step],
    heldOut: step.heldOutLoss ?? run.heldOut,
    tokensPerSecond: smooth(run.tokensPerSecond, step.tokensPerSecond),
    secondsPerStep: smooth(run.secondsPerStep, seconds),
    points: {
      step: grown(run.points.step, step.step),
      loss: grown(run.points.loss, step.loss),
      heldOut: grown(run.points.heldOut, step.heldOutLoss ?? null),
    },
  };
}

/** @param {State} state @param {Problem} problem @returns {State} */
function failed(state, problem) {
  const broken = problem.place === "page";
  // Looking, and a race of other engines, are beside what goes on, and do not end it.
  if (problem.place === "inside" || problem.place === "tokens" || problem.place === "efficient") return { ...state, problem };
  const interrupted = state.phase === "training" || state.phase === "starting";
  const phase = broken ? "broken" : interrupted ? (state.run ? "paused" : "ready") : state.phase;
  // A failed check leaves the last digest standing; a text that broke off is no longer being written.
  return {
    ...state,
    phase,
    problem,
    progress: undefined,
    before: { ...state.before, writing: false },
    after: { ...state.after, writing: false },
    digest: { ...state.digest, checking: false },
    status: { key: "status.failed", values: {} },
  };
}

/** What the one big button does now. @param {State} state @returns {"none" | "train" | "again" | "pause" | "resume"} */
export function mainAction(state) {
  if (isRacing(state.race)) return "none";
  switch (state.phase) {
    case "ready":
      return state.corpus?.text ? "train" : "none";
    case "training":
      return "pause";
    case "paused":
      return canGoOn(state) ? "resume" : "again";
    case "done":
      return "again";
    default:
      return "none";
  }
}

/**
 * Whether what was trained with these settings on this text is another experiment than the page's settings describe.
 * @param {{ settings: Settings, text: string }} trained @param {State} state
 */
export function isAnother({ settings, text }, state) {
  return text !== state.corpus?.text || !sameTraining(settings, state.settings);
}

/** Whether the run at hand is. @param {State} state */
export const isRunOutdated = (state) => state.run !== undefined && isAnother(state.run, state);

/** @param {State} state */
export function canGoOn(state) {
  return state.phase === "paused" && state.run !== undefined && !isRunOutdated(state);
}

/** Whether a training may begin or go on: none is under way, nor LoRA beside full fine-tuning, whose times it would falsify. @param {State} state */
export const canTrain = (state) => isIdle(state) && !isRacing(state.race);

/** Settings of a training may change unless one is under way. @param {State} state */
export function isIdle({ phase }) {
  return phase === "ready" || phase === "paused" || phase === "done";
}

/** Seconds until the last step, or undefined before a step has been measured. @param {State} state */
export function secondsLeft({ run }) {
  return run?.secondsPerStep ? (run.settings.steps - run.step) * run.secondsPerStep : undefined;
}
