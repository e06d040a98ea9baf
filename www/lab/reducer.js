/** The one pure function that changes the page's state. */

import { look, renamed } from "./inspection-state.js";
import { BLANK, isIdle, rests, voice } from "./state.js";

/** @typedef {import("../engine/types.js").AdapterInfo} AdapterInfo */
/** @typedef {import("../engine/types.js").Step} Step */
/** @typedef {import("./types.js").Adapter} Adapter */
/** @typedef {import("./types.js").Event} Event */
/** @typedef {import("./types.js").News} News */
/** @typedef {import("./types.js").Place} Place */
/** @typedef {import("./types.js").Problem} Problem */
/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").State} State */

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  const next = heard(changed(state, event));
  const looks = look(next.looks, event);
  return looks === next.looks ? next : { ...next, looks };
}

/** Without an adapter it has no text. @param {State} state @returns {State} */
const heard = (state) => (state.after === BLANK || voice(state) ? state : { ...state, after: BLANK });

/** @param {State} state @param {Event} event @returns {State} */
function changed(state, event) {
  switch (event.type) {
    case "busy":
      return { ...state, busy: { action: event.action, brief: event.brief } };
    case "free":
      return { ...state, busy: undefined };
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
      return { ...state, run: begun(event), adapter: adapterOf("trained", event.adapter, state.adapters + 1), adapters: state.adapters + 1, after: BLANK, ...atWork(state) };
    case "training":
      return { ...state, phase: "training", problem: without(state.problem, "train"), status: { key: "status.training", values: {} } };
    case "step":
      // The link holds an earlier step.
      return state.run ? { ...state, run: stepped(state.run, event.step, event.seconds), adapter: at(state, event.step.step), link: undefined } : state;
    case "stands":
      return standing(state, event.step);
    case "paused":
      return stopped(state);
    case "finished":
      return { ...state, phase: "done", status: { key: "status.done", values: { before: state.run?.firstHeldOut ?? 0, after: state.run?.heldOut ?? 0 } } };
    case "reset":
      return { ...state, phase: "ready", run: undefined, adapter: undefined, after: BLANK, ...atWork(state), problem: without(state.problem, "train"), status: { key: "status.reset", values: {} } };
    case "lost":
      // Of an adapter that is gone there is nothing to show; a training that is gone leaves its curve.
      return event.adapter
        ? { ...state, phase: rests(state.phase) ? "ready" : state.phase, run: undefined, adapter: undefined, after: BLANK, ...atWork(state) }
        : { ...state, run: state.run && { ...state.run, over: true }, adapter: at(state, event.step ?? state.adapter?.step ?? 0) };
    case "imported":
      return { ...state, phase: "ready", run: undefined, adapter: adapterOf(event.source, event.adapter, state.adapters + 1), adapters: state.adapters + 1, after: BLANK, ...atWork(state), link: event.link, problem: undefined, status: { key: "status.imported", values: {} } };
    case "shelved": {
      const { items, durable } = event;
      const using = items.some(({ id }) => id === state.shelf.using) ? state.shelf.using : undefined;
      const answers = using === state.shelf.using ? state.answers : silent(state);
      const named = { after: { ...state.after, speaker: renamed(state.after.speaker, items) }, answers: answers && { ...answers, speaker: renamed(answers.speaker, items) } };
      return { ...state, shelf: { items, durable, using }, ...named, news: event.news ? latest(state, event.news) : state.news, problem: event.news ? without(state.problem, "adapter") : state.problem };
    }
    case "used":
      return { ...state, shelf: { ...state.shelf, using: event.id }, answers: silent(state), link: undefined, news: latest(state, speaking(state, event.id)), problem: without(state.problem, "adapter") };
    case "linked":
      return { ...state, link: event.link, problem: without(state.problem, "adapter") };
    case "writing":
      return { ...state, [event.side]: { prompt: event.prompt, text: "", writing: true, key: event.key, speaker: event.speaker }, problem: without(state.problem, "compare") };
    case "text":
      return { ...state, [event.side]: { ...state[event.side], text: state[event.side].text + event.text } };
    case "written": {
      // A text that was cut short gets no key, so that the next comparison writes it again.
      const writing = state[event.side];
      // While it trains, many texts are written: only the last is announced.
      const news = event.whole && isIdle(state) ? latest(state, { key: event.side === "before" ? "news.before" : "news.after", values: {} }) : state.news;
      return { ...state, [event.side]: { ...writing, writing: false, key: event.whole ? writing.key : "" }, news };
    }
    case "checking":
      return { ...state, digest: { ...state.digest, checking: true } };
    case "digest": {
      const { first, checks } = state.digest;
      const answers = { base: state.answers?.base ?? event.off, off: event.off, on: event.on, speaker: event.speaker };
      return { ...state, memory: event.memory, answers, problem: without(state.problem, "proof"), digest: { first: first || event.digest, now: event.digest, checks: checks + 1, checking: false } };
    }
    case "unchecked":
      return { ...state, digest: { ...state.digest, checking: false } };
    case "race":
      return { ...state, race: event.race, problem: event.race.phase === "starting" ? without(state.problem, "efficient") : state.problem };
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
const atWork = (state) => ({ shelf: { ...state.shelf, using: undefined }, answers: silent(state), link: undefined });

/** Without the answer of an adapter that no longer speaks. @param {State} state */
const silent = ({ answers }) => answers && { ...answers, on: undefined, speaker: undefined };

/** @param {Adapter["source"]} source @param {AdapterInfo} info @param {number} number @returns {Adapter} */
const adapterOf = (source, { bytes, trainable, rank }, number) => ({ source, bytes, trainable, rank, number, step: 0 });

/** The adapter at work after that step of its training. @param {State} state @param {number} step */
const at = ({ adapter }, step) => adapter && { ...adapter, step };

/** Several may come between two frames. @param {State} state @param {News} news */
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

/** @param {Extract<Event, { type: "begun" }>} event @returns {Run} */
function begun({ settings, sample, text, corpus, heldOut }) {
  const points = { step: [0], loss: [null], heldOut: [heldOut] };
  return { settings, sample, text, over: false, corpus, points, log: [], step: 0, firstHeldOut: heldOut, heldOut, tokensPerSecond: 0, secondsPerStep: 0 };
}

/** No steps are being taken: a refusal leaves the training where it was, maybe at its end. @param {State} state @returns {State} */
function stopped(state) {
  const { run } = state;
  if (!run) return { ...state, phase: "ready", status: { key: "status.ready", values: {} } };
  if (run.step >= run.settings.steps) return { ...state, phase: "done" };
  return { ...state, phase: "paused", status: { key: "status.paused", values: { step: run.step } } };
}

/** The worker died and an earlier step was restored: the points after it are removed. @param {State} state @param {number} step @returns {State} */
function standing(state, step) {
  const { run, phase } = state;
  if (!run || run.over || step >= run.step) return state;
  const { points } = run;
  const kept = points.step.filter((at) => at <= step).length;
  const [steps, loss, heldOut] = [points.step.slice(0, kept), points.loss.slice(0, kept), points.heldOut.slice(0, kept)];
  const earlier = { ...run, step, log: run.log.filter(({ step: at }) => at <= step), points: { step: steps, loss, heldOut }, heldOut: heldOut.findLast((value) => value !== null) ?? NaN };
  const next = { ...state, run: earlier, adapter: at(state, step), link: undefined };
  return rests(phase) ? stopped(next) : next;
}

/** @param {Run} run @param {Step} step @param {number} seconds @returns {Run} */
function stepped(run, step, seconds) {
  /** @template T @param {T[]} list @param {T} last */
  const grown = (list, last) => [...list, last];
  /** A moving average that starts with the first value. @param {number} old @param {number} now */
  const smooth = (old, now) => (old ? old + 0.15 * (now - old) : now);
  return {
    ...run,
    step: step.step,
    log: grown(run.log, step),
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

/**
 * Shows the problem and leaves the phase to the action that set it; but without a model there is nothing to do.
 * @param {State} state @param {Problem} problem @returns {State}
 */
function failed(state, problem) {
  const broken = problem.place === "page";
  return { ...state, phase: broken ? "broken" : state.phase, problem, progress: broken ? undefined : state.progress, status: { key: "status.failed", values: {} } };
}
