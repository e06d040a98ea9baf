// A static server of the test's own, under a sub-path: relative URLs are proven by it, and what was asked for is recorded.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

/** As `cargo xtask serve` has it: a sandboxed frame is of another origin, wherever it comes from. */
const OURS = { "Access-Control-Allow-Origin": "*" };

/**
 * @param {string} folder
 * @param {object} [options]
 * @param {string} [options.path] under which it lies
 * @param {(path: string) => string | undefined} [options.override]
 * @param {Record<string, string | Uint8Array>} [options.pages] contents of files that no folder holds
 * @param {Record<string, string>} [options.headers] that go with every answer, in place of what `serve` sends
 * @param {number} [options.port] else any that is free
 */
export async function serveFolder(folder, { path = "/some/where/", override, pages = {}, headers = OURS, port = 0 } = {}) {
  /** @type {{ file: string, bytes: number }[]} every answer, in its order */
  const sent = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const inside = url.pathname.startsWith(path) ? normalize(url.pathname.slice(path.length)) : "..";
    if (inside.startsWith("..")) return response.writeHead(404).end();
    const file = inside === "." || inside.endsWith("/") || inside === "" ? join(inside, "index.html") : inside;
    try {
      const instead = override?.(file);
      const body = Object.hasOwn(pages, file) ? Buffer.from(pages[file]) : await readFile(instead ?? join(folder, file));
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      sent.push({ file, bytes: body.length });
      response.writeHead(200, { "Content-Type": type, "Content-Length": body.length, "Cache-Control": "no-store", ...headers }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    port: server.address().port,
    origin,
    sent,
    url: `${origin}${path}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
