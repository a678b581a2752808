/** Rows by the bodies of JSON, one by one, and as streams of text, against a real server. */
import { afterAll, expect, inject, test } from "vitest";
import { ArgumentError, ConflictError, col, createClient, NotFoundError } from "../src/full.js";

const server = inject("server");
const client = createClient({ url: server.url, key: server.key });

afterAll(() => client.close());

test("rows come and go by the bodies that earlier users know", async () => {
  await client.createTable({
    table: "products",
    columns: [
      { name: "id", type: "int64", nullable: false },
      { name: "price", type: "decimal128(10, 2)" },
    ],
    key: ["id"],
  });
  const told = await client.insertRows(
    "products",
    [
      { id: 1, price: "1.50" },
      { id: 2n ** 60n, price: 2 },
      { id: "no", price: 3 },
    ],
    { on_error: "skip" },
  );
  expect(told).toMatchObject({ rows: 2, errors: [{ row: 3, column: "id" }] });
  await client.updateRows("products", { where: { id: 1 }, set: { price: col("price").plus(1) } });
  expect(await client.readRowOfKey("products", 1)).toEqual({ id: 1n, price: "2.50" });
  expect((await client.readRowOfKey("products", 2n ** 60n)).id).toBe(2n ** 60n);
  const batch = {
    operations: [
      { operation: "insert" as const, table: "products", data: [{ id: 3, price: 12.99 }] },
      { operation: "update" as const, table: "products", where: { id: 3 }, set: { price: 9 } },
    ],
    transaction: true,
  };
  const done = await client.executeBatchOperations(batch);
  expect(done).toMatchObject({ total_operations: 2, successful: 2, failed: 0 });
  const answer = await client.query({
    sql: "SELECT count(*) AS n FROM products WHERE id > $1",
    parameters: [1],
  });
  expect(answer).toMatchObject({ rows: [{ n: 2 }] });
  const count = await client.deleteRows("products", { where: { id: { gt: 3 } } });
  expect(count).toMatchObject({ rows: 1, rows_deleted: 1 });
});

test("rows keep what JSON has no numbers for", async () => {
  const columns = [
    { name: "n", type: "double" },
    { name: "at", type: "timestamp[us, UTC]" },
    { name: "bytes", type: "binary" },
  ];
  await client.createTable({ table: "odd", columns });
  const row = { n: Number.NaN, at: new Date("2026-01-31T12:00:00.250Z") };
  const rows = [{ ...row, bytes: Buffer.from([0, 255]) }, { n: Number.NEGATIVE_INFINITY }];
  await client.insertRows("odd", rows);
  expect(await client.from("odd").orderBy("n").toArray()).toEqual([
    { n: Number.NEGATIVE_INFINITY, at: null, bytes: null },
    { ...row, bytes: new Uint8Array([0, 255]) },
  ]);
});

test("rows are changed one by one, unless somebody came first", async () => {
  await client.put("single", [{ n: 1 }, { n: 2 }], { mode: "create" });
  const [row] = await client.from("single").where({ n: 1 }).withRowId().toArray();
  const id = row?._row_id as bigint;
  const { commit } = await client.updateRow("single", id, { n: 5 });
  expect(await client.readRow("single", id)).toEqual({ n: 5n });
  await client.replaceRow("single", id, { n: 6 }, { ifVersion: commit });
  await expect(
    client.updateRow("single", id, { n: 7 }, { ifVersion: commit }),
  ).rejects.toMatchObject({ code: "version_changed" });
  await client.deleteRow("single", id, { soft: true });
  await expect(client.readRow("single", id)).rejects.toThrow(NotFoundError);
  expect((await client.listDeletions("single")).deletions).toHaveLength(1);
  expect(await client.undeleteRows("single")).toMatchObject({ rows_inserted: 1 });
  expect(await client.from("single").orderBy("n").toArray()).toEqual([{ n: 2n }, { n: 6n }]);
});

test("rows are read with their ETags, which refuse a change that comes late", async () => {
  const text = "ü".repeat(2_000);
  const row = { id: 1n, n: 1n, text };
  await client.put("tagged", [row, { ...row, id: 2n }], { mode: "create", key: "id" });
  const first = await client.readRowOfKeyWithEtag("tagged", 1);
  expect(first.row).toEqual(row);
  const { commit } = await client.updateRowOfKey("tagged", 1, { n: 2 }, { ifMatch: first.etag });
  const late = client.updateRowOfKey("tagged", 1, { n: 3 }, { ifMatch: first.etag });
  const refused = await late.catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ConflictError);
  expect(refused).toMatchObject({ code: "version_changed", status: 412, retryable: false });

  const options = { columns: ["n"], version: commit };
  const [found] = await client.from("tagged").where({ id: 1 }).withRowId().toArray();
  const id = found?._row_id as bigint;
  const second = await client.readRowWithEtag("tagged", id, options);
  expect(second).toEqual({ row: { n: 2n }, etag: `"${commit}"` });
  const both = { ifMatch: second.etag, ifVersion: commit };
  await expect(client.replaceRow("tagged", id, row, both)).rejects.toThrow(ArgumentError);
  await client.replaceRow("tagged", id, row, { ifMatch: second.etag });
  await expect(client.deleteRow("tagged", id, {}, { ifMatch: second.etag })).rejects.toThrow(
    ConflictError,
  );
  expect(await client.readRow("tagged", id)).toEqual(row);
});

