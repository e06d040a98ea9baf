/** Trains the adapter at work, from the start or from where it stopped, until the last step or a pause. No DOM. */

import { LabError } from "../engine/protocol.js";
import { atWork, drop, found, incoming, tidy } from "./slots.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("../engine/types.js").Step} Step */

/** @param {Session} session @param {number} limit how many at most @param {() => boolean} isPausing asked before each @returns {Promise<boolean>} whether the last step was taken */
export async function takeSteps(session, limit, isPausing) {
  const { lab, state, texts } = session;
  const steps = lab?.train({ adapter: atWork(state) });
  // Writing a text may have killed the worker, and so undone steps: after a failure it is not tried again.
  let writes = true;
  const write = async () => {
    await texts.write("after");
    return true;
  };
  try {
    for (let taken = 1; steps && taken <= limit && !isPausing(); taken++) {
      // It may have to wait for a text.
      const step = await texts.inTurn(async () => (isPausing() ? undefined : next(session, steps)));
      if (!step) return false;
      if (step.done) return true;
      // The reader sees the text change while the loss falls; the last text is written when the steps are done.
      const goesOn = taken < limit && !isPausing();
      if (goesOn && writes && step.heldOutLoss !== undefined) writes = Boolean(await session.attempt("compare", write));
    }
    return false;
  } catch (error) {
    await tidy(session);
    throw error;
  } finally {
    // Ends the generator, so that the engine saves the last step.
    await steps?.return();
  }
}

/** @param {Session} session @param {AsyncGenerator<Step, void, undefined>} steps */
async function next(session, steps) {
  const start = performance.now();
  const { value: step } = await steps.next().catch((error) => {
    // The worker died before it was asked, and the next one has no training.
    throw session.state.run?.over ? new LabError("lost", "the training's state", { cause: error }) : error;
  });
  if (step) session.dispatch({ type: "step", step, seconds: (performance.now() - start) / 1000 });
  return step;
}

/**
 * Make a fresh adapter, tokenise the text, and measure the loss before training. If refused, the old adapter and training stay.
 * @param {Session} session @param {State} asked the page's state when the training was asked for
 */
export async function begin(session, { settings, corpus }) {
  const { lab } = session;
  if (!lab || !corpus?.text.trim()) throw new LabError("text-empty", "expected a text to train on, got nothing");
  const { rank, alpha, targets, seed, steps, batchSize, blockSize, learningRate } = settings;
  const name = incoming(session.state);
  try {
    await drop(lab, name);
    await lab.attach({ name, rank, alpha, targets, seed });
    const tokens = await lab.beginTraining({ adapter: name, text: corpus.text, steps, batchSize, blockSize, learningRate, seed });
    const heldOut = (await lab.evaluate().catch(async (error) => {
      throw (await lab.isTraining()) ? error : new LabError("lost", "the training's state", { cause: error });
    })) ?? NaN;
    const adapter = /** @type {import("../engine/types.js").AdapterInfo} */ (await found(lab, name));
    session.dispatch({ type: "begun", settings, sample: corpus.id, text: corpus.text, corpus: tokens, heldOut, adapter });
    session.dispatch({ type: "training" });
  } finally {
    await tidy(session);
  }
}
