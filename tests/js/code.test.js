import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import en from "../../www/i18n/en.js";
import hi from "../../www/i18n/hi.js";
import { PIECES } from "../../www/element/view/listing.js";

const ROOT = new URL("../../", import.meta.url);

test("the Rust that the page quotes is the Rust that runs, line after line", async () => {
  for (const { name, steps } of PIECES) {
    for (const step of steps) {
      assert.ok(step.quotes.length, `${name}.${step.name} quotes something`);
      for (const { file, lines } of step.quotes) {
        const source = await readFile(new URL(file, ROOT), "utf8");
        assert.ok(`\n${source}`.includes(`\n${lines.join("\n")}\n`), `${file} no longer says:\n${lines.join("\n")}`);
      }
    }
  }
});

test("the pieces are the textbook's three, and each step has its lines in order", () => {
  const all = PIECES.map(({ python }) => python.map(([, line]) => line).join("\n"));
  assert.match(all[0], /class LoRALayer\(nn\.Module\):\n +def __init__\(self, in_dim, out_dim, rank, alpha\):/);
  assert.match(all[1], /class LinearWithLoRA\(nn\.Module\):/);
  assert.match(all[2], /^def replace_linear_with_lora\(model, rank, alpha\):/);
  for (const { name, python, steps } of PIECES) {
    const inOrder = python.map(([step]) => step).filter((step, index, list) => step && step !== list[index - 1]);
    assert.deepEqual(inOrder, steps.map((step) => step.name), name);
    for (const [, line] of python) assert.ok(line.length <= 80, line);
  }
});

test("every step is explained in both languages, and nothing else is", () => {
  const named = PIECES.flatMap(({ name, steps }) => [`code.${name}`, ...steps.map((step) => `code.${name}.${step.name}`)]);
  for (const table of [en, hi]) {
    const keys = Object.keys(table).filter((key) => /^code\.(?!heading|text|step)/.test(key) && !key.endsWith(".now"));
    assert.deepEqual(keys.sort(), [...named].sort());
    // Code is written between pairs of backticks.
    for (const key of keys) assert.equal(table[key].split("`").length % 2, 1, key);
  }
});
