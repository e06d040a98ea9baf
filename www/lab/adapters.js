/** The adapters of a session: the one at work, those on the shelf, and the one that a link brings. */

import { toHash } from "./hash.js";
import { LabError } from "../engine/protocol.js";
import { INCOMING, NAME } from "./session.js";
import { isIdle, voice } from "./state.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./state.js").News} News */
/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */

/** In the lab, beside those two: kept ones that have spoken. */
const kept = (/** @type {string} */ id) => `shelf ${id}`;

const LONGEST_NAME = 60;

/** Fetched when the shelf is first looked at. @type {typeof import("./shelf.js").openShelf} */
const openShelf = async (...rest) => (await import("./shelf.js")).openShelf(...rest);

export class Adapters {
  #session;
  #open;
  /** @type {Promise<import("./shelf.js").Shelf> | undefined} */
  #shelf;
  /** The run of the adapter at work while another speaks: selecting ends a run in the engine. @type {Uint8Array | undefined} */
  #suspended;

  /** @param {Session} session @param {typeof openShelf} [open] */
  constructor(session, open = openShelf) {
    this.#session = session;
    this.#open = open;
  }

  /** See what is on the shelf. */
  async open() {
    await this.#session.attempt("adapter", async () => this.#tell(await this.#shelved()));
  }

