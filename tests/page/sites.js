// Pages of other people that embed the element: a server for ours, one on another port for theirs.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveFolder } from "./server.js";

export const WWW = fileURLToPath(new URL("../../www/", import.meta.url));

/** What our server has to say for another origin to be allowed to load what it holds. */
export const CORS = { "Access-Control-Allow-Origin": "*" };

/** The attributes of so small a training that it takes a moment. */
export const QUICK = 'steps="4" batch="2" block="32" lr="0.01" rank="4" length="12"';

/** A page around some HTML. @param {string} body @param {{ policy?: string, script?: string }} [options] */
export const html = (body, { policy, script = "" } = {}) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Somebody's page</title><link rel="icon" href="data:,">
${policy ? `<meta http-equiv="Content-Security-Policy" content="${policy}">` : ""}
</head><body>${body}${script && `<script type="module" src="${script}"></script>`}</body></html>`;

/** A server that holds these pages alone. @param {Record<string, string | Uint8Array>} pages */
export async function theirSite(pages) {
  return serveFolder(await mkdtemp(join(tmpdir(), "lora-lab-theirs-")), { path: "/", pages });
}
