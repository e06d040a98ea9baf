/**
 * Helpers are workers that compute a share of each training step for the leader, the worker that has the training. This starts them,
 * connects each to the leader, and replaces those that die. Training does not wait for a helper: while one starts, or if none can be
 * started, the steps are the same and take longer.
 */

import { Client } from "./client.js";
import { CODES, LabError } from "./protocol.js";

/** How many dead helpers are replaced in one training: one that crashes on its task would crash again. */
const REPLACEMENTS = 3;

export class Helpers {
  /** @type {Client} */
  #leader;
  #createWorker;
  /** Those that start or run. @type {Set<Client | undefined>} */
  #helpers = new Set();
  #size = 0;
  #joined = 0;
  #replacements = 0;
  #ended = false;

  /** @param {Client} leader @param {() => import("./client.js").WorkerLike} createWorker */
  constructor(leader, createWorker) {
    this.#leader = leader;
    this.#createWorker = createWorker;
  }

  /** Start helpers until there are `count`, when a training begins or goes on. @param {number} count */
  grow(count) {
    this.#replacements = 0;
    while (!this.#ended && this.#size < count) this.#employ();
  }

  /** End all helpers; called when the leader ends. @param {LabError} reason */
  end(reason) {
    this.#ended = true;
    for (const client of this.#helpers) client?.close(reason);
  }

  /** One helper from start to end. */
  async #employ() {
    const index = this.#joined++;
    this.#size++;
    /** @type {Client | undefined} */
    let client;
    let died = false;
    try {
      client = await Client.start(this.#createWorker);
      this.#helpers.add(client);
      if (this.#ended) throw new LabError(CODES.disposed, "these helpers have ended");
      const { port1, port2 } = new MessageChannel();
      this.#leader.tell({ join: index, port: port1 });
      await client.request("help", [port2]);
    } catch (error) {
      const failure = /** @type {LabError} */ (error);
      died = failure.code === CODES.workerDied;
      client?.close(failure);
    }
    this.#size--;
    this.#helpers.delete(client);
    if (this.#ended) return;
    this.#leader.tell({ leave: index });
    if (died && this.#replacements++ < REPLACEMENTS) this.#employ();
  }
}
