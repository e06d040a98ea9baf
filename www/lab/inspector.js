/** Looking inside while the page trains and writes: the engine is asked only for what somebody looks at. No DOM. */

/** @typedef {import("./looks.js").Side} Side */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./state.js").Event} Event */
/** @typedef {import("./state.js").State} State */

/** Steps between two measurements: some milliseconds each, so that training is not slowed. */
const EVERY = 5;
const CANDIDATES = 5;

/**
 * Measure what the adapter adds, every few steps and whenever there is another one.
 * @param {Session} session
 * @returns {() => void} ends it
 */
export function watchDeltas(session) {
  let busy = false;
  const measure = async () => {
    const { lab, state } = session;
    if (!lab || !state.adapter || busy) return;
    busy = true;
    await session.attempt("inside", async () => {
      const step = state.run?.step ?? 0;
      const layers = await lab.deltas();
      // The adapter may have gone while the engine was measuring.
      if (session.state.adapter) session.dispatch({ type: "measured", step, layers });
      await close();
    });
    busy = false;
  };
  const close = async () => {
    const { lab, state } = session;
    if (lab && state.adapter && state.looks.layers.some(({ name }) => name === state.looks.layer)) {
      session.dispatch({ type: "delta", delta: await lab.delta(state.looks.layer) });
    }
  };
  const unfollow = session.follow((_state, event) => {
    if (event.type === "inspected") session.attempt("inside", close);
    const due = event.type === "step" && (event.step.step % EVERY === 1 || event.step.done);
    if (due || event.type === "begun" || event.type === "paused" || event.type === "finished" || event.type === "imported") measure();
  });
  measure();
  return unfollow;
}

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
      const ids = await lab.encode(wanted.text);
      const kept = ids.slice(-lab.info.contextLength);
      const candidates = await lab.candidates(kept, { count: CANDIDATES });
      // The reader's eye goes to where the model began to write.
      const prompt = await lab.encode(state[wanted.side].prompt);
      const place = Math.min(candidates.tokens.length, Math.max(1, prompt.length - (ids.length - kept.length)));
      session.dispatch({ type: "read", key: wanted.key, candidates, place });
      return true;
    });
    busy = false;
    // Meanwhile another text may have been finished. After a failure the next change is waited for.
    if (done) read();
  };
  const unfollow = session.follow((_state, event) => {
    if (["written", "side", "paused", "finished", "reset", "imported"].includes(event.type)) read();
  });
  read();
  return unfollow;
}

/**
 * The text to read now, if there is one that stands still: the adapter's while there is one and it is asked for, else the base's.
 * @param {State} state
 * @returns {{ key: string, text: string, side: Side } | undefined}
 */
export function readable({ phase, looks, before, after, adapter, settings, run }) {
  if (phase === "starting" || phase === "training" || before.writing || after.writing) return undefined;
  const side = looks.side === "after" && after.text ? "after" : "before";
  const { prompt, text } = { before, after }[side];
  if (!text) return undefined;
  return { side, text: prompt + text, key: JSON.stringify([side, prompt, text, adapter?.source, run?.step, settings.strength]) };
}
