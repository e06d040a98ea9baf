/**
 * What a part is given.
 * @typedef {object} Context
 * @property {import("../../i18n/i18n.js").Words} words
 * @property {import("../../lab/session.js").Session} session
 * @property {() => import("../chart.js").Look} look the colours that hold now, for what draws by itself
 * @property {((adapter: string) => string) | undefined} [address] a link to this page with its settings and that adapter; none where the page is not ours
 */
/**
 * A piece of the page: built once, drawn from each state.
 * @typedef {object} Part
 * @property {HTMLElement} root
 * @property {(state: import("../../lab/state.js").State) => void} render
 * @property {() => void} [end] lets go of timers and listeners
 * @property {() => void} [restyle] colours have changed; only what draws by itself has to know
 * @property {CSSStyleSheet} [sheet] what its elements look like
 */
export {};
