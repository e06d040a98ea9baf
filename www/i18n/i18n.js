/**
 * Words and numbers in the reader's language. The tables are www/i18n/*.js: default exports with the same keys. Each is made of
 * two halves, and the page fetches the second with the first chapter: most of its visitors never scroll that far.
 */

/** @typedef {Record<string, string>} Table */

/** @typedef {() => Promise<{ default: Table }>} Fetch */

/** The languages that there are. Only the one in use is fetched. */
export const LANGUAGES = {
  en: { first: () => import("./en/first.js"), later: () => import("./en/later.js") },
  hi: { first: () => import("./hi/first.js"), later: () => import("./hi/later.js") },
};

/** @typedef {keyof typeof LANGUAGES} Language */

/** @param {string} name @returns {name is Language} */
export const isLanguage = (name) => Object.hasOwn(LANGUAGES, name);

/** The first of these tags that there are words for ("hi-IN" is Hindi), or English. @param {(string | null | undefined)[]} tags @returns {Language} */
export function language(...tags) {
  return tags.map((tag) => (tag ?? "").toLowerCase().split("-")[0]).find(isLanguage) ?? "en";
}

/** The words of the first view. @param {Language} name @returns {Promise<Words>} */
export async function wordsIn(name) {
  const { first, later } = LANGUAGES[name];
  return words((await first()).default, later);
}

/**
 * @typedef {object} Words
 * @property {(key: string, values?: Record<string, string | number>) => string} t
 * @property {(key: string) => boolean} has
 * @property {() => Promise<void>} more settles when the words of the chapters are there too
 * @property {(value: number, digits?: number) => string} number at most so many digits after the point
 * @property {(value: number, digits: number) => string} fixed
 * @property {(share: number) => string} percent
 * @property {(bytes: number) => string} bytes
 * @property {(seconds: number) => string} duration
 * @property {(seconds: number) => string} milliseconds
 */

/** @param {Table} first @param {Fetch} [later] @returns {Words} */
export function words(first, later) {
  let table = first;
  const locale = table["locale"];
  const plurals = new Intl.PluralRules(locale);
  /** @type {Map<string, Intl.NumberFormat>} */
  const formats = new Map();
  /** A format is made on first use: each takes about a millisecond. @param {number} value @param {Intl.NumberFormatOptions} options */
  const format = (value, options) => {
    const key = JSON.stringify(options);
    const made = formats.get(key) ?? new Intl.NumberFormat(locale, options);
    formats.set(key, made);
    return made.format(value);
  };
  const number = (/** @type {number} */ value, digits = 0) => format(value, { maximumFractionDigits: digits });
  /** @param {number} value @param {string} unit */
  const size = (value, unit) => format(value, { style: "unit", unit, maximumSignificantDigits: 3 });
  // Which width is short enough for a small box and still clear depends on the language.
  const unitDisplay = /** @type {"narrow" | "short"} */ (table["locale.units"]);
  /** @param {number} value @param {string} unit */
  const time = (value, unit) => format(value, { style: "unit", unit, unitDisplay, maximumFractionDigits: 0 });

  return {
    t(key, values = {}) {
      // A count picks its form: "steps.one" beside "steps.other".
      const form = typeof values["count"] === "number" ? `${key}.${plurals.select(values["count"])}` : key;
      const text = table[form] ?? table[`${key}.other`] ?? table[key];
      if (text === undefined) return key;
      return text.replace(/\{(\w+)\}/g, (whole, name) => {
        const value = values[name];
        return value === undefined ? whole : typeof value === "number" ? number(value) : value;
      });
    },
    has: (key) => key in table,
    async more() {
      if (later) table = { ...first, ...(await later()).default };
    },
    number,
    fixed: (value, digits) => format(value, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
    percent: (share) => format(share, { style: "percent", maximumSignificantDigits: 2 }),
    bytes: (value) => (value < 1000 ? format(value, { style: "unit", unit: "byte", unitDisplay: "long" }) : value < 1e6 ? size(value / 1e3, "kilobyte") : size(value / 1e6, "megabyte")),
    milliseconds: (seconds) => time(seconds * 1000, "millisecond"),
    duration(seconds) {
      const whole = Math.max(0, Math.round(seconds));
      const rest = time(whole % 60, "second");
      return whole < 60 ? rest : `${time(Math.floor(whole / 60), "minute")} ${rest}`;
    },
  };
}
