// Loaded before a library, as a module or by importScripts: keeps every WebAssembly memory that it makes or gets, so that its size can be asked for.
{
  const memories = new Set();
  const { Memory, instantiate, instantiateStreaming } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor) {
      super(descriptor);
      memories.add(this);
    }
  };
  const keep = (result) => {
    for (const value of Object.values((result.instance ?? result).exports)) if (value instanceof Memory) memories.add(value);
    return result;
  };
  WebAssembly.instantiate = (...args) => instantiate.apply(WebAssembly, args).then(keep);
  WebAssembly.instantiateStreaming = (...args) => instantiateStreaming.apply(WebAssembly, args).then(keep);
  globalThis.wasmMemory = () => [...memories].reduce((bytes, { buffer }) => bytes + buffer.byteLength, 0);
}
