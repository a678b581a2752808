/** The package as it is built and packed: what is in it, and that it works in every runtime. */
import { execFile, execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../src/index.js";
import { installed, packedFiles, ROOT } from "./package/installed.js";
import { servePages } from "./package/origin.js";
import { buildsFor, RUNTIMES } from "./package/runtimes.js";
import { type Server, startServer } from "./server.js";

const PYTHON = fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));
// Two streams of pyarrow's, with the numbers from 0 to 9,999, as two lines of base64.
const COMPRESSED = `
import base64, pyarrow as pa
table = pa.table({"n": range(10_000)})
for codec in ("zstd", "lz4"):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as w:
        w.write_table(table)
    print(base64.b64encode(sink.getvalue()).decode())
`;
const SUM = 49_995_000;
const TOLD = {
  put: { rows: 3, duplicate: true },
  names: ["Eve", "Bob", "Ann"],
  first: { name: "O'Hara", n: String(2n ** 62n) },
  left: true,
  foreign: true,
  errors: [
    "NotFoundError: table_not_found",
    "UnauthenticatedError: unauthenticated",
    "ArgumentError: invalid_request",
    "UnsupportedTypeError: unsupported_type",
    "InvalidRequestError: invalid_data",
  ],
  zstd: SUM,
  lz4: SUM,
  jobs: 0,
};

describe("what is packed", () => {
  test("is what was built, and the papers", () => {
    const papers = ["CHANGELOG.md", "LICENSE", "README.md", "THIRD-PARTY-LICENSES.md", "TYPES.md"];
    const rest = packedFiles().filter((name) => !/^dist\/[\w.-]+\.(c?js|d\.c?ts|map)$/.test(name));
    expect(rest).toEqual([...papers, "package.json"]);
    expect(readFileSync(join(ROOT, "LICENSE"))).toEqual(readFileSync(join(ROOT, "../LICENSE")));
  });

  test("has each file that its package.json names, and needs its peers alone", () => {
    const told = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const { exports, main, module, types, bin = {} } = told;
    const named = JSON.stringify([exports, main, module, types, bin]).match(/\.\/dist\/[^"]+/g);
    const files = packedFiles();
    expect(named?.length).toBeGreaterThan(12);
    expect(named?.filter((name) => !files.includes(name.slice(2)))).toEqual([]);
    expect(told.dependencies).toBeUndefined();
    expect(Object.keys(told.peerDependencies)).toEqual(["@grpc/grpc-js", "apache-arrow"]);
  });
});

describe("where it is installed", () => {
  let folder: string;
  let server: Server;
  let pages: Awaited<ReturnType<typeof servePages>>;
  let compressed: { zstd?: string | undefined; lz4?: string | undefined };

  beforeAll(async () => {
    folder = installed();
    pages = await servePages(folder);
    server = await startServer({ cors_origins: pages.origin });
    const [zstd, lz4] = execFileSync(PYTHON, ["-c", COMPRESSED], { encoding: "utf8" }).split("\n");
    compressed = { zstd, lz4 };
  }, 60_000);
  afterAll(async () => {
    pages?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const given = (table: string) => ({ url: server.url, key: server.key, table, compressed });

  async function run(command: readonly string[], program: string, what: object): Promise<unknown> {
    const [file = "", ...words] = [...command, program, JSON.stringify(what)];
    const { stdout } = await promisify(execFile)(file, words, { cwd: folder });
    return JSON.parse(stdout);
  }

  test.each(["mjs", "cjs"])("it works in Node, by HTTP and by Flight, in .%s", async (kind) => {
    const program = `consumer.${kind}`;
    const { flight } = server;
    const [overHttp, overFlight] = await Promise.all([
      run(["node"], program, given(`${kind}_http`)),
      run(["node"], program, { ...given(`${kind}_flight`), flight }),
    ]);
    expect(overHttp).toEqual(TOLD);
    expect(overFlight).toEqual(TOLD);
  });

  test("its command writes tables as types", async () => {
    const client = createClient({ url: server.url, key: server.key });
    await client.put("planes", [{ tail: "N1", seats: 4n }], { mode: "create" });
    await client.close();
    const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const command = join(folder, "node_modules/pixelflight", bin["pixelflight-typegen"]);
    const env = { ...process.env, PIXELFLIGHT_HTTP_URL: server.url, PIXELFLIGHT_KEY: server.key };
    const { stdout } = await promisify(execFile)("node", [command, "planes"], { env });
    expect(stdout).toContain("seats: bigint | null;");
  });

  test("it works in Chromium, from a page of another origin", async () => {
    const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const tab = await browser.newPage();
      const complaints: string[] = [];
      tab.on("pageerror", (error) => complaints.push(String(error)));
      await tab.goto(pages.origin);
      await tab.waitForFunction("window.tour");
      const told = await tab.evaluate(`tour(${JSON.stringify(given("browser"))})`);
      expect(complaints).toEqual([]);
      expect(told).toEqual(TOLD);
    } finally {
      await browser.close();
    }
  });

  describe.each(RUNTIMES)("in $name", ({ name, command }) => {
    if (!command) {
      test("there is no build for this machine", () => expect(buildsFor(name)).toEqual([]));
      return;
    }
    test("it works by HTTP and by Flight", async () => {
      const { flight } = server;
      const [overHttp, overFlight] = await Promise.all([
        run(command, "consumer.mjs", given(`${name}_http`)),
        run(command, "consumer.mjs", { ...given(`${name}_flight`), flight }),
      ]);
      expect(overHttp).toEqual(TOLD);
      expect(overFlight).toEqual(TOLD);
    });
  });
});
