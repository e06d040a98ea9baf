/** A sample's name in the page's language; one that an embedder added is shown by its id. */

/** @param {string} id of the sample @param {import("../../i18n/i18n.js").Words} words */
export const called = (id, { has, t }) => (has(`sample.${id}`) ? t(`sample.${id}`) : id);
