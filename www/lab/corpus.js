/** The text to learn from: a sample, the reader's own, or a file's. No DOM. */

import { action } from "./actions.js";
import { rests } from "./state.js";

/** @typedef {import("./session.js").Session} Session */

/** Line ends as in a text area, so that the two compare equal. @param {string} text */
export const withPlainLines = (text) => text.replace(/\r\n?/g, "\n");

/** Take a sample's text, or the reader's own. */
export const choose = action("choose", {
  place: "data",
  beside: true,
  /** @param {Session} session @param {string} id */
  async perform(session, id) {
    session.set({ sample: id });
    if (id === "own") return session.dispatch({ type: "corpus", id, text: session.state.own, name: "" });
    const text = withPlainLines(await session.sampleText(id));
    // Meanwhile another sample may have been chosen.
    if (session.state.settings.sample === id) session.dispatch({ type: "corpus", id, text, name: "" });
  },
});

/** Take a text as the reader's own; name: of the file that it comes from. */
export const useText = action("useText", {
  place: "data",
  beside: true,
  when: ({ phase }) => rests(phase),
  /** @param {Session} session @param {string} text @param {string} [name] */
  async perform(session, text, name = "") {
    session.set({ sample: "own" });
    session.dispatch({ type: "corpus", id: "own", text: withPlainLines(text), name });
  },
});

/** The same for a text still to be read. Nothing else may begin meanwhile: it might need this text. */
export const useFile = action("useFile", {
  place: "data",
  when: ({ phase }) => rests(phase),
  /** @param {Session} session @param {() => Promise<{ text: string, name: string }>} read */
  async perform(session, read) {
    const { text, name } = await read();
    await useText.perform(session, text, name);
  },
});
