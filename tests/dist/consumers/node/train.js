// In Node: the tiny model of the package, then the same from a path, on two threads. Prints what came of it.
import { LoraLab } from "lora-lab";

const folder = process.argv[2];
const text = "The robot counted its bolts. All bolts were there. ".repeat(60);

async function trained(model, workers = 1) {
  const lab = await LoraLab.load({ model, workers });
  await lab.attach({ rank: 2, seed: 3 });
  const losses = [];
  for await (const { loss } of lab.train({ text, steps: 3, batchSize: 2, blockSize: 16, learningRate: 0.01 })) losses.push(loss);
  const { text: story } = await lab.generate("Once upon a time", { maxTokens: 8, temperature: 0 });
  const { safetensors, config } = await lab.exportAdapter();
  const isLab = lab instanceof LoraLab;
  await lab.dispose();
  return { losses, story, bytes: safetensors.length, peft: JSON.parse(config).peft_type, isLab };
}

const missing = await LoraLab.load({ model: "no/such/folder" }).then(() => "loaded", ({ code, message }) => [code, message]);
console.log(JSON.stringify({ own: await trained(), path: await trained(folder, 2), url: await trained(new URL(`file://${folder}/`)), missing }));
