/** Computed columns, indexes, searches and models, which multimodal tables have. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, createClient, NotFoundError } from "../src/full.js";
import { type Server, startServer } from "./server.js";

const TABLE = "pixeltable:points";

let home: string;
let server: Server;
let client: Client;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "pixelflight-js-home-"));
  server = await startServer({ pixeltable: home, pixeltable_providers: "openai" });
  client = createClient({ url: server.url, key: server.key });
}, 120_000);
afterAll(async () => {
  if (server) {
    // The home's own PostgreSQL ends with a server that is told to end.
    const ended = new Promise((resolve) => server.process.once("exit", resolve));
    server.process.kill("SIGTERM");
    await ended;
    await server.stop();
  }
  await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}, 60_000);

test("columns are computed, and rows are found that are near to a vector", async () => {
  await client.createTable({
    table: TABLE,
    columns: [
      { name: "id", type: "int64" },
      { name: "price", type: "int64" },
      { name: "at", type: "fixed_size_list<float>[2]" },
    ],
  });
  await client.insertRows(TABLE, [
    { id: 1, price: 2, at: [1, 0] },
    { id: 2, price: 3, at: [0, 1] },
    { id: 3, price: 9, at: [0.9, 0.1] },
  ]);
  await client.createIndex(TABLE, { column: "at", metric: "cosine", name: "near" });
  expect((await client.listIndexes(TABLE)).indexes.map(({ name }) => name)).toEqual(["near"]);
  const near = { vector: [1, 0], columns: ["id"], limit: 2 };
  const found = await client.search(TABLE, "at", near).toArray();
  expect(found.map(({ id }) => id)).toEqual([1n, 3n]);
  expect(found[0]?._score).toBeCloseTo(1, 2);
  const others = await client.search(TABLE, "at", { ...near, filter: { id: { gt: 1 } } }).toArray();
  expect(others.map(({ id }) => id)).toEqual([3n, 2n]);
  await client.dropIndex(TABLE, "near");

  const expression = { column_type: "expression" as const, expression: "price * 2" };
  await client.createComputedColumn(TABLE, { name: "twice", ...expression, cache_results: true });
  expect(await client.from(TABLE).select("twice").orderBy("twice").toArray()).toEqual([
    { twice: 4n },
    { twice: 6n },
    { twice: 18n },
  ]);
  await client.changeComputedColumn(TABLE, "twice", { rename_to: "doubled" });
  const { columns } = await client.listComputedColumns(TABLE);
  expect(columns.map(({ name }) => name)).toEqual(["doubled"]);
  const where = { price: { gt: 2 } };
  expect(await client.recomputeColumn(TABLE, "doubled", { where })).toMatchObject({ rows: 2 });
  expect((await client.listCellErrors(TABLE, "doubled", { limit: 5 })).errors).toEqual([]);
  await client.dropComputedColumn(TABLE, "doubled");

  expect((await client.listFunctions()).functions.length).toBeGreaterThan(100);
  expect((await client.listModelUsage()).usage).toEqual([]);
}, 60_000);

test("keys of providers of models are set, shown masked, and forgotten", async () => {
  const secret = "sk-nothing-0123456789abcdef";
  const ofOpenAi = async () => (await client.listProviders()).providers;
  expect(await ofOpenAi()).toMatchObject([{ provider: "openai", takes_key: true, key: null }]);
  const set = await client.setProviderKey("openai", { key: secret });
  expect(set).toMatchObject({ provider: "openai" });
  const [told] = await ofOpenAi();
  expect(told?.key).toEqual(set.key);
  expect(JSON.stringify([set, told])).not.toContain(secret);
  expect(await client.dropProviderKey("openai")).toBeUndefined();
  expect(await ofOpenAi()).toMatchObject([{ provider: "openai", key: null }]);
  await expect(client.dropProviderKey("openai")).rejects.toThrow(NotFoundError);
  await expect(client.setProviderKey("nobody", { key: secret })).rejects.toThrow(NotFoundError);
});
