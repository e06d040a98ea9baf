// Going further, as a reader does: one press, one folder.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { unzipSync } from "fflate";
import { QUICK, everyReader, file } from "./harness.js";

const TEXT = new TextDecoder();

async function downloaded(visit, press) {
  const waiting = visit.page.waitForEvent("download");
  await press();
  const download = await waiting;
  return { name: download.suggestedFilename(), bytes: new Uint8Array(await readFile(await download.path())) };
}

everyReader("a trained run is exported as a folder and its log as CSV and JSON", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  await visit.see("further");
  assert.ok(await visit.button(word("further.export")).isDisabled(), "there is nothing yet");
  assert.ok(!visit.requests.some((url) => url.endsWith("fflate.js")), "nothing is fetched before it is wanted");
  await visit.train();
  const further = await visit.see("further");
  await visit.button(word("further.export")).focus();
  const { name: file, bytes } = await downloaded(visit, () => page.keyboard.press("Enter"));
  assert.equal(file, "lora-lab-run.zip");
  const files = unzipSync(bytes);
  const inside = (path) => files[`lora-lab-run/${path}`];
  assert.deepEqual(Object.keys(files).map((path) => path.replace("lora-lab-run/", "")).sort(), [
    "README.md", "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "base/config.json", "base/model.safetensors",
    "base/tokenizer.json", "log.csv", "log.json", "requirements.txt", "run.safetensors", "text.txt", "train.py",
  ]);
  const www = (path) => readFile(new URL(`../../www/${path}`, import.meta.url));
  for (const part of ["config.json", "model.safetensors", "tokenizer.json"]) assert.deepEqual(Buffer.from(inside(`base/${part}`)), await www(`models/tiny/${part}`), part);
  assert.deepEqual(Buffer.from(inside("train.py")), await www("further/train.py"));
  assert.deepEqual(Buffer.from(inside("text.txt")), await www("samples/pirate.txt"));
  const { run } = await visit.state();
  const lines = TEXT.decode(inside("log.csv")).trim().split("\n");
  assert.equal(lines[0], "step,loss,heldOutLoss,learningRate,gradNorm,tokens,tokensPerSecond");
  assert.deepEqual(lines.slice(1).map((line) => Number(line.split(",")[1])), run.log.map(({ loss }) => loss));
  assert.equal(lines.length, QUICK.steps + 1);

  // The state in the folder is the run: the engine goes on with it.
  const resumed = await visit.engine("async (lab, bytes) => lab.resume(Uint8Array.from(bytes))", [...inside("run.safetensors")]);
  assert.deepEqual(resumed, { adapter: "at work 1", step: QUICK.steps, steps: QUICK.steps });

  const csv = await downloaded(visit, () => visit.press(word("further.csv")));
  assert.deepEqual([csv.name, TEXT.decode(csv.bytes)], ["log.csv", TEXT.decode(inside("log.csv"))]);
  const json = await downloaded(visit, () => visit.press(word("further.json")));
  const log = JSON.parse(TEXT.decode(json.bytes));
  assert.deepEqual([log.steps.length, log.adapter.rank, log.training.batchSize, log.base.parameters], [QUICK.steps, QUICK.rank, QUICK.batch, (await visit.state()).info.parameters]);
  await further.getByText(word("further.script")).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(visit.errors, []);
});
