// The Content-Security-Policies of our pages and of the docs: what other browsers need and Chromium, used by the other tests, does not.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");
/** What the one policy of a text says of workers. */
function workers(text) {
  const [, sources, ...more] = text.split(/worker-src ([^;\n]*)/);
  assert.equal(more.length, 1, "one policy");
  return sources.split(" ");
}

// Firefox holds worker-src, where Chromium holds script-src, against what a worker imports: without the origin no engine starts there.
test("every page lets its workers be imported from its own origin", () => {
  const pages = ["www/index.html", ...readdirSync(new URL("www/embed/", ROOT)).filter((name) => name.endsWith(".html")).map((name) => `www/embed/${name}`)];
  const guarded = pages.filter((page) => read(page).includes("Content-Security-Policy"));
  assert.ok(guarded.length >= 5, `only ${guarded} have a policy`);
  for (const page of guarded) assert.deepEqual(workers(read(page)), ["blob:", "'self'"], page);
});

test("the docs' policy lets workers be imported from where the files are", () => {
  assert.deepEqual(workers(read("docs/embedding.md").match(/^default-src .*$/m)[0]), ["blob:", "https://lab.example"]);
});
