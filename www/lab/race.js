/**
 * Compares LoRA with full fine-tuning by training both: two separate engines, so that the page's own is not touched, with the same
 * text, settings and seed and one worker each. They step in turn, so that neither slows the other down. No DOM.
 */

import { fetchBytes } from "../engine/fetch.js";
import { CODES, LabError } from "../engine/protocol.js";
import { action } from "./actions.js";
import { raced } from "./race-reducer.js";
import { canTrain } from "./state.js";

/** @typedef {import("./types.js").Method} Method */
/** @template T @typedef {import("./types.js").Both<T>} Both */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("../engine/lora-lab.js").LoraLab} LoraLab */

/** Sampled from the base by pretrain/stories.js. */
const STORIES = new URL("../samples/base.txt", import.meta.url);

/** The comparison under way. stopping: it ends after this step; giveUp: aborted to end it at once. @type {WeakMap<Session, { stopping: boolean, giveUp: AbortController }>} */
const under = new WeakMap();

/** Train both from the first step to the last, unless they are stopped. Nothing else may compute meanwhile: it would distort the times. */
export const race = action("race", {
  place: "efficient",
  when: (state) => canTrain(state) && Boolean(state.info && state.corpus?.text.trim()),
  /** @param {Session} session @param {(signal: AbortSignal) => Promise<string>} [readStories] */
  perform: (session, readStories = fetchStories) => start(session, readStories),
});

/** Settles when both engines have ended. @param {Session} session @param {(signal: AbortSignal) => Promise<string>} readStories */
async function start(session, readStories) {
  const race = { stopping: false, giveUp: new AbortController() };
  const { signal } = race.giveUp;
  const close = () => race.giveUp.abort();
  session.closing.addEventListener("abort", close);
  under.set(session, race);
  /** @type {LoraLab[]} */
  const labs = [];
  const { settings, corpus } = session.state;
  measure(session, { type: "begun", settings, text: corpus?.text ?? "" });
  try {
    const load = async (/** @type {boolean} */ full) => {
      // No automatic saves: copying all weights and moments every two seconds would add to the measured times.
      const lab = await session.another({ full, workers: 1, saveEvery: Infinity, signal });
      labs.push(lab);
      return lab;
    };
    const [stories, lora, full] = await Promise.all([readStories(signal), load(false), load(true)]);
    await run(session, { lora, full }, stories, race);
  } catch (error) {
    if (!signal.aborted) throw told(error);
  } finally {
    // Ends loading that is still under way as well.
    race.giveUp.abort();
    await Promise.all(labs.map((lab) => lab.dispose()));
    session.closing.removeEventListener("abort", close);
    under.delete(session);
    measure(session, { type: "ended" });
  }
}

/** While they train, stop after the step under way and measure the result; otherwise stop at once. @param {Session} session */
export function stopRace(session) {
  const race = under.get(session);
  if (!race) return;
  if (session.state.race.phase === "training" && !race.stopping) race.stopping = true;
  else race.giveUp.abort();
}

/**
 * @param {Session} session
 * @param {Both<LoraLab>} labs
 * @param {string} stories
 * @param {{ stopping: boolean, giveUp: AbortController }} race
 */
async function run(session, { lora, full }, stories, race) {
  const { settings, text } = session.state.race;
  const { signal } = race.giveUp;
  if (!settings) return;
  const { rank, alpha, targets, seed, steps, batchSize, blockSize, learningRate, fullLearningRate } = settings;
  const same = { text, steps, batchSize, blockSize, seed, signal };
  const look = async (/** @type {LoraLab} */ lab) => {
    const [heldOut = NaN, forgotten] = [await lab.evaluate({ signal }), await lab.loss(stories, { signal })];
    return { footprint: await lab.footprint(), heldOut, stories: forgotten };
  };
  const measured = async () => {
    const [one, other] = await Promise.all([look(lora), look(full)]);
    return { lora: one, full: other };
  };
  await lora.attach({ rank, alpha, targets, seed });
  await Promise.all([lora.beginTraining({ ...same, learningRate }), full.beginTraining({ ...same, learningRate: fullLearningRate })]);
  measure(session, { type: "ready", measured: await measured() });
  const [loraSteps, fullSteps] = [lora.train({ signal }), full.train({ signal })];
  for (let done = false; !done && !race.stopping; ) {
    const one = (await loraSteps.next()).value;
    const other = (await fullSteps.next()).value;
    if (!one || !other) break;
    measure(session, { type: "step", steps: { lora: one, full: other } });
    done = one.done;
  }
  measure(session, { type: "judging" });
  measure(session, { type: "judged", measured: await measured() });
}

/** @param {Session} session @param {import("./types.js").RaceEvent} event */
function measure(session, event) {
  session.dispatch({ type: "race", race: raced(session.state.race, event) });
}

/** A crash of an engine of the comparison gets a code of its own, since the page's engine goes on. @param {unknown} error */
function told(error) {
  const { code, message } = /** @type {LabError} */ (Object(error));
  return code === CODES.workerDied ? new LabError("race-died", message, { cause: error }) : error;
}

/** @param {AbortSignal} signal */
async function fetchStories(signal) {
  return new TextDecoder().decode(await fetchBytes(STORIES, { signal }));
}
