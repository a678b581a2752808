/** A real server, started by the tests that ask it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
const PYTHON = fileURLToPath(new URL(".venv/bin/python", ROOT));

/** Where a server answers, and the administrator's key. */
export interface Server {
  readonly flight: string;
  readonly url: string;
  readonly key: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** Starts `pixelflight serve` on free ports. Settings go by their names. */
export async function startServer(settings: Record<string, string | number> = {}): Promise<Server> {
  const data = await mkdtemp(join(tmpdir(), "pixelflight-js-"));
  const named = Object.entries({ durability: "none", job_niceness: 0, ...settings });
  const given = named.map(([name, value]) => [`PIXELFLIGHT_${name.toUpperCase()}`, String(value)]);
  const serve = ["-m", "flight_server", "serve", "--data", data];
  const addresses = ["--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  const child = spawn(PYTHON, [...serve, ...addresses], {
    cwd: ROOT,
    env: { ...process.env, ...Object.fromEntries(given) },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const line = await ready(child);
  const words = Object.fromEntries(line.split(" ").map((word) => word.split(/=(.*)/s).slice(0, 2)));
  return {
    flight: String(words.flight),
    url: String(words.http),
    key: (await readFile(join(data, "admin.key"), "utf8")).trim(),
    process: child,
    async stop() {
      child.kill("SIGKILL");
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const line = said.split("\n").find((one) => one.startsWith("ready "));
      if (line) resolve(line.trim());
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
}
