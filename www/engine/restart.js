/** Replaces a dead worker by a new one in the last saved state. */

import { Client } from "./client.js";
import { CODES, LabError } from "./protocol.js";

/** @typedef {import("./types.js").Lost} Lost */
/** @typedef {Partial<import("./types.js").Saved>} Saved nothing has been saved before there was an adapter or a run */
/** @typedef {{ client: Client, loaded: { lanes: string }, saved: Saved, lost: Lost, loss: LabError | undefined, training: { adapter?: string, step: number } | undefined }} Replacement loss: an error that names what was lost, if anything; training: the restored one and its step */

/**
 * Start a worker, load the model, restore. If restoring fails, the training is given up, then the adapters as well. A worker that cannot
 * start or cannot load the model does not mean that the saved state is bad: this rejects, and the state is kept for the next try.
 * @param {() => import("./client.js").WorkerLike} createWorker
 * @param {unknown[]} model the arguments of "load"
 * @param {Saved} saved
 * @param {{ reason: LabError, unwanted: AbortSignal }} why unwanted: aborted when the lab is disposed of
 * @returns {Promise<Replacement>}
 */
export async function replacement(createWorker, model, saved, { reason, unwanted }) {
  const { names = [], run, trains = "", step = 0, ...rest } = saved;
  /** @type {[Saved, Lost][]} */
  const attempts = [[saved, { adapters: [] }]];
  const full = /** @type {import("./types.js").ModelOptions} */ (model[1]).full && saved.adapters;
  const lostRun = (run || full) && { run: trains };
  if (lostRun) attempts.push([{ ...rest, names }, { ...lostRun, step: rest.at ?? 0, adapters: [] }]);
  attempts.push([{}, { ...lostRun, adapters: names }]);
  // How often to try a state again after the worker died of something other than restoring it.
  let spared = 3;
  for (let index = 0; index < attempts.length; ) {
    const [saved, lost] = attempts[index];
    const { client, loaded } = await started(createWorker, model, { reason, unwanted });
    const close = () => client.close(unwanted.reason);
    unwanted.addEventListener("abort", close);
    try {
      if (saved.adapters) await client.request("restore", [saved]);
      const training = saved.run && { ...(trains && { adapter: trains }), step };
      return { client, loaded, saved, lost, loss: lossOf(lost), training };
    } catch (error) {
      const { code, cause } = /** @type {LabError} */ (error);
      client.close(/** @type {LabError} */ (error));
      unwanted.throwIfAborted();
      if (code !== CODES.workerDied || cause || spared-- <= 0) index += 1;
    } finally {
      unwanted.removeEventListener("abort", close);
    }
  }
  throw reason; // never: the last attempt asks for nothing that could fail
}

/** @param {() => import("./client.js").WorkerLike} createWorker @param {unknown[]} model @param {{ reason: LabError, unwanted: AbortSignal }} why */
async function started(createWorker, model, { reason, unwanted }) {
  /** @type {Client | undefined} */
  let client;
  const close = () => client?.close(unwanted.reason);
  try {
    client = await Client.start(createWorker, unwanted);
    unwanted.addEventListener("abort", close);
    const { result } = await client.request("load", model);
    return { client, loaded: /** @type {{ lanes: string }} */ (result) };
  } catch (error) {
    unwanted.throwIfAborted();
    client?.close(/** @type {LabError} */ (error));
    const { message } = /** @type {Error} */ (error);
    throw new LabError(CODES.workerDied, `${reason.message}; and it could not be replaced: ${message}`, { cause: error });
  } finally {
    unwanted.removeEventListener("abort", close);
  }
}

/** @param {Lost} lost */
function lossOf(lost) {
  const training = lost.run ? [`the training of "${lost.run}"`] : lost.run === "" ? ["the training"] : [];
  const parts = [...training, ...lost.adapters.map((name) => `the adapter "${name}"`)];
  if (!parts.length) return undefined;
  return Object.assign(new LabError(CODES.lost, `loaded anew, but this could not be restored: ${parts.join(", ")}`), { lost });
}
