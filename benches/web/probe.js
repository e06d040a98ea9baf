// The SIMD peak of one core in WebAssembly, register-resident: the measure that every rate of a run is a share of.
//
// The module is assembled here, instruction by instruction, so that no compiler has a say in it: N accumulators, each `x ← x·m + c`,
// 8 times in the body of a loop. As simd128 that is f32x4.mul and f32x4.add, as relaxed-simd one f32x4.relaxed_madd.
// Alone, it reports its own rate: `node benches/web/probe.js`; in the browser `cargo xtask bench web` runs it between the other samples.

/** Accumulators: too few leave the units waiting for a result, too many are spilled. The best of these counts. */
const COUNTS = [8, 10, 12, 13];
const UNROLLED = 8;
const FLOPS = 8; // of one multiplication and addition of four lanes

const OPCODES = { get: 0x20, set: 0x21, tee: 0x22, const: 0x41, subtract: 0x6b, loop: 0x03, branchIf: 0x0d, end: 0x0b };
const SIMD = { splat: 0x13, extract: 0x1f, multiply: 0xe6, add: 0xe4, madd: 0x105 };
const TYPES = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

/** @param {number} n unsigned LEB128 */
function leb(n) {
  const bytes = [];
  do bytes.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
  while ((n >>>= 7));
  return bytes;
}

/** @param {number} id @param {number[]} content */
const section = (id, content) => [id, ...leb(content.length), ...content];

/** `run(rounds: i32, m: f32, c: f32) → f32`, with `count` accumulators. @param {number} count @param {boolean} fused @returns {Uint8Array<ArrayBuffer>} */
export function assemble(count, fused) {
  const [rounds, m, c] = [0, 1, 2];
  const [M, C, first] = [3, 4, 5]; // locals of type v128: the factor, the summand, the accumulators
  const simd = (/** @type {number} */ code) => [0xfd, ...leb(code)];
  const get = (/** @type {number} */ local) => [OPCODES.get, ...leb(local)];
  const set = (/** @type {number} */ local) => [OPCODES.set, ...leb(local)];
  const accumulators = Array.from({ length: count }, (_, i) => first + i);
  const step = accumulators.flatMap((x) =>
    fused
      ? [...get(x), ...get(M), ...get(C), ...simd(SIMD.madd), ...set(x)]
      : [...get(x), ...get(M), ...simd(SIMD.multiply), ...get(C), ...simd(SIMD.add), ...set(x)]);
  const body = [
    ...leb(1), ...leb(2 + count), TYPES.v128,
    ...get(m), ...simd(SIMD.splat), ...set(M), ...get(c), ...simd(SIMD.splat), ...set(C),
    ...accumulators.flatMap((x) => [...get(C), ...set(x)]),
    OPCODES.loop, 0x40,
    ...Array.from({ length: UNROLLED }, () => step).flat(),
    ...get(rounds), OPCODES.const, 1, OPCODES.subtract, OPCODES.tee, ...leb(rounds), OPCODES.branchIf, 0,
    OPCODES.end,
    // Every accumulator is part of the result, or the engine could leave it out.
    ...get(first), ...accumulators.slice(1).flatMap((x) => [...get(x), ...simd(SIMD.add)]), ...simd(SIMD.extract), 0,
    OPCODES.end,
  ];
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 3, TYPES.i32, TYPES.f32, TYPES.f32, 1, TYPES.f32]),
    ...section(3, [1, 0]),
    ...section(7, [1, 3, ...[..."run"].map((letter) => letter.charCodeAt(0)), 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

/** @param {number[]} values */
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** @typedef {{ lanes: "simd128" | "relaxed-simd", accumulators: number, sample: (milliseconds?: number) => number }} Probe `sample` gives GFLOP/s */

/**
 * A probe that is warm, with the number of accumulators that is fastest here; undefined where the browser has no such instructions.
 * @param {"simd128" | "relaxed-simd"} lanes
 * @returns {Probe | undefined}
 */
export function probe(lanes) {
  const fused = lanes === "relaxed-simd";
  if (!WebAssembly.validate(assemble(COUNTS[0], fused))) return undefined;
  const candidates = COUNTS.map((accumulators) => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(accumulators, fused)));
    const run = /** @type {(rounds: number, m: number, c: number) => number} */ (exports.run);
    // Short calls: V8 compiles a function anew once it was called often, never in the middle of a loop.
    const rounds = 5000;
    const flops = rounds * UNROLLED * accumulators * FLOPS;
    const sample = (milliseconds = 25) => {
      const start = performance.now();
      let calls = 0, elapsed;
      do {
        run(rounds, 0.999, 0.001);
        calls++;
        elapsed = performance.now() - start;
      } while (elapsed < milliseconds);
      return (calls * flops) / elapsed / 1e6;
    };
    sample(150);
    return { lanes, accumulators, sample };
  });
  const rates = candidates.map(({ sample }) => median([sample(), sample(), sample()]));
  return candidates[rates.indexOf(Math.max(...rates))];
}

if (typeof process === "object" && process.argv?.[1] && import.meta.url === `file://${process.argv[1]}`) {
  for (const lanes of /** @type {const} */ (["simd128", "relaxed-simd"])) {
    const found = probe(lanes);
    if (!found) console.log(`${lanes}: not here`);
    else console.log(`${lanes}: ${median(Array.from({ length: 11 }, () => found.sample())).toFixed(1)} GFLOP/s with ${found.accumulators} accumulators`);
  }
}
