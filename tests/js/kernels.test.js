/** What the compiler made of the kernels: SIMD where the time goes. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const wasm = await readFile(new URL("../../www/pkg/lora_lab_bg.wasm", import.meta.url));

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

/** How often `f32x4.mul` stands in a body. @param {Uint8Array} body */
function multiplies(body) {
  let count = 0;
  for (let i = 0; i + 2 < body.length; i++) count += Number(body[i] === 0xfd && body[i + 1] === 0xe6 && body[i + 2] === 0x01);
  return count;
}

test("the training kernels contain v128 multiplies", () => {
  const all = functions(wasm);
  assert.ok(all.length > 500, `${all.length} functions`);
  for (const kernel of ["matmul", "attention", "gelu", "norm", "cross_entropy", "adamw"]) {
    const found = all.filter(({ name }) => name.includes(`lora_lab::kernel::${kernel}`) || new RegExp(`lora_lab6kernel\\d+${kernel}`).test(name));
    assert.ok(found.length > 0, `no function of kernel::${kernel}`);
    const count = found.reduce((sum, { body }) => sum + multiplies(body), 0);
    assert.ok(count > 0, `kernel::${kernel}: no f32x4.mul in ${found.map(({ name }) => name).join(", ")}`);
  }
});
