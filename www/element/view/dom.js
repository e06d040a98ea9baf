/** Making elements. No style attributes, which the page's policy forbids, and no HTML from strings, for safety. */

/** @typedef {Node | string | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} [attributes] a function listens; true and "" set an empty attribute, false and undefined none
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/**
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return element;
}

/** @param {Element} element @param {Record<string, any>} attributes @param {Child[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else attribute(element, name, value);
  }
  for (const child of children) if (child) element.append(child);
}

/** Set an attribute if it differs; undefined and false remove it. @param {Element} element @param {string} name @param {string | number | boolean | undefined} value */
export function attribute(element, name, value) {
  if (value === undefined || value === false) return element.removeAttribute(name);
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Set a text if it differs: a screen reader announces every change. @param {Node} node @param {string} text */
export function text(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {HTMLElement} element @param {boolean} visible */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** A value for CSS to use. @param {HTMLElement | SVGElement} element @param {string} name @param {string | number} value */
export function variable(element, name, value) {
  if (element.style.getPropertyValue(name) !== String(value)) element.style.setProperty(name, String(value));
}

/**
 * Files dropped on an element; while they hover it carries the attribute "data-drop".
 * @param {HTMLElement} element
 * @param {(files: File[]) => void} onFiles
 */
export function droppable(element, onFiles) {
  let depth = 0;
  const over = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    attribute(element, "data-drop", depth > 0);
  };
  element.addEventListener("dragenter", (event) => (event.preventDefault(), over(1)));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("dragleave", () => over(-1));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) onFiles(files);
  });
}

let ids = 0;
/** An id for a label and its control. */
export const uniqueId = () => `lora-${++ids}`;
