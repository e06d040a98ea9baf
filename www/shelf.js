/** Where adapters are kept: in this browser's IndexedDB, or, where a page may store nothing, in memory until it is closed. */

import { LabError } from "./protocol.js";

/** @typedef {import("./state.js").Kept} Kept */
/** @typedef {Kept & import("./types.js").AdapterFiles} Entry */

/**
 * @typedef {object} Shelf
 * @property {boolean} durable whether what is on it outlasts the page
 * @property {() => Kept[]} items oldest first
 * @property {(id: string) => Entry} get
 * @property {(entry: Entry) => Promise<void>} put
 * @property {(id: string) => Promise<void>} remove
 */

/** @typedef {{ entries: () => Promise<[IDBValidKey, unknown][]>, set: (id: string, entry: Entry) => Promise<void>, del: (id: string) => Promise<void> }} Store */

/** @returns {Promise<Store>} */
async function indexed() {
  const script = new URL("vendor/idb-keyval.js", import.meta.url).href;
  const { createStore, entries, set, del } = /** @type {typeof import("idb-keyval")} */ (await import(/* @vite-ignore */ script));
  const store = createStore("lora-lab", "adapters");
  return { entries: () => entries(store), set: (id, entry) => set(id, entry, store), del: (id) => del(id, store) };
}

/**
 * @param {() => Promise<Store>} [open]
 * @returns {Promise<Shelf>}
 */
export async function openShelf(open = indexed) {
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  /** @type {Store | undefined} */
  let store;
  try {
    const opened = await open();
    // Storage is shared by the origin: what others may have put there is passed over.
    for (const [, entry] of await opened.entries()) if (isEntry(entry)) entries.set(entry.id, entry);
    store = opened;
  } catch {
    // A sandboxed frame, or a browser that was told to store nothing: IndexedDB throws.
  }
  return {
    durable: store !== undefined,
    items: () => [...entries.values()].sort((a, b) => a.kept - b.kept).map(({ safetensors: _bytes, config: _config, ...kept }) => kept),
    get(id) {
      const entry = entries.get(id);
      if (!entry) throw new LabError("not-kept", `no adapter ${id} on the shelf`);
      return entry;
    },
    async put(entry) {
      try {
        await store?.set(entry.id, entry);
      } catch (error) {
        throw new LabError("storage", `“${entry.name}”, ${entry.bytes} bytes: ${error}`, { cause: error });
      }
      entries.set(entry.id, entry);
    },
    async remove(id) {
      await store?.del(id);
      entries.delete(id);
    },
  };
}

/** @param {any} entry @returns {entry is Entry} */
function isEntry(entry) {
  return ["id", "name", "sample", "base", "config"].every((name) => typeof entry?.[name] === "string")
    && ["kept", "bytes", "trainable", "rank"].every((name) => Number.isFinite(entry[name])) && entry.safetensors instanceof Uint8Array;
}
