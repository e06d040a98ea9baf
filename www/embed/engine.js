import { LoraLab } from "../lora-lab.js";

/** @param {(text: string) => void} say */
export async function run(say) {
  const lab = await LoraLab.load({ model: "../models/tiny/" });
  const text = await (await fetch("../samples/pirate.txt")).text();
  await lab.attach({ rank: 4, alpha: 8 });
  const training = lab.train({ text, steps: 20, batchSize: 2, blockSize: 64, learningRate: 0.005, evaluateEvery: 5 });
  for await (const { step, heldOutLoss } of training) {
    if (heldOutLoss) say(`step ${step}: loss on unseen text ${heldOutLoss.toFixed(3)}\n`);
  }
  await lab.generate("Once upon a time", { maxTokens: 40, seed: 1, onText: say });
  await lab.dispose();
}
