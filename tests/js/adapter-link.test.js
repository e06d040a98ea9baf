import assert from "node:assert/strict";
import { test } from "node:test";
import { LONGEST, decodeAdapter, encodeAdapter } from "../../www/lab/adapter-link.js";
import { readSafetensors, writeSafetensors } from "../../www/lab/safetensors.js";

const layers = [0, 1].flatMap((block) => [
  { name: `transformer.h.${block}.attn.c_attn`, in: 24, out: 72 },
  { name: `transformer.h.${block}.mlp.c_proj`, in: 96, out: 24 },
]).concat({ name: "lm_head", in: 24, out: 50 });
const base = { layers, digest: "0123456789abcdef".repeat(4) };

/** Numbers from a seed, so that a failure can be repeated. */
function random(seed) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 30 - 1;
}

function adapter(chosen, rank, { seed = 1, config = {}, size = 0.1 } = {}) {
  const next = random(seed);
  const tensors = chosen.flatMap((layer) => [["lora_A", [rank, layer.in]], ["lora_B", [layer.out, rank]]].map(([kind, shape]) => (
    { name: `base_model.model.${layer.name}.${kind}.weight`, shape, values: Float32Array.from({ length: shape[0] * shape[1] }, () => size * next()) })));
  return { safetensors: writeSafetensors(tensors), config: JSON.stringify({ peft_type: "LORA", r: rank, lora_alpha: 16, use_rslora: false, rank_pattern: {}, ...config }) };
}

test("an adapter comes back with its layers, and every number within half a level of its row", () => {
  for (const rank of [1, 2, 3]) {
    for (const chosen of [[layers[0]], [layers[1], layers[2]], layers.slice(0, 4)]) {
      for (const limit of [LONGEST, 1500]) {
        const files = adapter(chosen, rank, { seed: rank });
        const { text, bits, numbers } = encodeAdapter(files, base, limit);
        assert.equal(numbers, chosen.reduce((sum, layer) => sum + rank * (layer.in + layer.out), 0));
        if (!text) continue;
        assert.ok(text.length <= limit, `${text.length} characters`);
        const back = decodeAdapter(text, base);
        const config = JSON.parse(back.config);
        assert.deepEqual([config.r, config.lora_alpha, config.target_modules], [rank, 16, chosen.map(({ name }) => name)]);
        const [was, is] = [readSafetensors(files.safetensors), readSafetensors(back.safetensors)];
        assert.deepEqual([...is.keys()], [...was.keys()]);
        for (const [name, { shape, values }] of was) {
          const got = is.get(name);
          assert.deepEqual(got.shape, shape);
          values.forEach((x, i) => {
            const k = name.includes("lora_A") ? Math.floor(i / shape[1]) : i % rank;
            const row = values.filter((_, j) => (name.includes("lora_A") ? Math.floor(j / shape[1]) : j % rank) === k);
            const half = Math.max(...row.map(Math.abs)) / (2 ** bits - 2);
            assert.ok(Math.abs(got.values[i] - x) <= half * 1.01, `${name}[${i}]: ${got.values[i]} for ${x}`);
          });
        }
      }
    }
  }
});

test("more room is more bits, and what does not fit says how much would", () => {
  const files = adapter(layers.slice(0, 4), 2);
  const limits = [400, 720, 860, 1000, 6000].map((limit) => encodeAdapter(files, base, limit));
  assert.deepEqual(limits.map(({ bits }) => bits), [4, 4, 5, 6, 8]);
  assert.equal(limits[0].text, undefined);
  assert.ok(limits[0].room < limits[0].numbers);
  for (const { text, room, numbers } of limits.slice(1)) assert.ok(text && room >= numbers);
});

test("zeros stay zeros: a new adapter changes nothing in a link either", () => {
  const files = adapter([layers[0]], 2, { size: 0 });
  const back = readSafetensors(decodeAdapter(encodeAdapter(files, base).text, base).safetensors);
  for (const { values } of back.values()) assert.ok(values.every((x) => x === 0));
});

test("rsLoRA and an odd alpha are kept", () => {
  const files = adapter([layers[0]], 2, { config: { use_rslora: true, lora_alpha: 0.5 } });
  const { use_rslora, lora_alpha } = JSON.parse(decodeAdapter(encodeAdapter(files, base).text, base).config);
  assert.deepEqual([use_rslora, lora_alpha], [true, 0.5]);
});

test("what a link cannot hold is refused when it is made", () => {
  for (const lora_alpha of [-1, 0, 1e6, 1e-60, Infinity, "16", undefined]) {
    assert.throws(() => encodeAdapter(adapter([layers[0]], 2, { config: { lora_alpha } }), base), { code: "unsupported", message: /alpha/ }, `${lora_alpha}`);
  }
  assert.throws(() => encodeAdapter(adapter([layers[0]], 2, { config: { rank_pattern: { c_attn: 4 } } }), base), { code: "unsupported" });
  assert.throws(() => encodeAdapter(adapter([{ name: "elsewhere", in: 4, out: 4 }], 2), base), { code: "unsupported" });
  const broken = adapter([layers[0]], 1);
  new DataView(broken.safetensors.buffer).setFloat32(broken.safetensors.length - 4, NaN, true);
  assert.throws(() => encodeAdapter(broken, base), { code: "not-finite" });
});

test("a link that was cut, mistyped, forged or made for another base is refused as a whole", () => {
  const { text } = encodeAdapter(adapter(layers.slice(0, 2), 2), base);
  assert.ok(decodeAdapter(text, base));
  const refused = (changed, code = "link-format") => assert.throws(() => decodeAdapter(changed, base), { code }, changed.slice(0, 40));
  for (const changed of ["", "A", "AAAA", "<script>", "a b", `${text}=`, text.slice(0, -1), text.slice(0, 40), text + text, "A".repeat(LONGEST + 1), "é".repeat(30)]) refused(changed);
  for (let at = 0; at < text.length; at += 7) refused(text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1));
  assert.throws(() => decodeAdapter(text, { ...base, digest: "f".repeat(64) }), { code: "other-base", message: /0123456789abcdef/ });
  assert.throws(() => decodeAdapter(text, { ...base, layers: layers.slice(1) }), { code: "link-format" });
});

test("a forged link with a right check sum gets no further", () => {
  const { text } = encodeAdapter(adapter([layers[0]], 2), base);
  /** The same bytes with some replaced and the check sum computed again. */
  const forged = (at, ...values) => {
    const bytes = Uint8Array.from(Buffer.from(text, "base64url"));
    bytes.set(values, at);
    let crc = ~0;
    for (const byte of bytes.subarray(0, -4)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    new DataView(bytes.buffer).setUint32(bytes.length - 4, ~crc >>> 0, true);
    return Buffer.from(bytes).toString("base64url");
  };
  assert.ok(decodeAdapter(forged(0, 1), base), "the forger's check sum is right");
  const infinite = [0x80, 0x7f];
  for (const [at, ...values] of [[0, 2], [1, 3], [1, 0], [1, 255], [2, 0], [2, 255], [2, 1], [3, 2], [4, 0, 0, 0x80, 0x7f], [4, 0, 0, 0, 0], [16, 4], [17, 0], [17, 3], [18, ...infinite], [18, 0xff, 0xff], [26, 255, 255, 255]]) {
    assert.throws(() => decodeAdapter(forged(at, ...values), base), { code: "link-format" }, `${values} at ${at}`);
  }
});
