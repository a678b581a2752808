/** Every operation of the server's OpenAPI document has a method. */
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Client, createClient } from "../src/full.js";
import { CORE_PATHS, MORE_PATHS } from "../src/generated/calls.js";
import { createClient as createCore } from "../src/index.js";

const VERBS: Record<string, string> = { G: "get", P: "post", U: "put", A: "patch", D: "delete" };

/** Operations whose methods are written by hand. */
const BY_HAND: Record<string, keyof Client & string> = {
  changes: "changes",
  diff: "diff",
  download_result: "download",
  metrics: "metrics",
  read_row: "readRow",
  read_row_of_key: "readRowOfKey",
  search_rows: "search",
  stream_rows: "streamData",
  write_part: "upload",
};

/** Names by which users of an earlier SDK look for things. */
const EARLIER = [
  ...["listTables", "insertRows", "query", "updateRows", "deleteRows", "executeBatchOperations"],
  ...["createJob", "getJob", "importData", "exportData", "registerWebhook", "streamData"],
  ...["addComputedColumn", "createComputedColumn"],
] as const;

interface Document {
  readonly paths: Record<string, Record<string, { operationId: string }>>;
}

test("each operation is one method's", async () => {
  const text = await readFile(new URL("../../docs/openapi.json", import.meta.url), "utf8");
  const methods = new Map<string, string>();
  for (const line of `${CORE_PATHS}\n${MORE_PATHS}`.split("\n")) {
    const [path = "", ...words] = line.split(" ");
    for (const word of words) {
      const at = path.startsWith("//") ? path.slice(1) : `/api/v1${path}`;
      methods.set(`${VERBS[word[0] ?? ""]} ${at}`, word.slice(2));
    }
  }
  const client = createClient({ url: "http://127.0.0.1" });
  let operations = 0;
  for (const [path, verbs] of Object.entries((JSON.parse(text) as Document).paths)) {
    for (const [verb, { operationId }] of Object.entries(verbs)) {
      const key = `${verb} ${path.replaceAll(/\{\w+\}/g, "{}")}`;
      const name = BY_HAND[operationId] ?? methods.get(key);
      expect(name, `${operationId} (${key}) has no method`).toBeDefined();
      expect(client[name as keyof Client], name).toBeTypeOf("function");
      operations++;
    }
  }
  expect(operations).toBeGreaterThan(100);
});

/** Methods that are another one by a second name, or that another one calls. */
const BY_OTHERS: Record<string, string> = {
  addComputedColumn: "createComputedColumn",
  batch: "executeBatchOperations",
  completeUpload: "upload",
  createWebhook: "registerWebhook",
};

test("each method is called by a test that asks a real server", async () => {
  const here = new URL("./", import.meta.url);
  const files = (await readdir(here)).filter((name) => name.endsWith(".test.ts"));
  const texts = await Promise.all(files.map((name) => readFile(new URL(name, here), "utf8")));
  const asking = texts.filter((text) => /inject\("server"\)|await startServer\(/.test(text));
  const called = new Set(
    asking
      .flatMap((text) => [...text.matchAll(/(?<=\.|pages\(")\w+(?=[("<])/g)])
      .map(([name]) => name),
  );
  const words = `${CORE_PATHS}\n${MORE_PATHS}`
    .split("\n")
    .flatMap((line) => line.split(" ").slice(1));
  const methods = [...words.map((word) => word.slice(2)), ...Object.values(BY_HAND)];
  const untried = methods.filter((name) => !called.has(name) && !called.has(BY_OTHERS[name] ?? ""));
  expect(untried).toEqual([]);
});

test("the names of an earlier SDK are there in every client", () => {
  const client = createCore({ url: "http://127.0.0.1" });
  for (const name of EARLIER) expect(client[name], name).toBeTypeOf("function");
  const full = createClient({ url: "http://127.0.0.1" });
  expect(full).toBeInstanceOf(Client);
});

test("what is missing in a path is told before anything is sent", async () => {
  const client = createClient({ url: "http://127.0.0.1" });
  await expect(client.dropTable("")).rejects.toThrow("dropTable() was given no name");
  await expect(client.dropRole(undefined as never)).rejects.toThrow("dropRole()");
  await expect(client.deleteRowOfKey("t", [])).rejects.toThrow("deleteRowOfKey()");
  await expect(client.delete("t", {})).rejects.toThrow("Say which rows");
  await expect(client.update("t", { n: 1 }, "")).rejects.toThrow("Say which rows");
});
