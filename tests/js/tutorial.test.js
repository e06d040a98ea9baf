import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const EMBED = new URL("../../www/embed/", import.meta.url);
const page = (name) => readFile(new URL(name, EMBED), "utf8");

/** Elements, ids and live places, in their order: all but the words. */
const skeleton = (html) => [...html.matchAll(/<(h1|h2|figure|lora-lab|p|li|output|input|button|template|svg|dl|dt|pre)\b([^>]*)>/g)].map(([, tag, attributes]) => {
  const kept = [...attributes.matchAll(/\b(id|class|data-[\w-]+|type|min|max|step|value|view|sample|steps)="([^"]*)"/g)].map(([whole]) => whole);
  return [tag, ...kept].join(" ");
});

test("the tutorial is the same piece by piece in both languages, and each leads to the other", async () => {
  const [en, hi] = [await page("tutorial.html"), await page("tutorial.hi.html")];
  // The place of a number in a sentence depends on the language.
  const order = (list) => list.filter((tag) => !tag.startsWith("output")).join("\n");
  assert.equal(order(skeleton(hi)), order(skeleton(en)));
  const outputs = (html) => skeleton(html).filter((tag) => tag.startsWith("output")).sort();
  assert.deepEqual(outputs(hi), outputs(en));
  assert.match(en, /<html lang="en">/);
  assert.match(hi, /<html lang="hi">/);
  assert.match(en, /<a class="other" href="tutorial\.hi\.html" lang="hi" hreflang="hi">/);
  assert.match(hi, /<a class="other" href="tutorial\.html" lang="en" hreflang="en">/);
});

test("what the script fills in is what the pages leave open", async () => {
  const [script, html] = [await page("tutorial.js"), await page("tutorial.html")];
  const open = new Set([...html.matchAll(/data-show="(\w+)"/g)].map(([, name]) => name));
  const filled = new Set([...script.matchAll(/show\("(\w+)"/g)].map(([, name]) => name));
  for (const name of ["width", "rank", "in", "out", "lora", "full"]) filled.add(name);
  assert.deepEqual([...open].sort(), [...filled].sort().filter((name) => open.has(name)));
  for (const [, id] of script.matchAll(/the\("(\w+)"/g)) assert.match(html, new RegExp(` id="${id}"`));
});

test("its policy is the page's", async () => {
  const policy = (html) => html.match(/Content-Security-Policy" content="([^"]+)"/)[1];
  const index = policy(await readFile(new URL("../index.html", EMBED), "utf8"));
  for (const name of ["tutorial.html", "tutorial.hi.html"]) {
    const html = await page(name);
    assert.equal(policy(html), index, name);
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script>/);
  }
});
