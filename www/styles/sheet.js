/**
 * Style sheets, constructed: under the strict policy neither `<style>` in a shadow root nor style attributes work, and a linked
 * sheet would come a moment late. Each view brings its own; one object serves every element of a page.
 */

/** @param {string} css */
export function sheet(css) {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}