  /** Put the adapter at work on the shelf under a name. @param {string} name */
  async keep(name) {
    const { state } = this.#session;
    const { adapter } = state;
    if (!adapter || !isIdle(state)) return;
    await this.#change(async (shelf, lab) => {
      const files = await lab.exportAdapter(NAME);
      const { bytes, trainable, rank } = adapter;
      const id = crypto.randomUUID();
      const sample = adapter.source === "trained" ? (state.run?.settings.sample ?? "") : "";
      await shelf.put({ ...files, id, name: shortened(name), sample, base: await lab.baseDigest(), kept: Date.now(), bytes, trainable, rank });
      return { key: "news.kept", values: { name: shortened(name) } };
    });
  }

  /** @param {string} id @param {string} name */
  async rename(id, name) {
    if (!shortened(name)) return this.open();
    await this.#change(async (shelf) => {
      await shelf.put({ ...shelf.get(id), name: shortened(name) });
      return { key: "news.renamed", values: { name: shortened(name) } };
    });
  }

  /** Take it off the shelf, for good. @param {string} id */
  async discard(id) {
    if (!isIdle(this.#session.state)) return;
    if (this.#session.state.shelf.using === id) await this.use(undefined);
    await this.#change(async (shelf) => {
      const { name } = shelf.get(id);
      await shelf.remove(id);
      await this.remove(kept(id));
      return { key: "news.discarded", values: { name } };
    });
  }

  /** Let a kept adapter speak, or with undefined the one at work: a selection on the same base. @param {string | undefined} id */
  async use(id) {
    const session = this.#session;
    if (!isIdle(session.state) || session.state.shelf.using === id) return;
    session.silence();
    const done = await session.attempt("adapter", async () => {
      if (id === undefined) await this.resume();
      else await this.#select(id);
      session.dispatch({ type: "used", id });
      return true;
    });
    if (!done) return;
    await session.compare();
    await session.recompute();
  }

  /** The adapter at work becomes the engine's active one again, and its run goes on where it stood. */
  async resume() {
    const { lab, state } = this.#session;
    if (!lab || state.shelf.using === undefined) return;
    const suspended = this.#suspended;
    if (suspended) await lab.resume(suspended);
    else if (await this.#has(NAME)) await lab.select(NAME);
    this.#suspended = undefined;
    if (state.adapter) this.#session.dispatch({ type: "used", id: undefined });
  }

  /** After something was refused that had made another adapter the active one. */
  async reselect() {
    const { using } = this.#session.state.shelf;
    const name = using === undefined ? NAME : kept(using);
    if (await this.#has(name)) await this.#session.lab?.select(name);
  }

  /** The files of the adapter that speaks, or of a kept one. @param {string} [id] @returns {Promise<AdapterFiles | undefined>} */
  files(id) {
    return this.#session.attempt("adapter", () => this.#files(id));
  }

  /** Take an adapter from files. One that cannot be used leaves the old one in place. @param {() => Promise<AdapterFiles>} read */
  load(read) {
    return this.#import("adapter", read, "file");
  }

  /** Take the adapter that a link brings. @param {string} text */
  loadLink(text) {
    const read = async () => (await import("./adapter-link.js")).decodeAdapter(text, await this.#base());
    return this.#import("compare", read, "link", { text, bits: 0, numbers: 0, room: 0 });
  }

  /** The adapter that speaks as text for a link, or why it is too large. @returns {Promise<import("./state.js").Link | undefined>} */
  link() {
    return this.#session.attempt("adapter", async () => {
      const { LONGEST, encodeAdapter } = await import("./adapter-link.js");
      const settings = toHash(this.#session.state.settings, "-").length - 1;
      const link = encodeAdapter(await this.#files(), await this.#base(), LONGEST - settings);
      this.#session.dispatch({ type: "linked", link });
      return link;
    });
  }

  /** Forget the adapter at work. The base has nothing to forget. */
  async forget() {
    this.#suspended = undefined;
    await this.remove(NAME);
  }

  /** A crash may have left an adapter half-way, so what there is is asked for. @param {string} wanted */
  async remove(wanted) {
    if (await this.#has(wanted)) await this.#session.lab?.remove(wanted);
  }

  /** @param {import("./state.js").Adapter["source"]} source @returns {Promise<import("./state.js").Adapter>} */
  async atWork(source) {
    const adapters = (await this.#session.lab?.adapters()) ?? [];
    const adapter = adapters.find(({ name }) => name === NAME);
    if (!adapter) throw new LabError("internal", `expected the adapter ${NAME}, got ${adapters.map(({ name }) => name)}`);
    const { bytes, trainable, rank } = adapter;
    return { source, bytes, trainable, rank };
  }

  /**
   * @param {import("./state.js").Place} place
   * @param {() => Promise<AdapterFiles>} read
   * @param {"file" | "link"} source
   * @param {import("./state.js").Link} [link]
   */
  async #import(place, read, source, link) {
    const session = this.#session;
    const { lab } = session;
    if (!lab || !isIdle(session.state)) return;
    session.silence();
    const taken = await session.attempt(place, async () => {
      const files = await read();
      await this.remove(INCOMING);
      await lab.importAdapter({ ...files, name: INCOMING });
      await session.forget();
      await lab.rename(INCOMING, NAME);
      session.dispatch({ type: "imported", adapter: await this.atWork(source), link });
      return true;
    });
    if (!taken) return;
    await session.compare();
    await session.recompute();
  }

  /** @param {string} id */
  async #select(id) {
    const { lab, state } = this.#session;
    if (!lab) return;
    const entry = (await this.#shelved()).get(id);
    const digest = await lab.baseDigest();
    if (entry.base !== digest) {
      throw new LabError("other-base", `“${entry.name}” was made on the base ${entry.base.slice(0, 16)}…, this is ${digest.slice(0, 16)}…`);
    }
    const leaving = state.shelf.using === undefined && state.run && (await lab.isTraining());
    if (leaving) this.#suspended = await lab.saveState();
    if (await this.#has(kept(id))) await lab.select(kept(id));
    else await lab.importAdapter({ safetensors: entry.safetensors, config: entry.config, name: kept(id) });
  }

  /** @returns {Promise<import("./adapter-link.js").Base>} */
  async #base() {
    const { lab } = this.#session;
    if (!lab) throw new LabError("internal", "expected a loaded model");
    return { layers: lab.info.layers, digest: await lab.baseDigest() };
  }

  /** @param {string} [id] @returns {Promise<AdapterFiles>} */
  async #files(id = this.#session.state.shelf.using) {
    if (id === undefined) {
      const { lab, state } = this.#session;
      if (!lab || !state.adapter) throw new LabError("not-kept", "expected an adapter, got none");
      return lab.exportAdapter(NAME);
    }
    const { safetensors, config } = (await this.#shelved()).get(id);
    return { safetensors, config };
  }

  /** @param {string} wanted */
  async #has(wanted) {
    return ((await this.#session.lab?.adapters()) ?? []).some(({ name }) => name === wanted);
  }

  #shelved() {
    return (this.#shelf ??= this.#opened());
  }

  async #opened() {
    const { closing } = this.#session;
    const shelf = await this.#open(undefined, (shelf) => this.#follow(shelf));
    if (closing.aborted) shelf.close();
    else closing.addEventListener("abort", () => shelf.close());
    return shelf;
  }

  /** Another element or tab has changed the shelf. @param {import("./shelf.js").Shelf} shelf */
  async #follow(shelf) {
    const { state } = this.#session;
    const gone = state.shelf.items.filter(({ id }) => !shelf.items().some((kept) => kept.id === id));
    // What speaks here may have been deleted there.
    if (gone.some(({ id }) => id === state.shelf.using)) await this.use(undefined);
    if (isIdle(state)) await this.#session.attempt("adapter", async () => {
      for (const { id } of gone) await this.remove(kept(id));
    });
    this.#tell(shelf);
  }

  /** @param {(shelf: import("./shelf.js").Shelf, lab: import("../engine/lora-lab.js").LoraLab) => Promise<News>} action */
  async #change(action) {
    const { lab } = this.#session;
    if (!lab) return;
    await this.#session.attempt("adapter", async () => {
      const shelf = await this.#shelved();
      await shelf.refresh();
      this.#tell(shelf, await action(shelf, lab));
    });
  }

  /** @param {import("./shelf.js").Shelf} shelf @param {News} [news] */
  #tell(shelf, news) {
    this.#session.dispatch({ type: "shelved", items: shelf.items(), durable: shelf.durable, news });
  }
}

/** @param {string} name */
const shortened = (name) => name.trim().slice(0, LONGEST_NAME);
