/** Settings in the URL's hash: every experiment is a link. */

import { FIELDS } from "./settings.js";

/** @typedef {import("./types.js").Settings} Settings */

const ADAPTER = "adapter";

/**
 * All settings, the defaults included: a link means the same after the defaults have changed.
 * @param {Settings} settings
 * @param {string} [adapter] encoded as text
 */
export function toHash(settings, adapter) {
  const parameters = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = /** @type {any} */ (settings)[name];
    parameters.set(field.key, /** @type {any} */ (field).format(value));
  }
  if (adapter) parameters.set(ADAPTER, adapter);
  // Commas are legal in a fragment, and "c_attn,c_fc" reads better than its escape.
  return `#${parameters.toString().replaceAll("%2C", ",")}`;
}

/**
 * The settings that a hash names; what it does not name or what makes no sense is left out, numbers are brought into their bounds.
 * @param {string} hash
 * @returns {Partial<Settings>}
 */
export function fromHash(hash) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const settings = /** @type {any} */ ({});
  for (const [name, field] of Object.entries(FIELDS)) {
    const text = parameters.get(field.key);
    const value = text === null ? undefined : field.parse(text);
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

/** The adapter in a hash, still encoded. @param {string} hash */
export function adapterIn(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get(ADAPTER) ?? undefined;
}
