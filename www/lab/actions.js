/**
 * What can be done with the lab: an action has a name, a condition and a way to perform it. Buttons, keys, methods, attributes, links
 * and drops all go through `Session.do()`.
 */

/** @typedef {import("../engine/protocol.js").LabError} LabError */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Place} Place */
/** @typedef {import("./types.js").State} State */

/**
 * @template {any[]} A what it is performed with
 * @template R
 * @typedef {object} Action
 * @property {string} name
 * @property {Place} place where a failure is shown
 * @property {boolean} beside whether others may run at the same time. If not, it has the lab to itself and `state.busy` is set meanwhile
 * @property {boolean} brief whether it is over in a moment, so that the next one waits for it instead of being refused
 * @property {boolean} settles whether the texts and the proof are made anew after it
 * @property {(state: State) => boolean} when it can be done, unless the lab is busy
 * @property {((state: State) => LabError | undefined) | undefined} missing a more precise error than `busy` where it cannot be done
 * @property {(session: Session, ...args: A) => Promise<R>} perform
 */

/**
 * @template {any[]} A
 * @template R
 * @param {string} name
 * @param {{ place: Place, beside?: boolean, brief?: boolean, settles?: boolean, when?: (state: State) => boolean, missing?: Action<A, R>["missing"], perform: (session: Session, ...args: A) => Promise<R> }} rest
 * @returns {Action<A, R>}
 */
export const action = (name, { beside = false, brief = false, settles = false, when = () => true, missing, ...rest }) => ({ name, beside, brief, settles, when, missing, ...rest });

/** Whether it can be done now or in a moment; both enables controls and lets calls through. @param {Action<any, any>} action @param {State} state */
export const can = ({ beside, when }, state) => (beside || !state.busy || state.busy.brief) && when(state);
