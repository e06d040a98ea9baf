/** Names the adapter of a text or picture, in the page's language. */

/** @param {import("../../lab/types.js").Speaker | undefined} speaker @param {import("../../i18n/i18n.js").Words["t"]} t */
export function whose(speaker, t) {
  if (!speaker) return t("compare.after.none");
  const { source, name, step: count } = speaker;
  return source === "trained" ? t("compare.after.about", { count }) : t(`compare.after.${source}`, { name });
}
