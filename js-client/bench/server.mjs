/** The server that is measured, as a user starts it, in a process of its own. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** Starts it on free ports: `{ url, flight, key, stop }`. */
export async function startServer() {
  const data = await mkdtemp(join(tmpdir(), "pixelflight-bench-"));
  const python = fileURLToPath(new URL(".venv/bin/python", ROOT));
  const serve = ["-m", "flight_server", "serve", "--data", data];
  const addresses = ["--flight", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "WARNING"];
  const child = spawn(python, [...serve, ...addresses], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const line = await firstLine(child.stdout);
  const words = new Map(line.split(" ").map((word) => word.split(/=(.*)/s).slice(0, 2)));
  return {
    url: words.get("http"),
    flight: words.get("flight"),
    key: (await readFile(join(data, "admin.key"), "utf8")).trim(),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function firstLine(stream) {
  let said = "";
  for await (const chunk of stream) {
    said += chunk;
    if (said.includes("\n")) return said.split("\n")[0];
  }
  throw new Error(`the server did not start: ${said}`);
}
