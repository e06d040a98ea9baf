// What a caller in TypeScript relies on. Compiled, never run.
import { CODES, LabError, LoraLab } from "lora-lab";
import type { Step } from "lora-lab";
import { LoraLabElement } from "lora-lab/element";
import "lora-lab/worker";

export async function use(): Promise<number> {
  const lab = await LoraLab.load({ onProgress: ({ phase, loaded }) => console.log(phase.toUpperCase(), loaded.toFixed()) });
  await lab.attach({ rank: 4, targets: ["attn.c_attn"] });
  const steps: Step[] = [];
  for await (const step of lab.train({ text: "…", steps: 3 })) steps.push(step);
  // @ts-expect-error: a rank is a number
  await lab.attach({ rank: "4" });
  const { safetensors }: { safetensors: Uint8Array } = await lab.exportAdapter();
  // @ts-expect-error: there is no such method
  await lab.teach();
  return steps[0].loss + safetensors.length;
}

export async function page(): Promise<string> {
  const element = document.querySelector("lora-lab")!;
  element.rank = 3;
  element.view = "compact";
  // @ts-expect-error: there are three views
  element.view = "wide";
  const made: LoraLabElement = document.createElement("lora-lab");
  return made.compare("Once").then(({ after }) => after, (error: LabError) => error.code + CODES.disposed);
}
