// Files in and out: adapters, texts, and what is neither.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { QUICK, everyReader, file } from "./harness.js";

const LOGITS = "async (lab) => [...(await lab.logits(await lab.encode('Once upon a time')))]";

/** The two files that the button gives. */
async function saved(visit) {
  const downloads = [];
  visit.page.on("download", (download) => downloads.push(download));
  await visit.see("storage");
  await visit.press(visit.word("storage.save"));
  while (downloads.length < 2) await visit.page.waitForTimeout(20);
  const files = {};
  for (const download of downloads) files[download.suggestedFilename()] = await readFile(await download.path());
  return files;
}

/** The message at a place of the page. */
const alert = (visit, part) => visit.page.locator(`[part=${part}] [role=alert]:visible`);

everyReader("an adapter that was saved gives the same logits after a reload", async (visit) => {
  await visit.ready();
  await visit.train();
  const before = await visit.engine(LOGITS);
  const text = (await visit.state()).after.text;
  const files = await saved(visit);
  assert.deepEqual(Object.keys(files).sort(), ["adapter_config.json", "adapter_model.safetensors"]);
  assert.equal(JSON.parse(files["adapter_config.json"]).peft_type, "LORA");
  await visit.page.reload();
  await visit.ready();
  await visit.see("storage");
  assert.notDeepEqual(await visit.engine(LOGITS), before, "the reload forgot the adapter");
  await visit.choose(visit.word("storage.load"), ...Object.entries(files).map(([name, content]) => file(name, content)));
  await visit.until((state) => state.adapter?.source === "file" && state.after.text && !state.after.writing);
  assert.deepEqual(await visit.engine(LOGITS), before);
  assert.equal((await visit.state()).after.text, text);
  // And dropped instead of chosen.
  await visit.press(visit.word("train.reset"));
  await visit.until((state) => !state.adapter);
  await visit.drop("[part=storage] .files", ...Object.entries(files).map(([name, content]) => file(name, content)));
  await visit.until((state) => state.adapter?.source === "file");
  assert.deepEqual(await visit.engine(LOGITS), before);
  assert.deepEqual(visit.errors, []);
});

everyReader("files that are no adapter of this model say so, change nothing, and the page goes on", async (visit) => {
  await visit.ready();
  await visit.train();
  const before = await visit.engine(LOGITS);
  const files = await saved(visit);
  const [weights, config] = [files["adapter_model.safetensors"], files["adapter_config.json"]];
  const other = JSON.stringify({ ...JSON.parse(config), r: 3 });
  const bad = {
    "truncated weights": [weights.subarray(0, weights.length / 2), config],
    "a lying header": [Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]), weights.subarray(8)]), config],
    "empty weights": [Buffer.alloc(0), config],
    "another rank in the config": [weights, other],
    "a config that is no JSON": [weights, "{"],
    "a config of something else": [weights, JSON.stringify({ peft_type: "PREFIX_TUNING" })],
    "contents swapped": [config, weights],
  };
  for (const [name, [safetensors, json]] of Object.entries(bad)) {
    await visit.choose(visit.word("storage.load"), file("adapter_model.safetensors", safetensors), file("adapter_config.json", json));
    await visit.until((state) => state.problem?.place === "adapter");
    const { problem, phase } = await visit.state();
    assert.notEqual(problem.code, "internal", `${name}: ${problem.message}`);
    assert.notEqual(problem.code, "worker-died", `${name}: ${problem.message}`);
    assert.ok((await alert(visit, "storage").textContent()).includes(problem.message), name);
    assert.equal(phase, "done", name);
    assert.deepEqual(await visit.engine(LOGITS), before, name);
    await visit.press(alert(visit, "storage").getByRole("button", { name: visit.word("problem.dismiss") }));
    await alert(visit, "storage").waitFor({ state: "detached" });
  }
  await visit.choose(visit.word("storage.load"), file("adapter_model.safetensors", weights));
  await visit.until((state) => state.problem?.code === "adapter-files");
  await visit.choose(visit.word("storage.load"), file("adapter_model.safetensors", weights), file("adapter_config.json", config));
  await visit.until((state) => state.adapter?.source === "file" && !state.problem);
  assert.deepEqual(await visit.engine(LOGITS), before);
  assert.deepEqual(visit.errors, []);
}, { seconds: 90 });

everyReader("a text of one's own is pasted, opened or dropped; what is no text says so", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  await visit.press(page.getByRole("radio", { name: word("sample.own") }));
  await visit.drawn();
  assert.equal(await visit.button(word("train.train")).isDisabled(), true, "no text yet");
  await page.getByLabel(visit.word("data.own"), { exact: true }).fill("A cat sat on a mat. ".repeat(100));
  await visit.until((state) => state.corpus.text.startsWith("A cat"));
  await visit.choose(word("data.file"), file("photo.txt", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0, 1)));
  await visit.until((state) => state.problem?.code === "text-binary");
  const told = await alert(visit, "data").textContent();
  assert.ok(told.includes(word("problem.text-binary")) && told.includes("photo.txt"), told);
  assert.match((await visit.state()).corpus.text, /^A cat/, "the old text is still there");
  await visit.drop("[part=data]", file("mine.txt", "The dög ran to the hill. ".repeat(100)));
  await visit.until((state) => state.corpus.name === "mine.txt" && !state.problem);
  await visit.until(() => document.querySelector("lora-lab").shadowRoot.querySelector("textarea").value.startsWith("The dög"));
  await visit.train();
  assert.ok((await visit.state()).run.heldOut < (await visit.state()).run.firstHeldOut);
  assert.deepEqual(visit.errors, []);
});

everyReader("a text too short to train on is an error, and a longer one trains", async (visit) => {
  await visit.ready({ ...QUICK, sample: "own" });
  await visit.page.getByLabel(visit.word("data.own"), { exact: true }).fill("Too short.");
  await visit.press(visit.word("train.train"));
  await visit.until((state) => state.problem?.place === "train" && state.phase === "ready");
  assert.equal((await visit.state()).problem.code, "too-short");
  await visit.page.getByLabel(visit.word("data.own"), { exact: true }).fill("A cat sat on a mat. ".repeat(100));
  await visit.train();
  assert.equal((await visit.state()).problem, undefined);
});
