// How the parts measure: rounds in which everybody has a turn, another one first each time, and medians.
import { median } from "./probe.js";

export { median };

/** @typedef {{ name: string, run: () => Promise<number> }} Turn `run` gives the sample */

/**
 * Rounds of one sample each; the first `warm` rounds are thrown away. Whoever follows a hot or a cold neighbour in one round follows
 * another in the next, and what slows the machine for a while slows all.
 * @param {Turn[]} turns @param {{ warm: number, rounds: number }} how @param {(line: string) => void} [say]
 * @returns {Promise<number[][]>} the samples of each turn
 */
export async function interleaved(turns, { warm, rounds }, say = () => {}) {
  /** @type {number[][]} */
  const samples = turns.map(() => []);
  for (let round = 0; round < warm + rounds; round++) {
    for (let i = 0; i < turns.length; i++) {
      const at = (i + round) % turns.length;
      const sample = await turns[at].run();
      if (round >= warm) samples[at].push(sample);
    }
    say(`round ${round + 1} of ${warm + rounds}`);
  }
  return samples;
}

/** @param {() => Promise<unknown>} body @returns {Promise<number>} milliseconds */
export async function timed(body) {
  const start = performance.now();
  await body();
  return performance.now() - start;
}

/** The median of the rounds' ratios, in which what slowed a whole round cancels. @param {number[]} over @param {number[]} under */
export const ratio = (over, under) => median(over.map((x, i) => x / under[i]));

/** @param {number} x @param {number} [digits] */
export const round = (x, digits = 4) => Number(x.toPrecision(digits));
