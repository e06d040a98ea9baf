// The base's own stories, by which the page measures what a training forgets: www/samples/base.txt.
//
//     node pretrain/stories.js
//
// Drawn at temperature 1 and from all tokens, that is from the model's own distribution: the mean loss on them is an estimate of its
// entropy, and what a training adds to it is one of the divergence from the base. Begin each anew, by the token that stands between
// two stories; story n has seed n. The same checkpoint gives the same file. To be run again whenever www/models/tiny changes.
import { writeFile } from "node:fs/promises";
import { LoraLab } from "../www/node.js";

const CHARACTERS = 20_000;
const SAMPLING = { temperature: 1, topK: 0, topP: 1, maxTokens: 1000 };
const BETWEEN = "<|endoftext|>";

const lab = await LoraLab.load({ workers: 1 });
const begin = await lab.encode(BETWEEN);
if (begin.length !== 1) throw new Error(`${BETWEEN} is ${begin.length} tokens of this model, expected 1`);
let stories = "";
for (let seed = 1; stories.length < CHARACTERS; seed++) {
  stories += BETWEEN + (await lab.generate(begin, { ...SAMPLING, seed })).text;
}
const file = new URL("../www/samples/base.txt", import.meta.url);
await writeFile(file, stories);
console.log(`${stories.length} characters, ${(await lab.loss(stories)).toFixed(3)} nats a token`);
await lab.dispose();
