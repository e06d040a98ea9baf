// The element in pages of another origin, in sandboxed frames, and under the policies that such pages have.
import assert from "node:assert/strict";
import { pageTest } from "./harness.js";
import { CORS, QUICK, WWW, html, policy, theirSite } from "./sites.js";
import { serveFolder } from "./server.js";

/** Two servers, ours with these headers, and a page on the other. */
async function across(visit, headers, page, use, theirHeaders) {
  const ours = await serveFolder(WWW, { headers });
  const theirs = await theirSite({ "index.html": page(ours) }, theirHeaders);
  try {
    await visit.page.goto(theirs.url);
    await use(ours, theirs);
  } finally {
    await theirs.close();
    await ours.close();
  }
}

const element = `<lora-lab view="compact" ${QUICK}></lora-lab>`;

for (const strict of [false, true]) {
  pageTest(`from another origin it trains, ${strict ? "under the strict policy of the docs" : "in a page without a policy"}`, async (visit) => {
    const page = ({ url, origin }) => html(element, { script: `${url}element.js`, policy: strict ? policy(origin) : undefined });
    await across(visit, CORS, page, async (ours) => {
      await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
      await visit.train();
      const { run } = await visit.state();
      assert.equal(run.step, 4);
      assert.ok(run.heldOut < run.firstHeldOut, `${run.heldOut} after ${run.firstHeldOut}`);
      assert.ok(visit.requests.some((url) => url.startsWith(ours.url) && url.endsWith(".wasm")));
      assert.deepEqual(visit.errors, []);
    });
  });
}

pageTest("a page that is isolated by COOP and COEP may hold it, and has all of its sheets", async (visit) => {
  const full = `<lora-lab ${QUICK}></lora-lab>`;
  await across(visit, CORS, ({ url }) => html(full, { script: `${url}element.js` }), async () => {
    assert.equal(await visit.page.evaluate(() => crossOriginIsolated), true);
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    await visit.page.waitForFunction(() => document.querySelector("lora-lab").shadowRoot.querySelector("link")?.sheet?.cssRules.length > 0);
    assert.deepEqual(visit.errors, []);
  }, { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" });
});

pageTest("a policy without the worker's line says so in the page instead of hanging", async (visit) => {
  const page = ({ url, origin }) => html(element, { script: `${url}element.js`, policy: policy(origin).replace("worker-src blob:", "worker-src 'none'") });
  await across(visit, CORS, page, async () => {
    await visit.until((state) => state.phase === "broken");
    assert.match(await visit.page.locator("[role=alert]:visible").textContent(), /engine/);
  });
});

pageTest("in a sandboxed frame without an origin of its own it trains", async (visit) => {
  const { page } = visit;
  const query = new URLSearchParams({ view: "compact", sample: "robot", theme: "dark", steps: 4, batch: 2, block: 32, length: 12 });
  const frame = ({ url }) => html(`<iframe sandbox="allow-scripts" width="500" height="700" src="${url}embed/frame.html?${query}"></iframe>`);
  await across(visit, CORS, frame, async () => {
    const inside = page.frames()[1];
    const frameElement = page.frameLocator("iframe");
    assert.equal(await inside.evaluate(() => origin), "null");
    assert.equal(await inside.evaluate(() => { try { return String(localStorage); } catch (error) { return error.name; } }), "SecurityError");
    await frameElement.getByRole("button", { name: "Train", exact: true }).click({ timeout: 40_000 });
    await frameElement.getByText(/^Step 4 of 4/).waitFor({ timeout: 40_000 });
    await frameElement.getByRole("button", { name: "Train anew" }).waitFor();
    const state = await inside.evaluate(() => document.querySelector("lora-lab").state);
    assert.equal(state.corpus.id, "robot");
    assert.ok(state.run.heldOut < state.run.firstHeldOut);
    assert.deepEqual(visit.errors, []);
  });
});
