export * from "./engine/worker.js";
