/** @typedef {{ words: import("../i18n.js").Words, session: import("../session.js").Session }} Context */
/** A piece of the page: built once, drawn from each state. @typedef {{ root: HTMLElement, render: (state: import("../state.js").State) => void, end?: () => void }} Part */
export {};
