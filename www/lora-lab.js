export * from "./engine/lora-lab.js";
