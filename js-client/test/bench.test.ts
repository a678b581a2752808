/** The benches run, with sizes so small that their figures mean nothing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the benches run", async () => {
  const bench = [new URL("../bench/main.mjs", import.meta.url).pathname, "--quick"];
  const { stdout } = await promisify(execFile)(process.execPath, bench);
  const [machine, ...rows] = stdout.trim().split("\n");
  expect(machine).toContain("cores");
  expect(rows).toHaveLength(11);
  for (const row of rows) expect(row).toMatch(/: [\d.]+ (×|%|ms|MB).*, asked [≤≥] [\d.]+/);
}, 60_000);
