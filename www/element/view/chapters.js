/** The chapters below the three steps, in order. Each is a module of its own, fetched when it is near the view. */

/** @type {import("./chapter.js").Chapter[]} */
export const CHAPTERS = [
  { name: "parameters", under: "benefits", load: async () => (await import("./parameters.js")).parametersView },
  { name: "proof", under: "benefits", load: async () => (await import("./proof.js")).proofView },
  { name: "efficient", under: "benefits", load: async () => (await import("./efficient.js")).efficientView },
  { name: "storage", under: "benefits", load: async () => (await import("./storage.js")).storageView },
  { name: "inside", under: "look", load: async () => (await import("./inside.js")).insideView },
  { name: "tokens", under: "look", load: async () => (await import("./tokens.js")).tokensView },
  { name: "code", load: async () => (await import("./code.js")).codeView },
  { name: "further", load: async () => (await import("./further.js")).furtherView },
];
