// Pages of other people that embed the element: a server for ours, one on another port for theirs.
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveFolder } from "./server.js";

export const WWW = fileURLToPath(new URL("../../www/", import.meta.url));

export const docs = await readFile(new URL("../../docs/embedding.md", import.meta.url), "utf8");
/** What stands in a fence of docs/embedding.md and begins so. @param {string} start */
const fenced = (start) => docs.split("\n```\n").map((text) => text.trim()).find((text) => text.startsWith(start)) ?? `docs/embedding.md has no ${start}`;

/** What our server has to say for another origin to be allowed to load what it holds, as the docs have it. */
export const CORS = Object.fromEntries([fenced("Access-Control-Allow-Origin").split(": ")]);

/** The policy that the docs give an embedder of files at `origin`. @param {string} origin */
export const policy = (origin) => fenced("default-src").replaceAll("https://lab.example", origin);

/** The attributes of so small a training that it takes a moment. */
export const QUICK = 'steps="4" batch="2" block="32" lr="0.01" rank="4" length="12"';

/** A page around some HTML. @param {string} body @param {{ policy?: string, script?: string }} [options] */
export const html = (body, { policy, script = "" } = {}) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Somebody's page</title><link rel="icon" href="data:,">
${policy ? `<meta http-equiv="Content-Security-Policy" content="${policy}">` : ""}
</head><body>${body}${script && `<script type="module" src="${script}"></script>`}</body></html>`;

/** A server that holds these pages alone. @param {Record<string, string | Uint8Array>} pages @param {Record<string, string>} [headers] */
export async function theirSite(pages, headers) {
  return serveFolder(await mkdtemp(join(tmpdir(), "lora-lab-theirs-")), { path: "/", pages, headers });
}
