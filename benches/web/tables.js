// The results as Markdown.

const number = (/** @type {number} */ x) => Math.round(x).toLocaleString("en-GB");
const megabytes = (/** @type {number | undefined} */ bytes) => (bytes ? `${number(bytes / 1e6)}` : "–");
const factor = (/** @type {number} */ x) => `${x.toFixed(x < 9.95 ? 2 : 0)} ×`;
const day = (/** @type {{ date: string }} */ { date }) => date.slice(0, 10);
const row = (/** @type {(string | number)[]} */ ...cells) => `| ${cells.join(" | ")} |`;
/** @param {(string | number)[]} head @param {(string | number)[][]} rows */
const table = (head, rows) => [row(...head), row(...head.map(() => "---")), ...rows.map((cells) => row(...cells))].join("\n");

/** When and where, once for all parts that were measured together. @param {Record<string, any>} results */
function where(results) {
  const all = Object.values(results).filter(({ browser }) => browser);
  if (!all.length) return "Nothing was measured yet.";
  const places = new Set(all.map((result) => `${day(result)}, ${result.machine}, ${result.browser} headless`));
  return [...places].join("; ");
}

/** README.md's part. @param {Record<string, any>} results */
export function figures(results) {
  const { page, steps, peers, native } = results;
  if (!Object.keys(results).length) return where(results);
  const parts = [`${where(results)}: \`cargo xtask bench web\`. Machines differ; compare within a table.`];
  if (steps) {
    const { S, M } = steps.configs;
    const peaks = S.peaks.map((/** @type {any} */ { lanes, gflops }) => `${gflops.toFixed(1)} GFLOP/s with ${lanes}`).join(" and ");
    parts.push(`One training step of 4 × 128 tokens, LoRA of rank 8 on all linear layers; S has 6 blocks of width 192, M of width 384. "Peak" is the share of what one core can do
at all in WebAssembly, ${peaks} in that run. "Candle" is the speed against plain candle in the same rounds; MB are those of one worker's WebAssembly memory.`, stepTable(steps, peers, native));
    if (!M) parts.push("M was not measured.");
  }
  if (peers) parts.push(peerWords(peers));
  if (steps && native) parts.push(`PyTorch's rows are from [\`benches/native/torch_peft.py\`](benches/native/torch_peft.py), on ${day(native)} on ${native.machine}: another run, so no ratio, and the memory of the whole process.`);
  if (page) {
    const { bytes, step } = page;
    parts.push("The page with its default settings:", table(["", ""], [
      ["from opening the page to ready / to a first training step, on localhost", `${(page.readyMilliseconds / 1000).toFixed(2)} s / ${(page.firstStepMilliseconds / 1000).toFixed(2)} s`],
      ["one training step of the tiny model", `${number(step.milliseconds)} ms, ${number(step.tokensPerSecond)} tokens/s`],
      ["writing with a cache", `${number(page.writtenTokensPerSecond)} tokens/s`],
      ["WebAssembly memory after that", `${megabytes(page.memory)} MB`],
      ["to download: wasm, gzipped / model / an adapter", `${[bytes.wasmGzipped, bytes.model, bytes.adapter].map((x) => (x / 1e6).toFixed(2)).join(" / ")} MB`],
    ]));
  }
  return parts.join("\n\n");
}

/** Ours and plain candle from one part, the peers from another: each of them beside ours of its own rounds. @param {any} steps @param {any} peers @param {any} native */
function stepTable(steps, peers, native) {
  const { S, M } = steps.configs;
  const find = (/** @type {any} */ config, /** @type {string} */ name) => config?.contenders.find((/** @type {any} */ one) => one.name === name);
  const cells = (/** @type {any} */ one, /** @type {string} */ against) =>
    one ? [number(one.tokensPerSecond), one.share ? `${Math.round(one.share * 100)} %` : "–", against, megabytes(one.memory)] : ["–", "–", "–", "–"];
  const rows = S.contenders.map(({ name }) => [
    name, ...[S, M].flatMap((config) => {
      const one = find(config, name);
      return cells(one, one ? factor(one.againstPlain) : "–");
    }),
  ]);
  const others = peers?.plain.configs.S.contenders.slice(1) ?? [];
  for (const { name } of others) {
    rows.push([name, ...["S", "M"].flatMap((config) => {
      const one = find(peers.plain.configs[config], name);
      const same = find(peers.plain.configs[config], peers.plain.configs.S.contenders[0].name);
      // Against plain candle by way of ours, which ran beside both.
      const ours = find(steps.configs[config], same?.name);
      return cells(one, one && ours ? factor(ours.againstPlain / one.oursAgainstIt) : "–");
    })]);
  }
  for (const { name } of native?.configs.S.contenders ?? []) rows.push([name, ...["S", "M"].flatMap((config) => cells(find(native.configs[config], name), "–"))]);
  const half = (/** @type {string} */ config) => [`${config}: tokens/s`, "peak", "candle", "MB"];
  return table(["", ...half("S"), ...half("M")], rows);
}

