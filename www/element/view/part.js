/**
 * What a part is given.
 * @typedef {object} Context
 * @property {import("../../i18n/i18n.js").Words} words
 * @property {import("../../lab/session.js").Session} session
 * @property {() => import("../chart.js").Look} look the present colours, for parts that draw on a canvas
 * @property {((adapter: string) => string) | undefined} [address] a link to this page with its settings and that adapter; absent if the element may not use the page's address
 */
/**
 * A piece of the page: built once, drawn from each state.
 * @typedef {object} Part
 * @property {HTMLElement} root
 * @property {(state: import("../../lab/types.js").State) => void} render
 * @property {() => void} [end] removes timers and listeners
 * @property {() => void} [restyle] called when colours have changed, for parts that draw on a canvas
 * @property {CSSStyleSheet} [sheet] what its elements look like
 */
export {};
