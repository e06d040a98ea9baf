// Random scripts of what a person and an embedder can do, fired without waiting for each other, with random delays at every await: over the
// double on a clock of the test's own, and a few over the engine itself. model.js says what must hold.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { play, scripts, shrunk } from "./model.js";
import { Double } from "./model.double.js";
import { Engine, reference } from "./model.engine.js";

const SEQUENCES = Number(process.env.LORA_LAB_SEQUENCES ?? 2000);
const REAL = Number(process.env.LORA_LAB_REAL_SEQUENCES ?? 20);
const SEED = Number(process.env.LORA_LAB_SEED ?? 20261128);

/** Each script holds; the first that does not is told as short as it can be made, to be pasted among the cases. */
async function hold(makeWorld, options, runs) {
  const wrong = (script) => play(script, makeWorld).then(() => undefined, (error) => error);
  const property = fc.asyncProperty(scripts(fc, options), async (script) => assert.equal(await wrong(script), undefined));
  const { failed, counterexample, numRuns } = await fc.check(property, { seed: SEED, numRuns: runs, endOnFailure: true });
  if (!failed) return;
  const [script] = counterexample;
  const least = await shrunk(script, async (simpler) => Boolean(await wrong(simpler)));
  const { message } = (await wrong(least)) ?? (await wrong(script)) ?? { message: `it did not fail again; it was ${(await wrong(script))?.message}` };
  assert.fail(`sequence ${numRuns}, LORA_LAB_SEED=${SEED}:\n${JSON.stringify(least)}\n${message}`);
}

test(`${SEQUENCES} sequences over the double, seed ${SEED}`, () => hold((of) => new Double(of), {}, SEQUENCES));

test(`${REAL} sequences over the engine, seed ${SEED}`, async () => {
  const apart = await reference();
  const adapters = { digest: await apart.baseDigest() };
  for (const seed of [40, 41]) {
    await apart.attach({ rank: 1, targets: ["c_attn"], seed });
    for await (const step of apart.train({ text: "Some words that are said more than once. ".repeat(9), steps: 2, batchSize: 1, blockSize: 16, seed })) assert.ok(step.loss > 0);
    adapters[seed] = await apart.exportAdapter("default");
    await apart.endTraining();
    await apart.remove("default");
  }
  await hold((of) => new Engine(of, apart, adapters), {}, REAL);
  await apart.dispose();
});