test("the ETag of an answer that was compressed is good as well", async () => {
  const row = { id: 1, text: "x".repeat(10_000) };
  await client.put("squeezed", [row], { mode: "create", key: "id" });
  const headers = { "accept-encoding": "gzip" };
  await using far = createClient({ url: server.url, key: server.key, headers });
  const { etag } = await far.readRowOfKeyWithEtag("squeezed", 1);
  expect(etag).toMatch(/^W\/"\d+"$/);
  await far.updateRowOfKey("squeezed", 1, { text: "y" }, { ifMatch: etag });
  const late = far.deleteRowOfKey("squeezed", 1, {}, { ifMatch: etag });
  await expect(late).rejects.toThrow(ConflictError);
});

test("a change whose answer was lost is no conflict with itself", async () => {
  await client.put("lost", [{ n: 1 }], { mode: "create" });
  const { etag } = await client.readRowWithEtag("lost", 0);
  let sent = 0;
  const fetch: typeof globalThis.fetch = async (...asked) => {
    const answer = await globalThis.fetch(...asked);
    if (sent++ === 0) throw new TypeError("fetch failed");
    return answer;
  };
  await using unlucky = createClient({
    url: server.url,
    key: server.key,
    fetch,
    retry: { baseMs: 1 },
  });
  const change = await unlucky.updateRow("lost", 0, { n: { expr: "n + 1" } }, { ifMatch: etag });
  expect(change).toMatchObject({ rows_updated: 1 });
  expect(sent).toBe(2);
  expect(await client.readRow("lost", 0)).toEqual({ n: 2n });
});

test("a row whose ETag does not arrive is one without, and is read all the same", async () => {
  await client.put("bare", [{ n: 1 }], { mode: "create" });
  const fetch: typeof globalThis.fetch = async (...asked) => {
    const { body, status, headers } = await globalThis.fetch(...asked);
    const kept = [...headers].filter(([name]) => name !== "etag");
    return new Response(body, { status, headers: kept as [string, string][] });
  };
  await using behind = createClient({ url: server.url, key: server.key, fetch });
  expect(await behind.readRow("bare", 0)).toEqual({ n: 1n });
  await expect(behind.readRowWithEtag("bare", 0)).rejects.toThrow("without an ETag");
});

test("rows are changed one by one by their keys", async () => {
  const columns = [
    { name: "day", type: "date32", nullable: false },
    { name: "desk", type: "string", nullable: false },
    { name: "n", type: "int64" },
  ];
  await client.createTable({ table: "keyed", columns, key: ["day", "desk"] });
  await client.insertRows("keyed", [{ day: "2026-01-31", desk: "a/b ü", n: 1 }]);
  const key = ["2026-01-31", "a/b ü"];
  await client.updateRowOfKey("keyed", key, { n: 2 });
  expect(await client.readRowOfKey("keyed", key, { columns: ["n"] })).toEqual({ n: 2n });
  const row = { day: "2026-01-31", desk: "a/b ü" };
  const { commit } = await client.replaceRowOfKey("keyed", key, row);
  expect(await client.readRowOfKey("keyed", key)).toMatchObject({ desk: "a/b ü", n: null });
  const late = client.deleteRowOfKey("keyed", key, {}, { ifVersion: commit - 1 });
  await expect(late).rejects.toMatchObject({ code: "version_changed" });
  expect(await client.deleteRowOfKey("keyed", key)).toMatchObject({ rows_deleted: 1 });
  await expect(client.readRowOfKey("keyed", key)).rejects.toThrow(NotFoundError);
});

test("rows are read page by page, of one moment", async () => {
  await client.put(
    "paged",
    Array.from({ length: 5 }, (_, n) => ({ n })),
    { mode: "create" },
  );
  const sizes: number[] = [];
  for await (const page of client.pages("readRows", "paged", { limit: 2, order_by: "n" })) {
    sizes.push(page.rows.length);
    if (sizes.length === 1) await client.put("paged", [{ n: 9 }]);
  }
  expect(sizes).toEqual([2, 2, 1]);
});

test("rows stream as lines and as bytes", async () => {
  await client.put(
    "lines",
    Array.from({ length: 2500 }, (_, n) => ({ n, t: "ü" })),
    {
      mode: "create",
    },
  );
  let sum = 0;
  const body = { chunk_size: 1000, compression: "gzip" as const, where: { n: { lt: 2000 } } };
  for await (const row of client.streamData<{ n: number; t: string }>("lines", body)) {
    sum += row.n;
    expect(row.t).toBe("ü");
  }
  expect(sum).toBe((1999 * 2000) / 2);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of client.streamBytes("lines", { format: "csv", limit: 2 })) {
    text += decoder.decode(chunk, { stream: true });
  }
  expect(text).toBe('"n","t"\n0,"ü"\n1,"ü"\n');
  await expect(client.streamData("lines", { format: "csv" } as never).next()).rejects.toThrow(
    "streamBytes()",
  );
});
