/** A worker in the place of one that has gone, in the state that was saved last. */

import { Client } from "./client.js";
import { CODES, LabError } from "./protocol.js";

/** @typedef {import("./types.js").Lost} Lost */
/** @typedef {Partial<import("./types.js").Saved>} Saved nothing has been saved before there was an adapter or a run */
/** @typedef {{ client: Client, loaded: { lanes: string }, saved: Saved, lost: Lost, loss: LabError | undefined }} Replacement loss: the error that tells of it, if anything was lost */

/**
 * Start it, load the model, restore. What cannot be restored is given up: first the training, then the adapters with it. A worker that
 * cannot be had, or cannot load, says nothing against the saved state: that is an error, and the state is kept for the next try.
 * @param {() => import("./client.js").WorkerLike} createWorker
 * @param {unknown[]} model what "load" is asked with
 * @param {Saved} saved
 * @param {{ reason: LabError, unwanted: AbortSignal }} why unwanted: aborted when the lab is disposed of
 * @returns {Promise<Replacement>}
 */
export async function replacement(createWorker, model, saved, { reason, unwanted }) {
  const { names = [], run, trains = "", ...rest } = saved;
  /** @type {[Saved, Lost][]} */
  const attempts = [[saved, { adapters: [] }]];
  const full = /** @type {import("./types.js").ModelOptions} */ (model[1]).full && saved.adapters;
  const lostRun = (run || full) && { run: trains };
  if (lostRun) attempts.push([{ ...rest, names }, { ...lostRun, adapters: [] }]);
  attempts.push([{}, { ...lostRun, adapters: names }]);
  for (const [saved, lost] of attempts) {
    const { client, loaded } = await started(createWorker, model, { reason, unwanted });
    try {
      if (saved.adapters) await client.request("restore", [saved]);
      return { client, loaded, saved, lost, loss: lossOf(lost) };
    } catch (error) {
      client.close(/** @type {LabError} */ (error));
    }
  }
  throw reason; // never: the last attempt asks for nothing that could fail
}

/** @param {() => import("./client.js").WorkerLike} createWorker @param {unknown[]} model @param {{ reason: LabError, unwanted: AbortSignal }} why */
async function started(createWorker, model, { reason, unwanted }) {
  /** @type {Client | undefined} */
  let client;
  try {
    client = await Client.start(createWorker, unwanted);
    const started = client;
    unwanted.addEventListener("abort", () => started.close(unwanted.reason), { once: true });
    const { result } = await client.request("load", model);
    return { client, loaded: /** @type {{ lanes: string }} */ (result) };
  } catch (error) {
    unwanted.throwIfAborted();
    client?.close(/** @type {LabError} */ (error));
    const { message } = /** @type {Error} */ (error);
    throw new LabError(CODES.workerDied, `${reason.message}; and it could not be replaced: ${message}`, { cause: error });
  }
}

/** @param {Lost} lost */
function lossOf(lost) {
  const training = lost.run ? [`the training of "${lost.run}"`] : lost.run === "" ? ["the training"] : [];
  const parts = [...training, ...lost.adapters.map((name) => `the adapter "${name}"`)];
  if (!parts.length) return undefined;
  return Object.assign(new LabError(CODES.lost, `loaded anew, but this could not be restored: ${parts.join(", ")}`), { lost });
}
