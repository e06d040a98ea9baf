/** The two texts that are compared, from one prompt and one seed: the base's and the adapter's. No DOM. */

import { CODES, LabError } from "../engine/protocol.js";
import { action } from "./actions.js";
import { speakerName } from "./slots.js";
import { isHeard, speaker } from "./state.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").State} State */

/** Write both texts; one that is there for these settings stays. */
export const compare = action("compare", {
  place: "compare",
  beside: true,
  when: ({ info }) => Boolean(info),
  /** @param {Session} session */
  async perform({ texts }) {
    // To resolve would say that both texts are written.
    if (!(await texts.compare())) throw new LabError(CODES.aborted, "another prompt, another voice or another action came before both texts were written");
  },
});

/** How strongly the adapter speaks. The texts and the proof follow. */
export const setStrength = action("setStrength", {
  place: "compare",
  beside: true,
  settles: true,
  /** @param {Session} session @param {number} strength */
  perform: async (session, strength) => session.set({ strength }),
});

const SIDES = /** @type {const} */ (["before", "after"]);

/** Identifies a text: equal keys, equal texts. Empty where there is none to write. @param {State} state @param {"before" | "after"} side */
function key(state, side) {
  const whose = side === "after" ? speaker(state) : undefined;
  if (side === "after" && !whose) return "";
  return `${sampling(state)},${JSON.stringify(whose ? [whose.key, whose.step, state.settings.strength] : [])}]`;
}

/** The part of it that both sides have in common. @param {State} state */
function sampling({ settings: { prompt, temperature, maxTokens, textSeed } }) {
  return JSON.stringify([prompt, { temperature, maxTokens, seed: textSeed }]).slice(0, -1);
}

export class Texts {
  #session;
  /** Settles when nothing is being written and no step is being taken. @type {Promise<void>} */
  #turn = Promise.resolve();
  /** Aborts the text that is being written. */
  #writing = new AbortController();
  /** The strength that the engine has. */
  #strength = 1;
  /** How often a text was broken off. */
  #silences = 0;

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
  }

  /** Write both for the present settings. @returns {Promise<boolean>} whether both are written */
  async compare() {
    const session = this.#session;
    const asked = sampling(session.state);
    this.silence();
    const silences = this.#silences;
    // What broke them off renews the texts at its end.
    for (const side of SIDES) await this.inTurn(async () => silences === this.#silences && this.#stream(side));
    // A text by a later step of the adapter counts as well.
    return SIDES.every((side) => session.state[side].key.startsWith(asked) || (side === "after" && !speaker(session.state)));
  }

  /** Break off the text that is being written, and a comparison with it. */
  silence() {
    this.#silences += 1;
    this.#writing.abort();
  }

  /** Set the strength of adapters in the engine. @param {number} strength */
  async speakAt(strength) {
    if (strength === this.#strength) return;
    await this.#session.lab?.setStrength(strength);
    this.#strength = strength;
  }

  /** One side, after whatever is being written now. @param {"before" | "after"} side */
  write(side) {
    return this.inTurn(() => this.#stream(side));
  }

  /**
   * Run `work` after all earlier work: texts, answers and steps do not overlap, so that each belongs to the step that it names.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  inTurn(work) {
    const done = this.#turn.then(work);
    this.#turn = done.then(() => {}, () => {});
    return done;
  }

  /** @param {"before" | "after"} side */
  async #stream(side) {
    const session = this.#session;
    const { lab, state } = session;
    const { prompt, temperature, maxTokens, textSeed, strength } = state.settings;
    const whose = side === "after" ? speaker(state) : undefined;
    if (!lab || session.closing.aborted || (side === "after" && !whose)) return;
    const wanted = key(state, side);
    if (state[side].key === wanted) return;
    this.#writing = new AbortController();
    const { signal } = this.#writing;
    session.dispatch({ type: "writing", side, key: wanted, prompt, speaker: whose });
    // Meanwhile its adapter may go, or another text take its place.
    const isWanted = () => !signal.aborted && session.state[side].key === wanted && (!whose || isHeard(session.state, whose));
    let whole = false;
    try {
      const onText = (/** @type {string} */ text) => {
        if (isWanted()) session.dispatch({ type: "text", side, text });
      };
      if (whose) await this.speakAt(strength);
      await lab.generate(prompt, { temperature, maxTokens, seed: textSeed, adapter: whose ? speakerName(state) : false, signal, onText });
      // After an abort the end is missing here, even if the engine finished.
      whole = isWanted();
    } catch (error) {
      if (isWanted()) throw error;
    } finally {
      if (session.state[side].key === wanted) session.dispatch({ type: "written", side, whole });
    }
  }
}
