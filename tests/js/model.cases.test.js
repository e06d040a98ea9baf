// Scripts that random search found to fail (model.test.js), as short as it could make them. What is right is in model.js.
import { test } from "node:test";
import { play } from "./model.js";
import { Double } from "./model.double.js";

const OTHERS = 25;

/** @type {Record<string, [number, number, [number, string, ...any[]][]]>} the seed of the delays, saveEvery, actions */
const CASES = {
  "a training that could not be restored: the adapter is shown at the step that it is at": [1, -1, [[400, "useFile", "poison", 300, false], [400, "train"], [400, "compare", "trap"]]],
  "a text that is broken off too late for the engine is not whole": [0, -1, [[400, "act"], [30, "pause"]]],
  "an adapter that is forgotten while it is asked for the proof fails nothing": [1, -1, [[400, "act"], [400, "discard", 1], [4, "reset"]]],
  "an adapter that is brought in while the worker dies leaves nothing in the engine": [1, -1, [[400, "importFiles", "good", 0, 40], [4, "train"], [0, "kill", "leader"]]],
  "Pause without a training breaks off no text": [1, -1, [[400, "compare", "trap"], [0, "pause"]]],
  "an answer asked for while another adapter comes is not said to be the old one's": [629289, -1, [[0, "step"], [400, "importFiles", "good", 0, 40], [8, "recompute"]]],
  "what is measured in a training is said to be of its step": [1, -1, [[0, "train"], [400, "watchDeltas", true], [400, "keep", "  Pepper "], [400, "compare", "trap"], [400, "act"], [30, "elsewhereRename", 0]]],
  "a worker that dies while the engine is loaded anew has one successor": [1, -1, [[400, "workers", 2], [0, "kill", "leader"]]],
  "a training that is lost between two steps says so": [1, -1, [[400, "compare", "trap"], [0, "useFile", "poison", 3, false], [400, "train"]]],
  "a worker that dies while a training begins: the training before it stands where it stood": [1, -1, [[400, "train"], [400, "step"], [15, "step"], [1, "kill", "leader"]]],
  "two deaths in a row: the second says nothing against what is being restored": [851361, -1, [[400, "importFiles", "good", 0, 40], [400, "exportFolder"], [0, "kill", "leader"], [1, "watchDeltas", false], [1, "kill", "leader"]]],
  "a worker that dies while it starts is replaced when somebody asks": [1, -1, [[0, "train"], [400, "exportFolder"], [0, "kill", "leader"], [1, "kill", "leader"]]],
  "an adapter that is renamed in another tab is shown under its name": [1, -1, [[400, "step"], [400, "keep", "  Pepper "], [400, "use", 2], [400, "elsewhereRename", 1]]],
  "one that another tab discards while it is fetched does not speak": [0, -1, [[400, "discard", 1], [0, "act"], [400, "keep", "   "], [0, "keep", "  Pepper "], [400, "use", 2], [0, "elsewhereDiscard", 0]]],
  "two who drop the same adapter fail nothing": [1, -1, [[400, "act"], [400, "useAtWork"], [0, "keep", "  Pepper "], [400, "use", 2], [0, "elsewhereDiscard", 0]]],
  "one that another tab discards while it is asked to speak again does not": [1, -1, [[400, "step"], [400, "useFile", "good", 30, false], [400, "keep", "  Pepper "], [400, "use", 1], [400, "step"], [400, "elsewhereDiscard", 0], [0, "use", 0]]],
  "whoever speaks after a kept one was discarded elsewhere gets an answer of its own": [1, -1, [[400, "train"], [400, "keep", "Salt"], [400, "use", 1], [400, "set", { seed: 2 }], [0, "elsewhereDiscard", 2]]],
  "what is discarded while it is renamed does not come back": [172055, -1, [[400, "act"], [400, "setStrength", 1.5], [0, "keep", "  Pepper "], [400, "rename", 1, "Thyme"], [0, "elsewhereDiscard", 1]]],
  "a text is read at the strength that is set": [1, -1, [[0, "setStrength", 0], [400, "watchDeltas", true], [400, "watchTokens", true], [400, "inspect", true], [0, "step"]]],
  "a training that is lost before its first step says so": [0, -1, [[400, "workers", 2], [400, "watchDeltas", true], [400, "useText", "poison"], [0, "setStrength", 0], [400, "useAtWork"], [0, "train"], [400, "keep", "  Pepper "], [400, "train"], [8, "kill", "leader"]]],
  "comparisons that were broken off before they began do not kill the worker again": [741931, -1, [[400, "reset"], [400, "discard", 2], [400, "reset"], [400, "act"], [30, "compare", "trap"], [4, "use", 2], [0, "keep", "   "], [0, "keep", "  Pepper "], [0, "reset"]]],
  "a training that is lost while it is exported says so": [1, -1, [[0, "useText", "poison"], [0, "step"], [400, "kill", "leader"], [0, "exportFolder"]]],
  "where nobody speaks any more there is no text": [1, -1, [[400, "train"], [400, "keep", "Salt"], [400, "reset"], [400, "use", 2], [400, "useAtWork"]]],
};

for (const [name, [delays, saveEvery, actions]] of Object.entries(CASES)) {
  test(name, async () => {
    // When something happened is half of each case, and moves with the code: so it is played with other delays as well.
    for (const seed of [delays, ...Array(OTHERS).keys()]) await play({ delays: seed, saveEvery, hasty: false, actions }, (of) => new Double(of));
  });
}
