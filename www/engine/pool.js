/**
 * The page's end of a leader's helpers (crew.js): starts them, introduces them, and starts another for each that dies.
 * Nobody waits for a helper: until it is there, and if it cannot be had, the steps are the same and take longer.
 */

import { Client } from "./client.js";
import { CODES, LabError } from "./protocol.js";

/** A helper that dies of what it is asked would die again: after so many in one training it goes on with fewer. */
const REPLACEMENTS = 3;

/** The number of workers that is asked for; without one, the reader keeps a core. @param {number | undefined} workers */
export function howMany(workers) {
  if (workers === undefined) return Math.min(8, Math.max(1, (globalThis.navigator?.hardwareConcurrency ?? 2) - 1));
  if (Number.isInteger(workers) && workers >= 1) return workers;
  throw new LabError(CODES.config, `workers is ${workers}, expected a whole number of 1 or more`);
}

export class Pool {
  /** @type {Client} */
  #leader;
  #createWorker;
  /** Starting or at work. @type {Set<Client | undefined>} */
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

  /** At least so many helpers for the training that begins or goes on. @param {number} count */
  grow(count) {
    this.#replacements = 0;
    while (!this.#ended && this.#size < count) this.#employ();
  }

  /** Together with the leader. @param {LabError} reason */
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
      if (this.#ended) throw new LabError(CODES.disposed, "the pool has ended");
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
