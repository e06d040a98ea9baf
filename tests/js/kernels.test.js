/** The kernels as compiled: they have to use SIMD where most of the time is spent. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

/** Reads LEB128 and names of a WebAssembly binary. @param {Uint8Array} bytes @param {number} at */
function reader(bytes, at) {
  const read = {
    at,
    number() {
      for (let value = 0, shift = 0; ; shift += 7) {
        const byte = bytes[read.at++];
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
    },
    text() {
      const length = read.number();
      read.at += length;
      return Buffer.from(bytes.subarray(read.at - length, read.at)).toString();
    },
  };
  return read;
}

/** The functions' names and bodies. @param {Uint8Array} bytes */
function functions(bytes) {
  /** @type {Map<number, string>} */
  const names = new Map();
  /** @type {Uint8Array[]} */
  const bodies = [];
  let imported = 0;
  const read = reader(bytes, 8);
  while (read.at < bytes.length) {
    const section = bytes[read.at++];
    const size = read.number();
    const end = read.at + size;
    if (section === 2) {
      // wasm-bindgen imports functions alone: module, name, kind, type.
      for (let left = read.number(); left > 0; left--) {
        read.text();
        read.text();
        assert.equal(bytes[read.at++], 0, "an import that is no function");
        read.number();
        imported++;
      }
    } else if (section === 10) {
      for (let left = read.number(); left > 0; left--) {
        const length = read.number();
        bodies.push(bytes.subarray(read.at, read.at + length));
        read.at += length;
      }
    } else if (section === 0 && read.text() === "name") {
      while (read.at < end) {
        const kind = bytes[read.at++];
        const subsection = read.number() + read.at;
        if (kind === 1) {
          for (let left = read.number(); left > 0; left--) names.set(read.number(), read.text());
        }
        read.at = subsection;
      }
    }
    read.at = end;
  }
  return bodies.map((body, i) => ({ name: names.get(imported + i) ?? "", body }));
}

/** Instructions as they stand in the code: the prefix 0xfd and a number in LEB128. */
const MULTIPLY = [0xfd, 0xe6, 0x01];
const RELAXED_MADD = [0xfd, 0x85, 0x02];

/** How often an instruction stands in a body. @param {Uint8Array} body @param {number[]} instruction */
function count(body, instruction) {
  let found = 0;
  for (let at = body.indexOf(0xfd); at >= 0; at = body.indexOf(0xfd, at + 1)) found += Number(instruction.every((byte, i) => body[at + i] === byte));
  return found;
}

const KERNELS = ["matmul", "attention", "gelu", "norm", "cross_entropy", "adamw"];

/** How often an instruction stands in each kernel of a build. @param {string} folder @param {number[][]} instructions */
async function counted(folder, ...instructions) {
  const all = functions(await readFile(new URL(`../../www/${folder}/lora_lab_bg.wasm`, import.meta.url)));
  assert.ok(all.length > 500, `${all.length} functions`);
  return KERNELS.map((kernel) => {
    const found = all.filter(({ name }) => name.includes(`lora_lab::kernel::${kernel}`) || new RegExp(`lora_lab6kernel\\d+${kernel}`).test(name));
    assert.ok(found.length > 0, `no function of kernel::${kernel}`);
    return { kernel, counts: instructions.map((instruction) => found.reduce((sum, { body }) => sum + count(body, instruction), 0)) };
  });
}

test("the training kernels contain v128 multiplies, and none that rounds as the processor likes", async () => {
  for (const { kernel, counts: [multiplies, fused] } of await counted("pkg", MULTIPLY, RELAXED_MADD)) {
    assert.ok(multiplies > 0, `kernel::${kernel} has no f32x4.mul`);
    assert.equal(fused, 0, `kernel::${kernel} has f32x4.relaxed_madd, but simd128 is the build that is the same everywhere`);
  }
});

test("in the fast build they multiply and add in one", async () => {
  const found = await counted("pkg/relaxed", MULTIPLY, RELAXED_MADD);
  for (const { kernel, counts: [multiplies, fused] } of found) assert.ok(multiplies + fused > 0, `kernel::${kernel} has no SIMD arithmetic`);
  const { counts: [, fused] } = found.find(({ kernel }) => kernel === "matmul");
  assert.ok(fused >= 32, `${fused} f32x4.relaxed_madd in kernel::matmul, expected those of a tile and more`);
});
