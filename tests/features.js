/**
 * Every feature of the core, used once through the engine's API. One function without imports, so that it runs in Node and, as
 * its source, inside the page alike. Gives the names of what it has seen work; throws where something does not.
 *
 * @param {import("../www/lora-lab.js").LoraLab} lab with a model that has a tokenizer and no adapter
 * @param {string} text
 */
export async function walk(lab, text) {
  const seen = [];
  const check = (name, holds, detail = "") => {
    if (!holds) throw new Error(`${name} does not hold ${detail}`);
    seen.push(name);
  };
  const same = (a, b) => a.length === b.length && a.every((value, index) => Object.is(value, b[index]));
  const refused = async (code, action) => {
    try {
      await action();
    } catch (error) {
      return error.code === code;
    }
    return false;
  };
  const small = { batchSize: 1, blockSize: 16, evaluateEvery: 0, evaluationWindows: 1, warmupSteps: 0 };
  const run = async (options) => {
    const steps = [];
    for await (const step of lab.train({ text, ...small, ...options })) steps.push(step);
    return steps;
  };
  const ids = await lab.encode("Once upon a time");

  check("info", lab.info.architecture === "gpt2" && lab.info.parameters > 0 && lab.info.layers.length > 0);
  check("encode and decode", (await lab.decode(ids)) === "Once upon a time");
  const base = await lab.logits(ids);
  check("logits", base.length === ids.length * lab.info.vocabulary && base.every(Number.isFinite));
  const greedy = { maxTokens: 12, temperature: 0 };
  const baseText = await lab.generate("Once upon a time", greedy);
  let streamed = "";
  const again = await lab.generate(ids, { ...greedy, onText: (part) => (streamed += part) });
  check("generate from ids, streaming", same(again.ids, baseText.ids) && streamed === baseText.text);
  const sampled = (options) => lab.generate("The", { maxTokens: 16, temperature: 1.2, seed: 3, ...options });
  const free = await sampled({});
  check("sampling is seeded", same((await sampled({})).ids, free.ids) && !same((await sampled({ seed: 4 })).ids, free.ids));
  check("top-k of one is greedy", same((await sampled({ topK: 1 })).ids, (await sampled({ temperature: 0 })).ids));
  check("a tiny top-p is greedy", same((await sampled({ topP: 1e-6 })).ids, (await sampled({ temperature: 0 })).ids));
  const long = { maxTokens: 60, temperature: 0, stopAtEnd: false };
  const plain = await lab.generate("The", long);
  const penalised = await lab.generate("The", { ...long, repetitionPenalty: 5 });
  check("repetition penalty", new Set(penalised.ids).size > new Set(plain.ids).size);
  const past = await lab.generate("The", { maxTokens: lab.info.contextLength + 20, stopAtEnd: false });
  check("past the context length", past.ids.length === lab.info.contextLength + 20);

  const digest = await lab.baseDigest();
  check("base digest", /^[0-9a-f]{64}$/.test(digest));
  check("memory", (await lab.memory()) > 4 * lab.info.parameters);
  const planned = await lab.plan({ rank: 2, targets: ["c_attn"] });
  check("plan changes nothing", planned.layers.every(({ name }) => name.endsWith("c_attn")) && (await lab.adapters()).length === 0);
  check("regular expressions as targets", (await lab.plan({ targets: ".*\\.mlp\\.c_(fc|proj)" })).layers.every(({ name }) => name.includes("mlp")));
  check("exclude", (await lab.plan({ exclude: ["c_fc"] })).layers.every(({ name }) => !name.endsWith("c_fc")));
  check("rank pattern", (await lab.plan({ rank: 2, rankPattern: { c_fc: 4 } })).layers.every(({ name, rank }) => rank === (name.endsWith("c_fc") ? 4 : 2)));
  check("layers to transform", (await lab.plan({ layersToTransform: [0] })).layers.every(({ name }) => name.includes("h.0.")));
  check("no target", await refused("no-target", () => lab.attach({ targets: ["nothing"] })));
  for (const scaling of ["rank", "sqrt-rank", "textbook"]) {
    await lab.attach({ name: scaling, rank: 2, scaling, alphaPattern: { c_fc: 4 } });
    check(`scaling by ${scaling}: a fresh adapter changes nothing`, same(await lab.logits(ids), base));
    await lab.remove(scaling);
  }

  await lab.attach({ name: "one", rank: 2, alpha: 4, dropout: 0.1, seed: 5 });
  const options = { ...small, steps: 4, evaluateEvery: 2, heldOut: 0.2, warmupSteps: 2, learningRate: 0.01, weightDecay: 0.1, gradientClip: 0.5, accumulation: 2, seed: 6 };
  const { trainable } = await lab.plan({ rank: 2 });
  const corpus = await lab.beginTraining({ text, ...options });
  const footprint = await lab.footprint();
  check("footprint", footprint.trainable === trainable && footprint.gradientBytes === 4 * trainable && footprint.optimizerBytes === 8 * trainable && footprint.wasmBytes === (await lab.memory()));
  check("held-out share", Math.abs(corpus.heldOutTokens / corpus.tokens - 0.2) < 0.02);
  const before = await lab.evaluate();
  check("evaluate", Number.isFinite(before));
  check("training is under way", (await lab.isTraining()) === true);
  const steps = [];
  for await (const step of lab.train()) steps.push(step);
  check("steps", steps.length === 4 && steps.every(({ step }, index) => step === index + 1) && steps[3].done);
  check("held-out loss on the steps that evaluate", steps.every(({ heldOutLoss, step }) => (step % 2 === 0) === Number.isFinite(heldOutLoss)));
  check("warm-up", steps[0].learningRate < steps[1].learningRate);
  check("gradient norm, tokens and speed", steps.every((s) => s.gradNorm > 0 && s.tokens === 2 * 16 && s.tokensPerSecond > 0));
  const trained = await lab.logits(ids);
  check("training changes the logits", !same(trained, base));

  const wholeRun = async (settings) => {
    await lab.reset();
    return (await run({ steps: 3, seed: 1, learningRate: 0.01, ...settings })).map(({ loss }) => loss);
  };
  const losses = await wholeRun({});
  check("reset and the same seed repeat the losses", same(await wholeRun({}), losses));
  check("another seed does not", !same(await wholeRun({ seed: 2 }), losses));
  const finalLogits = async (settings) => (await wholeRun(settings), lab.logits(ids));
  const reference = await finalLogits({});
  check("weight decay", !same(await finalLogits({ weightDecay: 5 }), reference));
  check("gradient clipping", !same(await finalLogits({ gradientClip: 0.001 }), reference));
  check("accumulation", !same(await finalLogits({ accumulation: 2 }), reference));
  check("schedule", !same(await finalLogits({ schedule: "constant" }), reference));
  check("learning rate", !same(await finalLogits({ learningRate: 0.001 }), reference));
  check("training on ids", same(await finalLogits({ text: undefined, ids: await lab.encode(text) }), reference));

  await lab.reset();
  for await (const { step } of lab.train({ text, ...small, steps: 3, seed: 1, learningRate: 0.01 })) if (step === 2) break;
  const state = await lab.saveState();
  for await (const _ of lab.train());
  check("breaking off and going on is the uninterrupted run", same(await lab.logits(ids), reference));
  await lab.reset();
  const resumed = await lab.resume(state);
  check("resume says where it stands", resumed.step === 2 && resumed.steps === 3);
  for await (const _ of lab.train());
  check("a resumed run is the uninterrupted one", same(await lab.logits(ids), reference));

  const adapted = await lab.logits(ids);
  await lab.setEnabled(false);
  check("disabled equals base", same(await lab.logits(ids), base));
  await lab.setEnabled(true);
  check("enabled again", same(await lab.logits(ids), adapted));
  await lab.setStrength(0);
  check("strength 0 equals base", same(await lab.logits(ids), base));
  await lab.setStrength(2);
  check("strength 2 is neither", !same(await lab.logits(ids), base) && !same(await lab.logits(ids), adapted));
  await lab.setStrength(1);
  const deltas = await lab.deltas();
  check("the size of every layer's change", deltas.length === (await lab.plan({})).layers.length && deltas.every(({ norm, baseNorm, rank }) => norm > 0 && norm < baseNorm && rank === 2));
  const { name: layer, in: inputs, out: outputs, norm } = deltas[0];
  const delta = await lab.delta(layer, { rows: 5, columns: 7 });
  check("a map of one layer's change", delta.map instanceof Float32Array && delta.map.length === 35 && delta.in === inputs && delta.out === outputs && delta.norm === norm);
  const [largest] = delta.singularValues;
  check("its singular values stop after the rank", delta.singularValues.every((value, index) => value > 1e-4 * largest === index < 2));
  check("and hold all of its size", Math.abs(Math.hypot(...delta.singularValues) - norm) < 1e-4 * norm);
  check("an unknown layer is refused", await refused("no-layer", () => lab.delta("h.99")));
  const { tokens, positions } = await lab.candidates(ids, { count: 3 });
  check("candidates tell the tokens", same(tokens.map(({ id }) => id), [...ids]) && tokens.map((token) => token.text).join("") === "Once upon a time");
  const next = (logits, position) => {
    const row = logits.subarray(position * lab.info.vocabulary, (position + 1) * lab.info.vocabulary);
    return { best: row.indexOf(Math.max(...row)), total: row.reduce((sum, logit) => sum + Math.exp(logit), 0), row };
  };
  const fits = (list, { best, total, row }) => list.length === 3 && list[0].id === best && list.every(({ id, p }) => Math.abs(p - Math.exp(row[id]) / total) < 1e-4);
  check("candidates of the base are its likeliest", positions.every((at, index) => fits(at.base, next(base, index))));
  check("candidates of the adapter are its likeliest", positions.every((at, index) => fits(at.adapter, next(adapted, index))));
  const likelihood = (logits) => ids.slice(1).reduce((sum, id, index) => sum + Math.log(next(logits, index).total) - next(logits, index).row[id], 0) / (ids.length - 1);
  check("the loss of a text", Math.abs((await lab.loss("Once upon a time")) - likelihood(adapted)) < 1e-4);
  check("the base's loss of a text", Math.abs((await lab.loss(ids, { adapter: false })) - likelihood(base)) < 1e-4);

  check("the loss by name", (await lab.loss(ids, { adapter: "one" })) === (await lab.loss(ids)));
  check("logits of the base alone", same(await lab.logits(ids, { adapter: false }), base));
  check("candidates of the base alone", (await lab.candidates(ids, { count: 1, adapter: false })).positions.every((at) => at.adapter === null));
  check("a wrong type is refused by name", await refused("config", () => lab.encode(123)) && await refused("config", () => lab.loss([0.5, 1])));
  check("64-bit ids", same(await lab.logits(BigInt64Array.from(ids, BigInt)), adapted));

  const off = await lab.generate("Once upon a time", { ...greedy, adapter: false });
  check("off equals base, token for token", same(off.ids, baseText.ids));

  const files = await lab.exportAdapter();
  check("export", files.safetensors.length > 8 && JSON.parse(files.config).peft_type === "LORA");
  await lab.importAdapter({ ...files, safetensors: new Blob([files.safetensors]), name: "two" });
  check("import gives the same logits", same(await lab.logits(ids), adapted));
  check("several adapters", (await lab.adapters()).map(({ name }) => name).sort().join() === "one,two");
  check("a name is taken", await refused("adapter-exists", () => lab.importAdapter({ ...files, name: "two" })));
  const cut = files.safetensors.slice(0, files.safetensors.length - 3);
  check("a truncated adapter is refused", await refused("format", () => lab.importAdapter({ ...files, safetensors: cut, name: "three" })));
  check("what was refused changed nothing", (await lab.adapters()).length === 2 && same(await lab.logits(ids), adapted));
  await lab.attach({ name: "fresh", rank: 1 });
  check("attach selects", same(await lab.logits(ids), base));
  await lab.select("one");
  check("select", (await lab.adapters()).find(({ active }) => active)?.name === "one" && same(await lab.logits(ids), adapted));
  await lab.rename("one", "renamed");
  check("rename", (await lab.adapters()).some(({ name, active }) => name === "renamed" && active));
  check("export by name", same((await lab.exportAdapter("two")).safetensors, files.safetensors));
  check("each is asked by its name", same(await lab.logits(ids, { adapter: "fresh" }), base) && same(await lab.logits(ids, { adapter: "two" }), adapted));
  check("and looked at", (await lab.deltas({ adapter: "fresh" })).every((layer) => layer.norm === 0) && (await lab.delta(layer, { adapter: "two" })).norm === norm);
  for await (const { step } of lab.train({ text, ...small, adapter: "two", steps: 3 })) if (step === 1) break;
  check("a training is the named adapter's", same((await lab.exportAdapter("renamed")).safetensors, files.safetensors) && !same((await lab.exportAdapter("two")).safetensors, files.safetensors));
  check("what is in training is not removed", await refused("in-use", () => lab.remove("two")));
  check("a training under way keeps its settings", await refused("config", () => lab.train({ steps: 9 }).next()));
  check("memory of another's training", (await lab.footprint({ adapter: "fresh" })).trainable < (await lab.footprint()).trainable);
  await lab.endTraining();
  check("end of a training", (await lab.isTraining()) === false);
  await lab.reset({ adapter: "two" });
  check("reset by name goes back to the import", same(await lab.logits(ids, { adapter: "two" }), adapted));
  await lab.merge({ adapter: "two" });
  check("the merged one alone can be asked", await refused("merged", () => lab.logits(ids, { adapter: "fresh" })) && (await lab.logits(ids, { adapter: "two" })).length === base.length);
  await lab.unmerge();
  await lab.remove("two");
  await lab.remove("fresh");
  check("remove", (await lab.adapters()).map(({ name }) => name).join() === "renamed");
  check("an unknown name is refused", await refused("no-adapter", () => lab.select("two")));

  check("the base is what it was", (await lab.baseDigest()) === digest);
  await lab.merge();
  const merged = await lab.logits(ids);
  const apart = merged.reduce((most, value, index) => Math.max(most, Math.abs(value - adapted[index])), 0);
  check("merge", (await lab.isMerged()) === true && apart < 1e-3, `(${apart})`);
  await lab.unmerge();
  check("unmerge restores the base bit for bit", (await lab.isMerged()) === false && (await lab.baseDigest()) === digest);
  check("and the adapter beside it", same(await lab.logits(ids), adapted));
  await lab.remove("renamed");
  check("without an adapter it is the base", same(await lab.logits(ids), base));
  check("bad settings are refused", await refused("config", () => lab.attach({ rank: 0 })));
  return seen;
}

