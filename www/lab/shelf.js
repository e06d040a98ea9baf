/** Where adapters are kept: in this browser's IndexedDB, or, where a page may store nothing, in memory until it is closed. */

import { LabError } from "../engine/protocol.js";

/** @typedef {import("./types.js").Kept} Kept */
/** @typedef {Kept & import("../engine/types.js").AdapterFiles} Entry */

/**
 * @typedef {object} Shelf
 * @property {boolean} durable whether what is on it outlasts the page
 * @property {() => Kept[]} items oldest first
 * @property {(id: string) => Entry} get
 * @property {() => Promise<void>} refresh reads it again, since others may have changed it
 * @property {(entry: Entry) => Promise<void>} put
 * @property {(id: string, name: string) => Promise<void>} rename
 * @property {(id: string) => Promise<void>} remove
 * @property {() => void} close stops listening for changes
 */

/** @typedef {{ entries: () => Promise<[IDBValidKey, unknown][]>, set: (id: string, entry: Entry) => Promise<void>, update: (id: string, change: (entry: unknown) => Entry) => Promise<void>, del: (id: string) => Promise<void> }} Store update: in one transaction; if change throws, it rejects with that and nothing is written */

/** @returns {Promise<Store>} */
async function indexed() {
  const script = new URL("../vendor/idb-keyval.js", import.meta.url).href;
  const { createStore, entries, set, update, del } = /** @type {typeof import("idb-keyval")} */ (await import(/* @vite-ignore */ script));
  const store = createStore("lora-lab", "adapters");
  return { entries: () => entries(store), set: (id, entry) => set(id, entry, store), update: (id, change) => update(id, change, store), del: (id) => del(id, store) };
}

/** The BroadcastChannel that announces changes: all elements and tabs of an origin share one shelf. */
const CHANNEL = "lora-lab shelf";

/** @param {() => void} heard */
function channel(heard) {
  try {
    const made = new BroadcastChannel(CHANNEL);
    made.onmessage = heard;
    return made;
  } catch {
    // Some browsers refuse it where they refuse storage; then no shelf is shared.
    return undefined;
  }
}

/**
 * @param {() => Promise<Store>} [open]
 * @param {(shelf: Shelf) => void} [onChange] called when another element or tab has changed it
 * @returns {Promise<Shelf>}
 */
export async function openShelf(open = indexed, onChange) {
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  /** @type {Store | undefined} */
  let store;
  /** Changes and readings wait for each other: an old reading must not undo what was put meanwhile. @type {Promise<unknown>} */
  let turn = Promise.resolve();
  /** @template T @param {() => Promise<T>} action @returns {Promise<T>} */
  const inTurn = (action) => {
    const done = turn.then(action);
    turn = done.catch(() => {});
    return done;
  };
  /** @param {Store} from */
  const read = async (from) => {
    const found = (await from.entries()).map(([, entry]) => entry);
    entries.clear();
    // Storage is shared by the origin: what is not an adapter of ours is skipped.
    for (const entry of found) if (isEntry(entry)) entries.set(entry.id, entry);
  };
  try {
    const opened = await open();
    await read(opened);
    store = opened;
  } catch {
    // A sandboxed frame, or a browser that was told to store nothing: IndexedDB throws.
  }
  /** @type {Shelf} */
  const shelf = {
    durable: store !== undefined,
    items: () => [...entries.values()].sort((a, b) => a.kept - b.kept).map(({ safetensors: _bytes, config: _config, ...kept }) => kept),
    get(id) {
      const entry = entries.get(id);
      if (!entry) throw notKept(id);
      return entry;
    },
    refresh: () => inTurn(async () => void (store && (await read(store).catch(() => {})))),
    put: (entry) => inTurn(async () => {
      await stored(entry, () => store?.set(entry.id, entry));
      entries.set(entry.id, entry);
      others?.postMessage(undefined);
    }),
    rename: (id, name) => inTurn(async () => {
      const entry = { ...shelf.get(id), name };
      // If it has been removed meanwhile, renaming must not bring it back.
      await stored(entry, () => store?.update(id, (kept) => {
        if (!isEntry(kept)) throw notKept(id);
        return { ...kept, name };
      }));
      entries.set(id, entry);
      others?.postMessage(undefined);
    }),
    remove: (id) => inTurn(async () => {
      await store?.del(id);
      entries.delete(id);
      others?.postMessage(undefined);
    }),
    close: () => others?.close(),
  };
  const others = store && onChange && channel(async () => {
    await shelf.refresh();
    onChange(shelf);
  });
  return shelf;
}

/** @param {string} id */
const notKept = (id) => new LabError("not-kept", `no adapter ${id} on the shelf`);

/** @param {Entry} entry @param {() => Promise<void> | undefined} write */
async function stored({ name, bytes }, write) {
  try {
    await write();
  } catch (error) {
    throw error instanceof LabError ? error : new LabError("storage", `“${name}”, ${bytes} bytes: ${error}`, { cause: error });
  }
}

/** @param {any} entry @returns {entry is Entry} */
function isEntry(entry) {
  return ["id", "name", "sample", "base", "config"].every((name) => typeof entry?.[name] === "string")
    && ["kept", "bytes", "trainable", "rank"].every((name) => Number.isFinite(entry[name])) && entry.safetensors instanceof Uint8Array;
}
