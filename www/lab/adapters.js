/** Whole adapters: the one at work (trained or imported here), those kept on the shelf, and one that a link holds. No DOM. */

import { LabError } from "../engine/protocol.js";
import { toHash } from "./hash.js";
import { atWork, drop, found, incoming, keptName, tidy } from "./slots.js";
import { speaker } from "./state.js";

/** @typedef {import("./adapter-link.js").Base} Base */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./shelf.js").Shelf} Shelf */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").News} News */
/** @typedef {import("../engine/lora-lab.js").LoraLab} LoraLab */
/** @typedef {import("../engine/types.js").AdapterFiles} AdapterFiles */

const LONGEST_NAME = 60;

/** Fetched when the shelf is first opened. @type {typeof import("./shelf.js").openShelf} */
const openShelf = async (...rest) => (await import("./shelf.js")).openShelf(...rest);

export class Adapters {
  #session;
  #open;
  /** @type {Promise<Shelf> | undefined} */
  #shelf;

  /** @param {Session} session @param {typeof openShelf} [open] */
  constructor(session, open = openShelf) {
    this.#session = session;
    this.#open = open;
  }

  /** See what is on the shelf. */
  async open() {
    this.#tell(await this.#shelved());
  }

  /** Put the adapter at work on the shelf. @param {string} wanted its name there */
  async keep(wanted) {
    const name = checked(wanted);
    const { adapter, run } = this.#session.state;
    if (!adapter) throw new LabError("not-kept", "expected an adapter, got none");
    await this.#change(async (shelf) => {
      const lab = this.#lab();
      const { bytes, trainable, rank, source } = adapter;
      const id = newId();
      const sample = source === "trained" ? (run?.sample ?? "") : "";
      await shelf.put({ ...(await lab.exportAdapter(atWork(this.#session.state))), id, name, sample, base: await lab.baseDigest(), kept: Date.now(), bytes, trainable, rank });
      return { key: "news.kept", values: { name } };
    });
  }

  /** @param {string} id @param {string} wanted */
  async rename(id, wanted) {
    const name = checked(wanted);
    await this.#change(async (shelf) => {
      await shelf.rename(id, name);
      return { key: "news.renamed", values: { name } };
    });
  }

  /** Take it off the shelf, for good. @param {string} id */
  async discard(id) {
    if (this.#session.state.shelf.using === id) await this.use(undefined);
    await this.#change(async (shelf) => {
      const { name } = shelf.get(id);
      await shelf.remove(id);
      await this.#unload(id);
      return { key: "news.discarded", values: { name } };
    });
  }

  /** Make a kept adapter the one that speaks, or with undefined the one at work. The engine holds both; a training under way is not touched. @param {string | undefined} id */
  async use(id) {
    const session = this.#session;
    if (session.state.shelf.using === id) return;
    if (id !== undefined) {
      await this.#fetch(id);
      const shelf = await this.#shelved();
      // Meanwhile another element or tab may have taken it off the shelf.
      if (!shelf.items().some((kept) => kept.id === id)) {
        await this.#unload(id);
        shelf.get(id); // throws "not-kept"
      }
    }
    session.dispatch({ type: "used", id });
  }

