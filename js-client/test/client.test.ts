import { getEventListeners } from "node:events";
import { type RecordBatch, Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { flight } from "../src/flight.js";
import {
  type Client,
  col,
  createClient,
  InvalidRequestError,
  NotFoundError,
} from "../src/index.js";

const server = inject("server");

/** The ways to travel, each into tables of its own. */
const TRANSPORTS = {
  HTTP: () => undefined,
  Flight: () => flight({ url: server.flight }),
};

describe.each(Object.entries(TRANSPORTS))("over %s", (way, transport) => {
  let client: Client;
  const named = (name: string) => `${name}_by_${way.toLowerCase()}`;
  beforeAll(() => {
    client = createClient({ url: server.url, key: server.key, transport: transport() });
  });
  afterAll(() => client.close());

  test("what is put is got again", async () => {
    const table = tableFromArrays({
      id: BigInt64Array.from([1n, 2n, 3n]),
      price: Float64Array.from([0.5, 1.5, 2.5]),
    });
    const commit = await client.put(named("prices"), table, { mode: "create" });
    expect(commit).toMatchObject({ rows: 3, rowsInserted: 3, duplicate: false });
    const got = await client.get(named("prices"), { orderBy: "id" }).table();
    expect(got.toArray().map((row) => ({ ...row }))).toEqual(
      table.toArray().map((row) => ({ ...row })),
    );
    const rows = await client
      .get(named("prices"), { filter: col("price").gt(1), columns: ["id"] })
      .toArray();
    expect(rows.map(({ id }) => id).sort()).toEqual([2n, 3n]);
  });

  test("values of a template are parameters", async () => {
    const name = "O'Hara";
    const rows = await client.sql`SELECT ${name} AS name, ${3n} + 1 AS n, ${true} AS yes`.toArray();
    expect(rows).toEqual([{ name, n: 4n, yes: true }]);
  });

  test("rows as objects", async () => {
    const seen = new Date("2026-01-31T12:00:00.250Z");
    await client.put(
      named("people"),
      [
        { name: "Ann", age: 31, seen },
        { name: "Bob", age: null, seen: null },
      ],
      {
        mode: "create",
      },
    );
    expect(
      await client.get(named("people"), { orderBy: "name" }).toArray({ bigint: "number" }),
    ).toEqual([
      { name: "Ann", age: 31, seen },
      { name: "Bob", age: null, seen: null },
    ]);
  });

  test("a stream of batches goes as it comes", async () => {
    async function* batches(): AsyncGenerator<RecordBatch> {
      for (let n = 0; n < 3; n++) {
        yield new Table(tableFromArrays({ n: Int32Array.from([n, n + 10]) }))
          .batches[0] as RecordBatch;
      }
    }
    await client.put(named("counted"), batches(), { createIfMissing: true });
    const [row] = await client
      .sql(`SELECT sum(n)::INTEGER AS sum FROM ${named("counted")}`)
      .toArray();
    expect(row).toEqual({ sum: 36 });
  });

  test("what is missing is told as such", async () => {
    await expect(client.get("nothing").table()).rejects.toThrow(NotFoundError);
    await expect(client.get("nothing").table()).rejects.toMatchObject({ code: "table_not_found" });
  });

  test("a statement that writes is refused where rows are asked for, and not run", async () => {
    const create = `CREATE TABLE ${named("never")} (n INTEGER)`;
    await expect(client.sql(create).table()).rejects.toThrow(InvalidRequestError);
    await expect(client.sql(create).table()).rejects.toMatchObject({
      code: "invalid_request",
      details: { statement: "create_table" },
      message: expect.stringContaining("execute"),
    });
    await expect(client.get(named("never")).table()).rejects.toThrow(NotFoundError);
    expect(await client.execute(create)).toMatchObject({ kind: "create_table" });
  });

  test("large results come in batches, and leaving them ends the request", async () => {
    let rows = 0;
    for await (const batch of client.sql("SELECT i, i::VARCHAR AS t FROM range(2000000) r(i)")) {
      rows += batch.numRows;
      if (rows > 100_000) break;
    }
    expect(rows).toBeLessThan(1_000_000);
    const table = await client.sql("SELECT i, i * 0.5 AS h FROM range(1000000) r(i)").table();
    expect(table.numRows).toBe(1_000_000);
  });

  test("calls that end let go of a signal that outlives them", async () => {
    const { signal } = new AbortController();
    const left = () => getEventListeners(signal, "abort").length;
    const table = named("let_go");
    await client.put(table, [{ n: 1 }], { mode: "create", signal });
    for await (const _ of client.get(table, { signal })) expect(left()).toBe(1);
    for await (const _ of client.sql("SELECT * FROM range(200000)", [], { signal })) break;
    await client.update(table, { n: 2 }, { n: 1 }, { signal });
    await expect(client.get("nothing", { signal }).table()).rejects.toThrow(NotFoundError);
    await expect(client.put("nothing", [{ n: 1 }], { signal })).rejects.toThrow(NotFoundError);
    expect(left()).toBe(0);
  });
});

test("over HTTP nothing is compressed unless it is asked for", async () => {
  const encodings: (string | null)[] = [];
  const spied: typeof fetch = async (...given) => {
    const response = await fetch(...given);
    encodings.push(response.headers.get("content-encoding"));
    return response;
  };
  for (const headers of [{}, { "accept-encoding": "gzip" }]) {
    const client = createClient({ url: server.url, key: server.key, headers, fetch: spied });
    const table = await client.sql("SELECT i FROM range(100000) r(i)").table();
    expect(table.numRows).toBe(100_000);
  }
  expect(encodings).toEqual([null, "gzip"]);
});
