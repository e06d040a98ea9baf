/** A worker in the place of one that has gone, in the state that was saved last. */

import { Client } from "./client.js";
import { CODES, LabError } from "./protocol.js";

/** @typedef {import("./types.js").Saved & { enabled: boolean, strength: number }} State */

/**
 * Start it, load the model, restore. If it dies of what it shall restore, the training under way is given up, then the adapters.
 * @param {() => import("./client.js").WorkerLike} createWorker
 * @param {unknown[]} model what "load" is asked with
 * @param {State} state
 * @param {{ reason: LabError, unwanted: () => boolean }} why unwanted: whether the lab has been disposed of meanwhile
 * @returns {Promise<{ client: Client, loaded: { lanes: string }, state: State } | undefined>} undefined if it is not wanted any more
 */
export async function replacement(createWorker, model, state, { reason, unwanted }) {
  const { adapters, run, ...rest } = state;
  const nothing = { ...rest, active: undefined, merged: false };
  const attempts = [state, { ...rest, adapters, run: undefined }, { ...nothing, adapters: [], run: undefined }];
  let last = reason;
  for (const state of attempts) {
    if (unwanted()) return undefined;
    /** @type {Client | undefined} */
    let client;
    try {
      client = await Client.start(createWorker);
      const { result } = await client.request("load", model);
      await client.request("restore", [state]);
      if (!unwanted()) return { client, loaded: /** @type {any} */ (result), state };
      client.close(new LabError(CODES.disposed, "this lab was disposed of"));
    } catch (error) {
      last = /** @type {LabError} */ (error);
      client?.close(last);
    }
  }
  throw new LabError(CODES.workerDied, `${reason.message}; and it could not be replaced: ${last.message}`, { cause: last });
}
