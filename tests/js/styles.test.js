// All sheets are in one shadow root, in the order in which chapters are opened: if two style the same class, the order would decide.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";

const FOLDER = new URL("../../www/element/styles/", import.meta.url);

test("no class is styled by itself in two sheets", async () => {
  /** @type {Map<string, Set<string>>} */
  const owners = new Map();
  for (const file of await readdir(FOLDER)) {
    const css = (await readFile(new URL(file, FOLDER), "utf8")).replace(/\/\*.*?\*\//gs, "");
    for (const [, selectors] of css.matchAll(/([^{};`]+)\{/g)) {
      for (const selector of selectors.split(",")) {
        const name = /^\s*\.([\w-]+)\s*$/.exec(selector)?.[1];
        if (name) owners.set(name, (owners.get(name) ?? new Set()).add(file));
      }
    }
  }
  assert.ok(owners.size > 50, `${owners.size} classes found`);
  assert.deepEqual([...owners].filter(([, files]) => files.size > 1).map(([name, files]) => `${name}: ${[...files].join(", ")}`), []);
});

test("the element is imported where there is no page, and not defined", async () => {
  const { LoraLabElement } = await import("../../www/element.js");
  assert.equal(globalThis.CSSStyleSheet, undefined);
  assert.ok(LoraLabElement.observedAttributes.includes("rank"));
});

test("page and element have the same fonts, Latin ones before those of Devanagari, whose Latin letters are small", async () => {
  const [page, theme] = await Promise.all(["../../page/page.css", "theme.js"].map((file) => readFile(new URL(file, FOLDER), "utf8")));
  for (const kind of ["sans", "serif"]) {
    const inPage = new RegExp(`--${kind}: (.*);`).exec(page)[1];
    assert.equal(new RegExp(`--${kind}: var\\(--lora-${kind}, (.*)\\);`).exec(theme)[1], inPage);
    const fonts = inPage.split(", ");
    const devanagari = fonts.findIndex((font) => /Devanagari|Nirmala/.test(font));
    // What Android, Windows, Apple's systems and Linux have.
    const latin = { sans: ["Roboto", '"Segoe UI"', "-apple-system", '"DejaVu Sans"'], serif: ['"Noto Serif"', "Georgia", "Palatino", '"DejaVu Serif"'] };
    for (const font of latin[kind]) assert.ok(fonts.includes(font) && fonts.indexOf(font) < devanagari, `${font} in ${inPage}`);
  }
});
