/** WebAssembly's memory never shrinks: if each step needed a little more than the one before, it would grow until the page is closed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALPHA, CONFIGS, RANK, TRAINING, configOf, randomTokens, randomWeights, writeSafetensors } from "../../benches/web/model.js";
import { LoraLab } from "../../www/node.js";

/** Every worker's bytes after each step of a training of the configurations that all figures are about. */
async function train(t, { size }, { workers, steps, ...options }) {
  const model = { config: JSON.stringify(configOf(size)), weights: writeSafetensors(randomWeights(size)) };
  // Saved after each step: the room that saving takes is then part of the first steps, however slow the machine.
  const lab = await LoraLab.load({ workers, model, saveEvery: -1 });
  t.after(() => lab.dispose());
  await lab.attach({ rank: RANK, alpha: ALPHA, dropout: options.dropout ?? 0 });
  await lab.beginTraining({ ids: randomTokens(size.vocabulary), ...TRAINING, ...options.training, steps });
  // A helper that joined in the middle would be counted only from there on.
  while ((await lab.memories()).length < workers) await new Promise((resolve) => setTimeout(resolve, 10));
  const memories = [];
  for await (const { step } of lab.train()) {
    assert.equal(step, memories.length + 1);
    memories.push(await lab.memories());
  }
  assert.equal(memories.length, steps);
  t.diagnostic(memories.map((step) => step.map((bytes) => (bytes / 1e6).toFixed(1)).join(" + ")).join(", "));
  for (const [after, bytes] of memories.entries()) {
    if (after >= 3) assert.deepEqual(bytes, memories[2], `memory after step ${after + 1}, and after the third`);
  }
  return memories.at(-1);
}

test("configuration S trains within 100 MB, which do not grow after the third step", { timeout: 180_000 }, async (t) => {
  const [bytes] = await train(t, CONFIGS.S, { workers: 1, steps: 6 });
  assert.ok(bytes <= 100e6, `${bytes}`);
});

test("configuration M trains within 260 MB, which do not grow after the third step", { timeout: 180_000 }, async (t) => {
  const [bytes] = await train(t, CONFIGS.M, { workers: 1, steps: 5 });
  assert.ok(bytes <= 260e6, `${bytes}`);
});

test("neither do those of two workers, with dropout and a held-out loss after every step", { timeout: 180_000 }, async (t) => {
  const training = { evaluateEvery: 1, evaluationWindows: 2, heldOut: 0.1 };
  const bytes = await train(t, CONFIGS.S, { workers: 2, steps: 6, dropout: 0.1, training });
  assert.equal(bytes.length, 2);
  for (const each of bytes) assert.ok(each <= 100e6, `${bytes}`);
});
