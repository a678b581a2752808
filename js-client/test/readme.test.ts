/**
 * The README keeps its word: its blocks of TypeScript are one program, which is compiled and run
 * with the package as it is packed, against a real server. A block of text is what the block before
 * it prints, with `...` for what differs from run to run.
 */
import { execFile } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile, installed, ROOT } from "./package/installed.js";
import { type Server, startServer } from "./server.js";

const BLOCK = /^```(\w+)\n(.*?)^```$/gms;
const MARK = "-- the end of block";

interface Block {
  readonly language: string;
  readonly text: string;
}

let server: Server;
let folder: string;
beforeAll(async () => {
  folder = installed();
  server = await startServer();
}, 60_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("every block compiles, runs, and prints what is shown", async () => {
  const blocks = blocksOf(readFileSync(join(ROOT, "README.md"), "utf8"));
  const run = blocks.filter(({ language }) => language === "ts");
  expect(run.length).toBeGreaterThan(10);
  const program = run.map(({ text }, at) => `${text}console.log("${MARK} ${at}");\n`).join("");
  writeFileSync(join(folder, "readme.mts"), program);
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 };
  writeFileSync(join(folder, "readme.mjs"), ts.transpile(program, options));
  const [printed] = await Promise.all([
    printedBy("readme.mjs"),
    compile(folder, ["readme.mts", "consumer.mts", "consumer.cts"]),
  ]);
  for (const [at, shown] of shownAfter(blocks).entries()) expect(printed[at]).toMatch(shown);
});

/** What the program printed, block by block. */
async function printedBy(program: string): Promise<string[]> {
  const env = {
    ...process.env,
    PIXELFLIGHT_HTTP_URL: server.url,
    PIXELFLIGHT_URL: server.flight,
    PIXELFLIGHT_KEY: server.key,
  };
  const { stdout } = await promisify(execFile)("node", [program], { cwd: folder, env });
  return stdout.split(new RegExp(`^${MARK} \\d+\n`, "m"));
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(BLOCK)].map(([, language = "", text = ""]) => ({ language, text }));
}

/** What each block of TypeScript prints, as a pattern: nothing, where no text follows it. */
function shownAfter(blocks: readonly Block[]): RegExp[] {
  return blocks.flatMap(({ language }, at) => {
    if (language !== "ts") return [];
    const next = blocks[at + 1];
    const text = next?.language === "text" ? next.text : "";
    const pattern = text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replaceAll("\\.\\.\\.", ".*");
    return [new RegExp(`^${pattern}$`)];
  });
}