/** What a reader should know about the peers' rows. @param {any} peers */
function peerWords(peers) {
  const faster = [];
  for (const [page, { configs }] of Object.entries(peers).filter(([, value]) => value?.configs)) {
    for (const [config, { contenders }] of Object.entries(/** @type {Record<string, any>} */ (configs))) {
      for (const { name, oursAgainstIt } of contenders.slice(1)) {
        if (oursAgainstIt < 1) faster.push(`${name} is ${factor(1 / oursAgainstIt)} as fast as LoRA Lab on ${config} (${page === "plain" ? "any page" : "with isolation headers"})`);
      }
    }
  }
  const isolated = peers.isolated.configs.S.contenders.slice(1).map((/** @type {any} */ { name, tokensPerSecond }) => `${name} ${number(tokensPerSecond)}`);
  const unable = Object.entries(/** @type {Record<string, any>} */ (peers.plain.configs)).flatMap(([config, { unable }]) =>
    unable.map((/** @type {any} */ { name, reason }) => `${name} is missing on ${config}: ${reason}`));
  return [
    "The other libraries train the same model on the same tokens, and their first losses agree with ours to 0.001; the source is in [`benches/web/peers/`](benches/web/peers).",
    isolated.length ? `Where a server sends the headers that let them use shared memory, on S: ${isolated.join(", ")} tokens/s.` : "",
    ...unable.map((/** @type {string} */ words) => `${words.replace(/\.?$/, ".")}`),
    faster.length ? `**${faster.join("; ")}.**` : "None that was timed is faster than one worker here.",
  ].filter(Boolean).join(" ");
}

/** benches/README.md's part. @param {Record<string, any>} results @param {import("./report.js").Gate[]} gates */
export function details(results, gates) {
  const parts = [where(results)];
  if (results.steps) {
    parts.push("### Gates", table(["", "config", "wanted", "reached", ""], gates.map(({ name, config, wanted, got, met }) => [name, config, wanted, got, met === undefined ? "–" : met ? "met" : "**missed**"])));
  }
  if (results.kernels) for (const [config, part] of Object.entries(results.kernels.configs)) parts.push(...kernelTable(config, part));
  if (results.growth) parts.push(...growthTables(results.growth));
  return parts.join("\n\n");
}

/** @param {string} config @param {any} part */
function kernelTable(config, { peaks, kernels }) {
  const peak = peaks.map((/** @type {any} */ { lanes, gflops }) => `${gflops.toFixed(1)} GFLOP/s (${lanes})`).join(", ");
  const rate = (/** @type {number} */ flops, /** @type {number} */ time) => (flops > 0 ? (flops / time / 1e3).toFixed(1) : "–");
  const rows = kernels.map((/** @type {any} */ { kernel, shape, flops, microseconds, againstCandle, share }) => [
    kernel, shape, ...["simd128", "relaxed-simd", "candle"].map((who) => rate(flops, microseconds[who])), share ? `${Math.round(share.simd128 * 100)} %` : "–",
    ...["simd128", "candle"].map((who) => microseconds[who].toLocaleString("en-GB", { maximumSignificantDigits: 3 })), factor(againstCandle),
  ]);
  return [
    `### Kernels, config ${config}`, `In the shapes of one sequence, each checked against its definition first. Peak: ${peak}.`,
    table(["", "shape", "GFLOP/s simd128", "relaxed", "candle", "share of the peak", "µs simd128", "µs candle", "times as fast"], rows),
  ];
}

/** @param {any} growth */
function growthTables({ axes }) {
  const parts = ["### How cost grows", `One training step in milliseconds, one worker, simd128; what does not vary is config S's. "Grows as" is the exponent from the size
before to this one, of the time and of the useful work; where the two differ, the share of the peak changes. Dashed in the drawing: what growth in proportion to the first point would be.`, "![One training step over each size, on logarithmic axes](../docs/img/growth.svg)"];
  for (const { axis, batch, points } of axes) {
    const [first] = points;
    const exponents = (/** @type {"milliseconds" | "flops"} */ of) => points.map((/** @type {any} */ point, /** @type {number} */ i) =>
      i ? `${axis}^${(Math.log(point[of] / points[i - 1][of]) / Math.log(point.value / points[i - 1].value)).toFixed(2)}` : "");
    parts.push(`**${axis}**${batch ? `, batch ${batch}` : ""}`, table(
      [axis, ...points.map((/** @type {any} */ { value }) => value)],
      [
        ["ms", ...points.map((/** @type {any} */ { milliseconds }) => milliseconds.toLocaleString("en-GB", { maximumSignificantDigits: 3 }))],
        ["grows as", ...exponents("milliseconds")], ["its work as", ...exponents("flops")],
        ["share of the peak", ...points.map((/** @type {any} */ { share }) => `${Math.round(share * 100)} %`)],
        ["MB", ...points.map((/** @type {any} */ { memory }) => megabytes(memory))],
      ]));
    if (!first) parts.pop();
  }
  return parts;
}
