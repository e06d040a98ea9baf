/**
 * Constructed style sheets: the page's Content-Security-Policy forbids `<style>` and style attributes, and a linked sheet
 * would come a moment late. Each view has its own; one object serves every element of a page.
 */

/** A server may import the element; it has no style sheets. */
const Sheet = globalThis.CSSStyleSheet ?? class { replaceSync() {} };

/** @param {string} css @returns {CSSStyleSheet} */
export function sheet(css) {
  const made = /** @type {CSSStyleSheet} */ (new Sheet());
  made.replaceSync(css);
  return made;
}
