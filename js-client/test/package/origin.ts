/** A server of pages, of an origin of its own. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
};

/** Serves the files of a folder; gives the origin, and what ends it. */
export async function servePages(folder: string): Promise<{ origin: string; close(): void }> {
  const server = createServer(async ({ url = "/" }, answer) => {
    const path = normalize(url === "/" ? "/page.html" : url);
    const content = await readFile(join(folder, path)).catch(() => undefined);
    answer.statusCode = content ? 200 : 404;
    answer.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
    answer.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}
