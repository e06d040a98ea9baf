import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHash, toHash } from "../../www/lab/hash.js";
import { DEFAULTS, FIELDS, sameTraining } from "../../www/lab/settings.js";

test("every setting comes back from its link", () => {
  const changed = {
    ...DEFAULTS,
    sample: "robot", rank: 3, alpha: 7, learningRate: 0.00123, steps: 12, targets: ["c_attn", "mlp.c_fc"], batchSize: 2, blockSize: 32,
    seed: 4294967295, prompt: "“Ärr” & 100% = ?#+\n", temperature: 0, maxTokens: 5, textSeed: 0, strength: 1.5, fullLearningRate: 0.001, workers: 3, fast: true, lang: "hi",
  };
  for (const name of Object.keys(FIELDS)) assert.notDeepEqual(changed[name], DEFAULTS[name], `${name} is not tried`);
  assert.deepEqual(fromHash(toHash(changed)), changed);
  assert.deepEqual(fromHash(toHash(DEFAULTS)), DEFAULTS);
});

test("what makes no sense in a link is left out, and numbers are brought into their bounds", () => {
  assert.deepEqual(fromHash(""), {});
  assert.deepEqual(fromHash("#nonsense&lang=xx&rank=&alpha=x&lr=NaN&seed=Infinity&targets=<b>&sample=../../etc"), {});
  assert.deepEqual(fromHash("#rank=1000&steps=-4&temperature=9"), { rank: 64, steps: 1, temperature: 2 });
  assert.deepEqual(fromHash("#rank=7.6"), { rank: 8 });
  assert.deepEqual(fromHash("#targets=c_attn,c_attn"), { targets: ["c_attn"] });
});

test("names in links are stable", () => {
  assert.equal(toHash(DEFAULTS),
    "#sample=pirate&rank=8&alpha=16&lr=0.002&steps=200&targets=all-linear&batch=4&block=128&seed=1&prompt=Once+upon+a+time&temperature=0.7&length=100&text-seed=1&strength=1&full-lr=0.0005&workers=0&fast=0&lang=en");
});

test("sampling and language do not shape a training, everything else does", () => {
  const sampling = ["prompt", "temperature", "maxTokens", "textSeed", "strength", "fullLearningRate", "workers", "fast", "lang"];
  for (const name of Object.keys(FIELDS)) {
    const other = { ...DEFAULTS, [name]: name === "targets" ? ["c_attn"] : `${DEFAULTS[name]}1` };
    assert.equal(sameTraining(DEFAULTS, other), sampling.includes(name), name);
  }
});
