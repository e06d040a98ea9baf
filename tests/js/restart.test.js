// Random calls, deaths of workers and offline times, all at once: every promise settles, and what was answered is never lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { MODEL, TRAP, fakeEngine, workers } from "./fake.js";

/** Mulberry32: numbers from 0 to before `below`, the same for a seed. */
function random(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const SEQUENCES = Number(process.env.RESTARTS ?? 150);
const CODES = ["worker-died", "order", "no-adapter", "adapter-exists", "in-use", "merged", "config"];

/** One sequence: calls that are not waited for, in a random order. */
async function sequence(seed) {
  const pick = random(seed);
  let gone = false;
  const { made, createWorker } = workers(async () => {
    if (gone) throw new Error("gone");
    return fakeEngine();
  });
  const lost = [];
  const lab = await LoraLab.load({ model: MODEL, createWorker, workers: 1, saveEvery: -1, onRestart: (_, what) => lost.push(what) });
  const names = ["a", "b", "c"];
  const name = () => names[pick(names.length)];
  /** The adapters, and the steps that each has taken, according to the answers. */
  const told = new Map();
  let deaths = 0;
  let iterator;
  let trains;
  const calls = [
    () => {
      const chosen = name();
      return lab.attach({ name: chosen }).then(() => told.set(chosen, 0));
    },
    () => {
      const chosen = name();
      return lab.remove(chosen).then(() => told.delete(chosen));
    },
    () => {
      const chosen = name();
      const mine = lab.train({ text: "abc", steps: 100, adapter: chosen });
      return mine.next().then(({ value }) => {
        // A later training has ended it before its first step.
        if (!value) return;
        iterator = mine;
        trains = chosen;
        told.set(chosen, told.get(chosen) + value.step);
      });
    },
    () => {
      const [mine, chosen] = [iterator, trains];
      return mine?.next().then(({ value }) => value && told.set(chosen, told.get(chosen) + 1));
    },
    () => lab.generate(TRAP).finally(() => deaths++),
    () => lab.endTraining(),
    () => lab.reload({ workers: 1 }),
    () => lab.select(name()),
    () => lab.setStrength(1 + pick(3)),
    () => void (gone = !gone),
    () => new Promise((resolve) => setTimeout(resolve, pick(3))),
  ];
  const settled = [];
  for (let turn = 0; turn < 25; turn++) {
    const call = Promise.resolve(calls[pick(calls.length)]()).catch((error) => {
      assert.ok(CODES.includes(error.code), `${error.code}: ${error.message}`);
    });
    settled.push(call);
    // Some are waited for, and some are not.
    if (pick(3)) await call;
  }
  await Promise.all(settled);
  gone = false;
  // The first call may be the one that finds the worker dead.
  await lab.memory().catch(() => {});
  const adapters = await Promise.all((await lab.adapters()).map(async ({ name }) => [name, (await lab.exportAdapter(name)).safetensors[0]]));
  assert.ok(lost.every(({ run, adapters }) => run === undefined && adapters.length === 0), "nothing is said to be lost");
  assert.equal(made.filter(({ terminated }) => !terminated).length, 1, "one worker is left");
  await lab.dispose();
  return { adapters: Object.fromEntries(adapters), told: Object.fromEntries([...told].sort()), deaths };
}

test(`${SEQUENCES} random sequences of calls, deaths and times without network`, { timeout: 120_000 }, async (t) => {
  let deaths = 0;
  for (let seed = 0; seed < SEQUENCES; seed++) {
    const open = setTimeout(() => {
      console.error(`seed ${seed}: a promise stays open`);
      process.exit(1);
    }, 20_000);
    try {
      const result = await sequence(seed);
      assert.deepEqual(result.adapters, result.told);
      deaths += result.deaths;
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    } finally {
      clearTimeout(open);
    }
  }
  t.diagnostic(`${deaths} deaths`);
  assert.ok(deaths > SEQUENCES);
});
