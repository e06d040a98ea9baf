/** What this browser and machine can do: its cores, and WebAssembly SIMD, tested before any download: the engine needs it to compile. */

/** `(func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)`: popcnt is among the last instructions standardised. */
const PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // \0asm, version 1
  1, 5, 1, 96, 0, 1, 123, // types: () → v128
  3, 2, 1, 0, // functions: one, of type 0
  10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11, // code
]);

/** `(func (result v128) …)` of three zeros and f32x4.relaxed_madd: where a browser fuses, it rounds once instead of twice. */
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // \0asm, version 1
  1, 5, 1, 96, 0, 1, 123, // types: () → v128
  3, 2, 1, 0, // functions: one, of type 0
  10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11, // code
]);

/** The first versions with fixed-width SIMD. */
export const BROWSERS = "Chrome 91, Edge 91, Firefox 89, Safari 16.4";

export function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(PROBE);
}

/** Whether the faster build runs here. Its results are not the same bit for bit in every browser. */
export function hasRelaxedSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(RELAXED);
}

/** The number of workers: the given one, or one for each core but one, 1 to 8. @param {number | undefined} workers */
export function howMany(workers) {
  return workers ?? Math.min(8, Math.max(1, (globalThis.navigator?.hardwareConcurrency ?? 2) - 1));
}
