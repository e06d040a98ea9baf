// As the package's README says it for a bundler: the engine with its files imported, and the element with folders of the site.
import { LoraLab } from "lora-lab";
import { LoraLabElement } from "lora-lab/element";
import LabWorker from "lora-lab/worker?worker";
import config from "lora-lab/models/tiny/config.json?raw";
import tokenizer from "lora-lab/models/tiny/tokenizer.json?raw";
import weights from "lora-lab/models/tiny/model.safetensors?url";

const createWorker = () => new LabWorker();
LoraLabElement.createWorker = createWorker;

window.train = async (text) => {
  const model = { config, tokenizer, weights: new Uint8Array(await (await fetch(weights)).arrayBuffer()) };
  const lab = await LoraLab.load({ model, createWorker });
  await lab.attach({ rank: 2 });
  const losses = [];
  for await (const { loss } of lab.train({ text, steps: 2, batchSize: 1, blockSize: 16 })) losses.push(loss);
  await lab.dispose();
  return losses;
};
