/**
 * Style sheets, constructed: under the strict policy neither `<style>` in a shadow root nor style attributes work, and a linked
 * sheet would come a moment late. Each view brings its own; one object serves every element of a page.
 */

/** On a server the element is imported but never made, and there is nothing to style. */
const Sheet = globalThis.CSSStyleSheet ?? class { replaceSync() {} };

/** @param {string} css @returns {CSSStyleSheet} */
export function sheet(css) {
  const made = /** @type {CSSStyleSheet} */ (new Sheet());
  made.replaceSync(css);
  return made;
}
