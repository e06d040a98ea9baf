/** The names of a page's adapters in its engine. */

/** @typedef {import("../engine/lora-lab.js").LoraLab} LoraLab */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").State} State */

const WORK = "at work ";

/** The adapter at work: the one that was trained or opened here, if there is one. @param {State} state */
export const atWork = ({ adapter }) => adapter && WORK + adapter.number;
/** One that is not yet accepted. No name is used twice, so that no request for the one at work reaches it. @param {State} state */
export const incoming = ({ adapters }) => WORK + (adapters + 1);
/** One that was kept, under its id. @param {string} id */
export const keptName = (id) => `shelf ${id}`;

/** The engine's name of the adapter that speaks, or false for the base: what requests take as `adapter`. @param {State} state @returns {string | false} */
export function speakerName(state) {
  const { using } = state.shelf;
  return using === undefined ? (atWork(state) ?? false) : keptName(using);
}

/** Asks the engine, since a crash may have lost an adapter. @param {LoraLab} lab @param {string | undefined} wanted */
export async function found(lab, wanted) {
  return (await lab.adapters()).find(({ name }) => name === wanted);
}

/** Remove an adapter if it is there, and end its training. @param {LoraLab} lab @param {string} name */
export async function drop(lab, name) {
  const there = await found(lab, name);
  if (there?.training) await lab.endTraining();
  // Another call may have removed it.
  if (there) await lab.remove(name).catch((error) => {
    if (error.code !== "no-adapter") throw error;
  });
}

/** Gives up on a worker that keeps dying. */
const ATTEMPTS = 3;

/**
 * Remove from the engine adapters that were at work or tried before, and from the page what the engine has lost: a beginning that fails
 * half-way has ended the earlier training. If this fails, the next call removes the rest.
 * @param {Session} session
 */
export async function tidy(session) {
  const { lab } = session;
  for (let attempt = 0; lab && attempt < ATTEMPTS && !session.closing.aborted; attempt++) {
    try {
      const now = atWork(session.state);
      for (const { name } of await lab.adapters()) if (name.startsWith(WORK) && name !== now) await drop(lab, name);
      const there = await found(lab, now);
      const { adapter, run } = session.state;
      if (adapter && !there) session.dispatch({ type: "lost", adapter: true });
      else if (run && !run.over && !there?.training) session.dispatch({ type: "lost", adapter: false });
      return;
    } catch {
      // Try the next worker.
    }
  }
}