/**
 * The same for full fine-tuning.
 *
 * @param {import("../www/lora-lab.js").LoraLab} lab loaded with `full`
 * @param {string} text
 */
export async function walkFull(lab, text) {
  const seen = [];
  const check = (name, holds, detail = "") => {
    if (!holds) throw new Error(`${name} does not hold ${detail}`);
    seen.push(name);
  };
  const same = (a, b) => a.length === b.length && a.every((value, index) => Object.is(value, b[index]));
  const refused = (action) => action().then(() => false, ({ code }) => code === "unsupported");
  const settings = { text, steps: 4, batchSize: 1, blockSize: 16, learningRate: 2e-4, warmupSteps: 0, evaluateEvery: 0, evaluationWindows: 2, seed: 1 };
  const ids = await lab.encode("Once upon a time");
  const [base, digest] = [await lab.logits(ids), await lab.baseDigest()];
  const { trainable, gradientBytes, optimizerBytes, wasmBytes } = await lab.footprint();
  check("all weights train", trainable === lab.info.parameters);
  check("memory of gradients and moments", gradientBytes === 4 * trainable && optimizerBytes === 8 * trainable && wasmBytes > 4 * trainable);
  check("no adapters", await refused(() => lab.attach({ rank: 2 })));
  check("no imported ones", await refused(() => lab.importAdapter({ safetensors: new Uint8Array(), config: "{}" })));

  await lab.beginTraining(settings);
  const before = await lab.evaluate();
  let state;
  for await (const { step } of lab.train()) if (step === 2) state = await lab.saveState();
  const trained = await lab.logits(ids);
  check("training changes the base", !same(trained, base) && (await lab.baseDigest()) !== digest);
  check("the held-out loss falls", (await lab.evaluate()) < before);
  const resumed = await lab.resume(state);
  check("resume says where it stands", resumed.step === 2 && resumed.steps === 4);
  for await (const _ of lab.train());
  check("a resumed run is the uninterrupted one", same(await lab.logits(ids), trained));
  check("it writes", (await lab.generate(ids, { maxTokens: 4, stopAtEnd: false })).ids.length === 4);
  check("the loss of a text", Number.isFinite(await lab.loss(text.slice(0, 500))));
  return seen;
}
