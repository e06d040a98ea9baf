/** @typedef {{ words: import("../i18n.js").Words, session: import("../session.js").Session }} Context */
/**
 * A piece of the page: built once, drawn from each state.
 * @typedef {object} Part
 * @property {HTMLElement} root
 * @property {(state: import("../state.js").State) => void} render
 * @property {() => void} [end] lets go of timers and listeners
 * @property {() => void} [restyle] colours have changed; only what draws by itself has to know
 * @property {CSSStyleSheet} [sheet] what its elements look like
 */
export {};
