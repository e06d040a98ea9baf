/** Measures inside the model while the page trains and writes, and only what the reader looks at. No DOM. */

import { speakerName } from "./slots.js";
import { isHeard, rests, speaker } from "./state.js";

/** @typedef {import("./types.js").Side} Side */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Speaker} Speaker */
/** @typedef {import("./types.js").State} State */

/** Steps between two measurements: some milliseconds each, so that training is not slowed. */
const EVERY = 5;
const CANDIDATES = 5;

/** Events after which another adapter may be the one to measure. */
const ANOTHER = ["begun", "imported", "used", "reset", "lost", "stands", "shelved"];

/**
 * Measure what the adapter that speaks adds, every few steps of its training and whenever another one speaks.
 * @param {Session} session
 * @returns {() => void} ends it
 */
export function watchDeltas(session) {
  let busy = false;
  /** Whether a measurement was wanted while another was under way. */
  let again = false;
  const measure = async () => {
    again = busy;
    if (busy) return;
    busy = true;
    // In turn with the training steps, so that the measurement belongs to the step that it names.
    const inside = () => session.texts.inTurn(async () => {
      const { lab, state } = session;
      const whose = speaker(state);
      if (!lab || !whose) return;
      const layers = await asked(whose, () => lab.deltas({ adapter: name(state) }));
      if (layers) session.dispatch({ type: "measured", speaker: speaker(session.state) ?? whose, layers });
      await close();
    });
    await session.attempt("inside", inside);
    busy = false;
    if (again) measure();
  };
  const close = async () => {
    const { lab, state } = session;
    const { layers, layer } = state.looks;
    const whose = speaker(state);
    if (!lab || !whose || !layers.some(({ name }) => name === layer)) return;
    const delta = await asked(whose, () => lab.delta(layer, { adapter: name(state) }));
    if (delta) session.dispatch({ type: "delta", delta });
  };
  /** The answer of `ask`, or undefined if that adapter no longer speaks. @template T @param {Speaker} whose @param {() => Promise<T>} ask @returns {Promise<T | undefined>} */
  const asked = async (whose, ask) => {
    const isTheirs = () => isHeard(session.state, whose);
    try {
      const answer = await ask();
      return isTheirs() ? answer : undefined;
    } catch (error) {
      if (isTheirs()) throw error;
      return undefined;
    }
  };
  const unfollow = session.follow((_state, event) => {
    if (event.type === "inspected") session.attempt("inside", () => session.texts.inTurn(close));
    const due = event.type === "step" && (event.step.step % EVERY === 1 || event.step.done);
    if (due || event.type === "paused" || event.type === "finished" || ANOTHER.includes(event.type)) measure();
  });
  measure();
  return unfollow;
}

/** The engine's name of the adapter that speaks. @param {State} state */
const name = (state) => speakerName(state) || undefined;

/**
 * Read the text that is compared, token by token, whenever it or the adapter has changed and nothing else goes on.
 * @param {Session} session
 * @returns {() => void} ends it
 */
export function watchTokens(session) {
  let busy = false;
  const read = async () => {
    const { lab, state } = session;
    const wanted = readable(state);
    if (!lab || !wanted || busy || wanted.key === state.looks.read?.key) return;
    busy = true;
    const done = await session.attempt("tokens", async () => {
      const isWanted = () => readable(session.state)?.key === wanted.key;
      try {
        const ids = await lab.encode(wanted.text);
        const kept = ids.slice(-lab.info.contextLength);
        // In turn, since other requests set the strength as well.
        const candidates = await session.texts.inTurn(async () => {
          await session.texts.speakAt(state.settings.strength);
          return lab.candidates(kept, { count: CANDIDATES, adapter: speakerName(state) });
        });
        // The place shown first is where the model began to write.
        const prompt = await lab.encode(state[wanted.side].prompt);
        const place = Math.min(candidates.tokens.length, Math.max(1, prompt.length - (ids.length - kept.length)));
        if (isWanted()) session.dispatch({ type: "read", key: wanted.key, speaker: speaker(session.state), candidates, place });
      } catch (error) {
        if (isWanted()) throw error;
      }
      return true;
    });
    busy = false;
    // Meanwhile another text may have been finished. After a failure the next change is waited for.
    if (done) read();
  };
  const unfollow = session.follow((_state, event) => {
    if (["written", "side", "free", ...ANOTHER].includes(event.type)) read();
  });
  read();
  return unfollow;
}

/**
 * The text to read now, if none is being written: the adapter's if there is one and it is selected, else the base's. The adapter that
 * speaks reads it, which may not be the one that wrote it.
 * @param {State} state
 * @returns {{ key: string, text: string, side: Side } | undefined}
 */
export function readable(state) {
  const { busy, phase, looks, before, after, settings } = state;
  if (busy || !rests(phase) || before.writing || after.writing) return undefined;
  const side = looks.side === "after" && after.text ? "after" : "before";
  const { prompt, text } = { before, after }[side];
  const whose = speaker(state);
  if (!text) return undefined;
  return { side, text: prompt + text, key: JSON.stringify([side, prompt, text, whose?.key, whose?.step, settings.strength]) };
}
