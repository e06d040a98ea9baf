/** Words and numbers in the reader's language. The tables are www/i18n/*.js: default exports with the same keys. */

/** @typedef {Record<string, string>} Table */

/**
 * @typedef {object} Words
 * @property {(key: string, values?: Record<string, string | number>) => string} t
 * @property {(key: string) => boolean} has
 * @property {(value: number, digits?: number) => string} number at most so many digits after the point
 * @property {(value: number, digits: number) => string} fixed
 * @property {(share: number) => string} percent
 * @property {(bytes: number) => string} bytes
 * @property {(seconds: number) => string} duration
 */

/** @param {Table} table @returns {Words} */
export function words(table) {
  const locale = table["locale"];
  const plurals = new Intl.PluralRules(locale);
  /** @param {Intl.NumberFormatOptions} options */
  const format = (options) => new Intl.NumberFormat(locale, options).format;
  const short = [0, 1, 2, 3, 4, 5, 6].map((digits) => format({ maximumFractionDigits: digits }));
  const long = [0, 1, 2, 3, 4].map((digits) => format({ minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const percent = format({ style: "percent", maximumSignificantDigits: 2 });
  /** @param {string} unit */
  const unit = (unit) => format({ style: "unit", unit, maximumSignificantDigits: 3 });
  const [byte, kilobyte, megabyte] = ["byte", "kilobyte", "megabyte"].map(unit);
  const [second, minute] = ["second", "minute"].map((name) => format({ style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: 0 }));
  const number = (/** @type {number} */ value, digits = 0) => short[digits](value);

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
    number,
    fixed: (value, digits) => long[digits](value),
    percent,
    bytes: (value) => (value < 1000 ? byte(value) : value < 1e6 ? kilobyte(value / 1e3) : megabyte(value / 1e6)),
    duration(seconds) {
      const whole = Math.max(0, Math.round(seconds));
      return whole < 60 ? second(whole) : `${minute(Math.floor(whole / 60))} ${second(whole % 60)}`;
    },
  };
}