  /** The files of the adapter that speaks, or of a kept one. @param {string} [id] @returns {Promise<AdapterFiles>} */
  async files(id = this.#session.state.shelf.using) {
    if (id === undefined) {
      if (!this.#session.state.adapter) throw new LabError("not-kept", "expected an adapter, got none");
      return this.#lab().exportAdapter(atWork(this.#session.state));
    }
    const { safetensors, config } = (await this.#shelved()).get(id);
    return { safetensors, config };
  }

  /** Import the adapter that a link holds. @param {string} text */
  importLink(text) {
    const read = async () => (await import("./adapter-link.js")).decodeAdapter(text, await this.#base());
    return this.take(read, "link", { text, bits: 0, numbers: 0, room: 0 });
  }

  /**
   * Replace the adapter at work. If the new one is refused, the old one and its training stay.
   * @param {() => Promise<AdapterFiles>} read
   * @param {"file" | "link"} source
   * @param {Link} [link]
   */
  async take(read, source, link) {
    const lab = this.#lab();
    const files = await read();
    const name = incoming(this.#session.state);
    try {
      await drop(lab, name);
      await lab.importAdapter({ ...files, name });
      const adapter = /** @type {import("../engine/types.js").AdapterInfo} */ (await found(lab, name));
      this.#session.dispatch({ type: "imported", source, adapter, link });
    } finally {
      await tidy(this.#session);
    }
  }

  /** The adapter that speaks as text for a link, or why it is too large. @returns {Promise<Link>} */
  async link() {
    const { LONGEST, encodeAdapter } = await import("./adapter-link.js");
    const whose = speaker(this.#session.state)?.key;
    const settings = toHash(this.#session.state.settings, "-").length - 1;
    const link = encodeAdapter(await this.files(), await this.#base(), LONGEST - settings);
    if (speaker(this.#session.state)?.key !== whose) throw notKept("that spoke");
    this.#session.dispatch({ type: "linked", link });
    return link;
  }

  /** Load a kept adapter into the engine, unless it is there. It must belong to this base. @param {string} id */
  async #fetch(id) {
    const lab = this.#lab();
    const entry = (await this.#shelved()).get(id);
    const digest = await lab.baseDigest();
    if (entry.base !== digest) {
      throw new LabError("other-base", `“${entry.name}” was made on the base ${entry.base.slice(0, 16)}…, this is ${digest.slice(0, 16)}…`);
    }
    if (await found(lab, keptName(id))) return;
    await lab.importAdapter({ safetensors: entry.safetensors, config: entry.config, name: keptName(id) });
  }

  /** Remove a kept adapter from the engine. A failure, as when the worker dies, is ignored. @param {string} id */
  async #unload(id) {
    await drop(this.#lab(), keptName(id)).catch(() => {});
  }

  /** @returns {Promise<Base>} */
  async #base() {
    const lab = this.#lab();
    return { layers: lab.info.layers, digest: await lab.baseDigest() };
  }

  #lab() {
    const { lab } = this.#session;
    if (!lab) throw new LabError("not-loaded", "expected a loaded model");
    return lab;
  }

  #shelved() {
    return (this.#shelf ??= this.#opened());
  }

  async #opened() {
    const { closing } = this.#session;
    // Another element or tab has changed the shelf; the adapter that speaks here may have been deleted there.
    const shelf = await this.#open(undefined, (shelf) => this.#tell(shelf));
    if (closing.aborted) shelf.close();
    else closing.addEventListener("abort", () => shelf.close());
    return shelf;
  }

  /** @param {(shelf: Shelf) => Promise<News>} change */
  async #change(change) {
    const shelf = await this.#shelved();
    await shelf.refresh();
    this.#tell(shelf, await change(shelf));
  }

  /** @param {Shelf} shelf @param {News} [news] */
  #tell(shelf, news) {
    const session = this.#session;
    const { items: before, using } = session.state.shelf;
    const items = shelf.items();
    const gone = before.filter(({ id }) => !items.some((kept) => kept.id === id));
    const isHeard = gone.some(({ id }) => id === using);
    if (isHeard) session.dispatch({ type: "used", id: undefined });
    session.dispatch({ type: "shelved", items, durable: shelf.durable, news });
    // What is not on the shelf has no place in the engine either.
    if (session.lab) for (const { id } of gone) this.#unload(id);
    if (isHeard) session.settle();
  }
}

/** @param {string} id */
const notKept = (id) => new LabError("not-kept", `the adapter ${id} is no longer on the shelf`);

/** The name without spaces at its ends, cut to the longest allowed; an empty one is refused. @param {string} wanted */
function checked(wanted) {
  const name = wanted.trim().slice(0, LONGEST_NAME).trim();
  if (!name) throw new LabError("name-empty", "expected a name for the adapter, got nothing but spaces");
  return name;
}

/** Unique on this device. Over plain http a page has no randomUUID(). */
function newId() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16).padStart(8, "0")).join("");
}
