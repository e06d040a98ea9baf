export default { base: "./", worker: { format: "es" }, optimizeDeps: { exclude: ["lora-lab"] } };
