/** The proof that the base is untouched: its digest, and its answer to one prompt, which has to stay the same token for token. No DOM. */

import { action } from "./actions.js";
import { speakerName } from "./slots.js";
import { isHeard, speaker } from "./state.js";

/** @typedef {import("./session.js").Session} Session */

/** What the base is asked when it is loaded and after each training. */
const PROBE = { prompt: "Once upon a time", tokens: 40 };

/** Ask the engine for the digest and the answers, anew. */
export const recompute = action("recompute", {
  place: "proof",
  beside: true,
  when: ({ info, digest }) => Boolean(info) && !digest.checking,
  perform: prove,
});

/** @param {Session} session */
export async function prove(session) {
  const { lab } = session;
  if (!lab) return;
  session.dispatch({ type: "checking" });
  try {
    const [digest, memory] = await Promise.all([lab.baseDigest(), lab.memory()]);
    const { off, on, whose } = await session.texts.inTurn(() => answers(session, lab));
    // Another adapter may speak by now, and this is not its answer; or the same one has a new name.
    const isTheirs = on && isHeard(session.state, whose);
    session.dispatch({ type: "digest", digest, memory, off, on: isTheirs ? on : undefined, speaker: isTheirs ? speaker(session.state) : undefined });
  } catch (error) {
    session.dispatch({ type: "unchecked" });
    throw error;
  }
}

/** The likeliest tokens after a prompt that never changes, by the base and, if there is one, by the adapter that speaks. @param {Session} session @param {import("../engine/lora-lab.js").LoraLab} lab */
async function answers(session, lab) {
  const { state, texts } = session;
  const greedy = async (/** @type {string | false} */ adapter) => {
    const { ids, text } = await lab.generate(PROBE.prompt, { temperature: 0, maxTokens: PROBE.tokens, adapter });
    return { ids: [...ids], text: PROBE.prompt + text };
  };
  const whose = speaker(state);
  const off = await greedy(false);
  if (!whose) return { off, on: undefined, whose };
  await texts.speakAt(state.settings.strength);
  const on = await greedy(speakerName(state)).catch((error) => {
    // Ignored once it is gone.
    if (isHeard(session.state, whose)) throw error;
  });
  return { off, on, whose };
}
