/** Actions on a training: take its steps, pause, remove its adapter. No DOM. */

import { LabError } from "../engine/protocol.js";
import { action } from "./actions.js";
import { tidy } from "./slots.js";
import { canGoOn, canTrain, rests } from "./state.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").State} State */

/** The error while the chosen sample's text is not loaded. @param {State} state */
function noText({ corpus, settings }) {
  if (corpus?.id !== settings.sample) return new LabError("text-empty", `expected the text of the sample "${settings.sample}", which has not come`);
}

/** Steps until the last one or a pause. */
export const train = action("train", {
  place: "train",
  settles: true,
  when: canTrain,
  missing: noText,
  perform: ({ training }) => training.run(Infinity),
});

/** What the main button does: train, go on, or pause, which acts before the next step. @param {Session} session */
export function act(session) {
  const { phase } = session.state;
  if (phase === "training") return session.training.pause();
  // While it starts a press does nothing: the button stays enabled to keep the keyboard's focus.
  if (phase !== "starting") return session.press(train);
}

/** One single step. */
export const step = action("step", {
  place: "train",
  settles: true,
  when: canTrain,
  missing: noText,
  perform: ({ training }) => training.run(1),
});

/** Remove the adapter at work. The base never changed. */
export const reset = action("reset", {
  place: "train",
  brief: true,
  when: ({ phase }) => rests(phase),
  /** @param {Session} session */
  async perform(session) {
    session.dispatch({ type: "reset" });
    await tidy(session);
  },
});

export class Training {
  #session;
  /** Whether the loop should end before its next step. */
  #pausing = false;
  #isRunning = false;

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
  }

  /** Acts before the next step; does nothing without a training. */
  pause() {
    if (!this.#isRunning) return;
    this.#pausing = true;
    this.#session.texts.silence();
  }

  /** @param {number} limit how many steps at most */
  async run(limit) {
    const session = this.#session;
    this.#pausing = false;
    this.#isRunning = true;
    const asked = session.state;
    const goesOn = canGoOn(asked);
    let isLast = false;
    // Before the first await: it trains what the page shows now.
    session.dispatch({ type: goesOn ? "training" : "starting" });
    try {
      // Fetched with the first training.
      const { begin, takeSteps } = await import("./steps.js");
      if (!goesOn) await begin(session, asked);
      else if (asked.shelf.using !== undefined) session.dispatch({ type: "used", id: undefined });
      isLast = await takeSteps(session, limit, () => this.#pausing);
    } finally {
      this.#isRunning = false;
      session.dispatch({ type: isLast ? "finished" : "paused" });
    }
  }
}
