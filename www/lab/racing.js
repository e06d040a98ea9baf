/**
 * LoRA against full fine-tuning, run for real: two engines of their own, so that nothing of the reader's is touched, with the same
 * text, settings and seed and one worker each. They step in turn: neither takes the other's time. No DOM.
 */

import { fetchBytes } from "../engine/fetch.js";
import { CODES, LabError } from "../engine/protocol.js";
import { canTrain, isAnother } from "./state.js";

/** @typedef {import("../engine/lora-lab.js").LoraLab} LoraLab */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("../engine/types.js").Footprint} Footprint */
/** @typedef {import("../engine/types.js").Step} Step */

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

/** Sampled from the base by pretrain/stories.js. */
const STORIES = new URL("../samples/base.txt", import.meta.url);

/** What is under way: stopping after a step, or given up at once. @type {WeakMap<Session, { stopping: boolean, giveUp: AbortController }>} */
const under = new WeakMap();

/** The times mean something only while nothing else computes. @param {State} state */
export function canRace(state) {
  return canTrain(state) && Boolean(state.info && state.corpus?.text.trim());
}

/** Whether what was measured is about other settings or another text than those at hand. @param {State} state */
export function isOutdated(state) {
  const { settings, text } = state.race;
  return settings !== undefined && (settings.fullLearningRate !== state.settings.fullLearningRate || isAnother({ settings, text }, state));
}

/** Settles when both engines have ended. @param {Session} session @param {(signal: AbortSignal) => Promise<string>} [readStories] */
export async function startRace(session, readStories = fetchStories) {
  if (!canRace(session.state)) return;
  const race = { stopping: false, giveUp: new AbortController() };
  const { signal } = race.giveUp;
  const close = () => race.giveUp.abort();
  session.closing.addEventListener("abort", close);
  under.set(session, race);
  /** @type {LoraLab[]} */
  const labs = [];
  const { settings, corpus } = session.state;
  session.dispatch({ type: "race", settings, text: corpus?.text ?? "" });
  await session.attempt("efficient", async () => {
    try {
      const load = async (/** @type {boolean} */ full) => {
        // Nothing is saved on the way: a copy of all weights and moments every other second would be measured as well.
        const lab = await session.another({ full, workers: 1, saveEvery: Infinity, signal });
        labs.push(lab);
        return lab;
      };
      const [stories, lora, full] = await Promise.all([readStories(signal), load(false), load(true)]);
      await run(session, { lora, full }, stories, race);
    } catch (error) {
      if (!signal.aborted) throw told(error);
    } finally {
      // Also what is still being loaded.
      race.giveUp.abort();
      await Promise.all(labs.map((lab) => lab.dispose()));
    }
  });
  session.closing.removeEventListener("abort", close);
  under.delete(session);
  session.dispatch({ type: "race-ended" });
}

/** While they train: after the step under way, and what they have come to is measured. Else at once. @param {Session} session */
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
  const measure = async (/** @type {LoraLab} */ lab) => {
    const [heldOut = NaN, forgotten] = [await lab.evaluate({ signal }), await lab.loss(stories, { signal })];
    return { footprint: await lab.footprint(), heldOut, stories: forgotten };
  };
  const measured = async () => {
    const [one, other] = await Promise.all([measure(lora), measure(full)]);
    return { lora: one, full: other };
  };
  await lora.attach({ rank, alpha, targets, seed });
  await Promise.all([lora.beginTraining({ ...same, learningRate }), full.beginTraining({ ...same, learningRate: fullLearningRate })]);
  session.dispatch({ type: "race-ready", measured: await measured() });
  const [loraSteps, fullSteps] = [lora.train({ signal }), full.train({ signal })];
  for (let done = false; !done && !race.stopping; ) {
    const one = (await loraSteps.next()).value;
    const other = (await fullSteps.next()).value;
    if (!one || !other) break;
    session.dispatch({ type: "race-step", steps: { lora: one, full: other } });
    done = one.done;
  }
  session.dispatch({ type: "race-judging" });
  session.dispatch({ type: "race-judged", measured: await measured() });
}

/** The page's own engine has not crashed: the reader is told another thing. @param {unknown} error */
function told(error) {
  const { code, message } = /** @type {LabError} */ (Object(error));
  return code === CODES.workerDied ? new LabError("race-died", message, { cause: error }) : error;
}

/** @param {AbortSignal} signal */
async function fetchStories(signal) {
  return new TextDecoder().decode(await fetchBytes(STORIES, { signal }));
}

/** The middle one; of an even number the mean of the middle two. @param {number[]} values @returns {number | undefined} */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (!sorted.length) return undefined;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
