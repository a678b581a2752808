/** What is put comes back as it was, from whatever it was made. */

import { createRequire } from "node:module";
import perspective from "@perspective-dev/client";
import { tableFromIPC as flechetteTable } from "@uwdata/flechette";
import * as arrow from "apache-arrow";
import * as other from "apache-arrow-other";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { flight } from "../src/flight.js";
import { ArgumentError, type Client, createClient } from "../src/index.js";
import { CONVERSIONS, type Row } from "../src/rows.js";
import { rowsOf } from "../src/values.js";

const server = inject("server");
let client: Client;
beforeAll(() => {
  client = createClient({ url: server.url, key: server.key });
});
afterAll(() => client?.close());

type Arrow = typeof arrow;
const MOMENT = 1_769_860_800_250;

/** Values of each type that a copy of apache-arrow builds. */
function columns({ ...a }: Arrow): Record<string, [arrow.DataType, unknown[]]> {
  const struct = new a.Struct([
    new a.Field("a", new a.Int64(), true),
    new a.Field("b", new a.Utf8(), true),
  ]);
  const entries = new a.Struct([
    new a.Field("key", new a.Utf8(), false),
    new a.Field("value", new a.Int32(), true),
  ]);
  return {
    bool: [new a.Bool(), [true, null, false]],
    int8: [new a.Int8(), [-128, null, 127]],
    int16: [new a.Int16(), [-32768, null, 32767]],
    int32: [new a.Int32(), [-(2 ** 31), null, 2 ** 31 - 1]],
    int64: [new a.Int64(), [-(2n ** 63n), null, 2n ** 63n - 1n]],
    uint8: [new a.Uint8(), [0, null, 255]],
    uint16: [new a.Uint16(), [0, null, 65535]],
    uint32: [new a.Uint32(), [0, null, 2 ** 32 - 1]],
    uint64: [new a.Uint64(), [0n, null, 2n ** 64n - 1n]],
    float16: [new a.Float16(), [1.5, null, -2]],
    float32: [new a.Float32(), [1.5, null, -0.25]],
    float64: [new a.Float64(), [0.1, null, Number.NaN]],
    utf8: [new a.Utf8(), ["", null, "Grüße, 空 🛩️"]],
    large_utf8: [new a.LargeUtf8(), ["a", null, "b".repeat(5000)]],
    binary: [new a.Binary(), [new Uint8Array([0, 255]), null, new Uint8Array()]],
    large_binary: [new a.LargeBinary(), [new Uint8Array([1]), null, new Uint8Array([2, 3])]],
    fixed: [new a.FixedSizeBinary(2), [new Uint8Array([1, 2]), null, new Uint8Array([3, 4])]],
    date_day: [new a.DateDay(), [new Date("2026-01-31"), null, new Date(0)]],
    date_ms: [new a.DateMillisecond(), [new Date("2026-01-31"), null, new Date(0)]],
    time_s: [new a.TimeSecond(), [0, null, 86_399]],
    time_ms: [new a.TimeMillisecond(), [0, null, 86_399_999]],
    time_us: [new a.TimeMicrosecond(), [0n, null, 86_399_999_999n]],
    time_ns: [new a.TimeNanosecond(), [0n, null, 86_399_999_999_999n]],
    stamp_s: [new a.TimestampSecond(), [MOMENT - 250, null, 0]],
    stamp_ms: [new a.TimestampMillisecond("UTC"), [MOMENT, null, 0]],
    stamp_us: [new a.TimestampMicrosecond("Europe/Berlin"), [MOMENT, null, 0]],
    stamp_ns: [new a.TimestampNanosecond(), [MOMENT, null, 0]],
    duration: [new a.DurationMicrosecond(), [5n, null, -5n]],
    list: [new a.List(new a.Field("item", new a.Int32(), true)), [[1, null], null, []]],
    fixed_list: [
      new a.FixedSizeList(2, new a.Field("item", new a.Float32(), true)),
      [[1, 2], null, [3, 4]],
    ],
    struct: [struct, [{ a: 1n, b: "x" }, null, { a: null, b: null }]],
    map: [
      new a.Map_(new a.Field("entries", entries, false) as never),
      [new Map([["x", 1]]), null, new Map()],
    ],
    dictionary: [new a.Dictionary(new a.Utf8(), new a.Int32()), ["b", null, "a"]],
  } as Record<string, [arrow.DataType, unknown[]]>;
}

/** One table of all of them, a column each. */
function tableOf(a: Arrow): arrow.Table {
  const vectors = Object.entries(columns(a)).map(([name, [type, values]]) => {
    return [name, a.vectorFromArray(values, type)] as const;
  });
  return new a.Table(Object.fromEntries(vectors) as never);
}

/** The rows of a table, by our own reading of it. */
function tableRows(table: arrow.Table): Row[] {
  return table.batches.flatMap((batch) => [...rowsOf(batch, CONVERSIONS)]);
}

/** Puts, and gets again in the order of the column `n`. */
async function roundTrip(name: string, data: Parameters<Client["put"]>[1], by: Client = client) {
  await by.put(name, data, { mode: "overwrite", createIfMissing: true });
  return await by.get(name, { orderBy: "n" }).toArray();
}

function numbered(table: arrow.Table, a: Arrow = arrow): arrow.Table {
  const n = a.vectorFromArray([...Array(table.numRows).keys()], new a.Int32());
  return table.assign(new a.Table({ n } as never)) as arrow.Table;
}

describe("tables of apache-arrow", () => {
  test.each(["HTTP", "Flight"])("of every type come back over %s", async (way) => {
    const transport = way === "Flight" ? flight({ url: server.flight }) : undefined;
    await using by = createClient({ url: server.url, key: server.key, transport });
    const table = numbered(tableOf(arrow));
    expect(await roundTrip("every_type", table, by)).toEqual(tableRows(table));
  });

  test("of another copy are taken, and in batches as well", async () => {
    const theirs = numbered(tableOf(other as unknown as Arrow), other as unknown as Arrow);
    expect(theirs instanceof arrow.Table).toBe(false);
    const expected = tableRows(numbered(tableOf(arrow)));
    expect(await roundTrip("of_another", theirs)).toEqual(expected);
    expect(await roundTrip("of_another", theirs.batches)).toEqual(expected);
    expect(await roundTrip("of_another", theirs.batches[0] as arrow.RecordBatch)).toEqual(expected);
    expect(await roundTrip("of_another", theirs.batches.values())).toEqual(expected);
  });

  test("of a stream of theirs, and slices, are taken", async () => {
    const table = numbered(tableOf(arrow));
    const bytes = arrow.tableToIPC(table, "stream");
    const shifted = new Uint8Array(bytes.byteLength + 3);
    shifted.set(bytes, 3);
    const read = arrow.tableFromIPC(shifted.subarray(3));
    const expected = tableRows(table);
    expect(await roundTrip("slices", read)).toEqual(expected);
    expect(await roundTrip("slices", table.slice(1, 3))).toEqual(expected.slice(1, 3));
    const long = numbered(
      new arrow.Table({ t: arrow.vectorFromArray([...Array(500).keys()].map((i) => `text ${i}`)) }),
    );
    const middle = await roundTrip("middle", long.slice(123, 456));
    expect(middle).toEqual(tableRows(long).slice(123, 456));
  });

  test("whose batches differ in what may be null are one stream", async () => {
    const batches = [true, false].map((nullable, index) => {
      const data = arrow.vectorFromArray([index], new arrow.Int32()).data[0];
      const schema = new arrow.Schema([new arrow.Field("n", new arrow.Int32(), nullable)]);
      const type = new arrow.Struct(schema.fields);
      const children = [data] as never;
      return new arrow.RecordBatch(schema, arrow.makeData({ type, length: 1, children }) as never);
    });
    expect(await roundTrip("nullable", batches)).toEqual([{ n: 0 }, { n: 1 }]);
  });

  test("without rows make a table", async () => {
    expect(await roundTrip("no_rows", numbered(tableOf(arrow)).slice(0, 0))).toEqual([]);
  });
});

describe("rows as objects", () => {
  test("of every kind come back", async () => {
    const rows: Record<string, unknown>[] = [
      {
        n: 1,
        whole: 2n ** 62n,
        number: 0.5,
        mixed: 1,
        yes: true,
        text: "Grüße",
        at: new Date(MOMENT),
        bytes: new Uint8Array([1, 2]),
        list: [1, 2],
        vector: new Float32Array([0.5, 1.5]),
        nested: { a: [{ b: "x" }] },
        map: new Map([["k", 1n]]),
        constructor: "own",
      },
      { n: 2, mixed: 1.5, list: [], nested: { a: [], c: true }, map: new Map() },
      { n: 3, text: null, at: undefined },
    ];
    const got = await roundTrip("objects", rows);
    expect(got).toEqual([
      {
        ...rows[0],
        n: 1n,
        list: [1n, 2n],
        vector: [0.5, 1.5],
        nested: { a: [{ b: "x" }], c: null },
      },
      {
        ...nothing(rows[0]),
        n: 2n,
        mixed: 1.5,
        list: [],
        nested: { a: [], c: true },
        map: new Map(),
      },
      { ...nothing(rows[0]), n: 3n },
    ]);
  });

  test.each([
    ["a number and a text", [{ a: 1 }, { a: "x" }], "different kinds"],
    ["a whole number of 65 bits", [{ a: 2n ** 64n }], "64 bits"],
    ["a function", [{ a: () => 1 }], "function"],
    ["an object of a class", [{ a: new URL("http://a/") }], "URL"],
    ["no moment", [{ a: new Date("never") }], "'a'"],
    ["no row", ["text"], "no object"],
    ["no rows", [], "no rows"],
    ["no columns", [{}], "no column"],
  ])("with %s are refused", async (_, rows, told) => {
    const refused = client.put("refused", rows as never);
    await expect(refused).rejects.toThrow(ArgumentError);
    await expect(client.put("refused", rows as never)).rejects.toThrow(told);
  });
});

function nothing(row: object | undefined): object {
  return Object.fromEntries(Object.keys(row ?? {}).map((name) => [name, null]));
}

describe("the bytes of a result are read", () => {
  const SQL = `SELECT i, i * 0.5 AS half, 'row ' || i AS text, i % 2 = 0 AS even,
    TIMESTAMPTZ '2026-01-31 12:00:00+00' AS at, [i, NULL] AS list FROM range(5000) r(i)`;

  test("by flechette", async () => {
    const table = flechetteTable(await client.sql(SQL).ipc(), { useBigInt: true });
    expect(table.numRows).toBe(5000);
    const row = table.at(4999);
    expect(row).toMatchObject({ i: 4999n, half: 2499.5, text: "row 4999", even: false });
  });

  test("by duckdb-wasm", async () => {
    const require = createRequire(import.meta.url);
    const duckdb =
      require("@duckdb/duckdb-wasm/blocking") as typeof import("@duckdb/duckdb-wasm/blocking");
    const dist = (file: string) => require.resolve(`@duckdb/duckdb-wasm/dist/${file}`);
    const bundles = {
      mvp: { mainModule: dist("duckdb-mvp.wasm"), mainWorker: "" },
      eh: { mainModule: dist("duckdb-eh.wasm"), mainWorker: "" },
    };
    const db = await duckdb.createDuckDB(bundles, new duckdb.VoidLogger(), duckdb.NODE_RUNTIME);
    await db.instantiate();
    const connection = db.connect();
    connection.insertArrowFromIPCStream(await client.sql(SQL).ipc(), { name: "got", create: true });
    const [row] = connection
      .query(
        "SELECT count(*)::INTEGER AS rows, sum(half)::DOUBLE AS sum, max(text) AS text FROM got",
      )
      .toArray();
    expect(row?.toJSON()).toEqual({ rows: 5000, sum: 6248750, text: "row 999" });
    connection.close();
  });

  test("by Perspective", async () => {
    const bytes = await client
      .sql(`SELECT i, i * 0.5 AS half, 'row ' || i AS text, i % 2 = 0 AS even,
        TIMESTAMPTZ '2026-01-31 12:00:00.25+00' + to_seconds(i) AS at, DATE '2026-01-31' AS day,
        CASE WHEN i > 1 THEN ['low', 'high'][1 + i % 2]::ENUM ('low', 'high') END AS level,
        CASE WHEN i > 1 THEN i END AS hole, {'x': i, 'y': {'z': 1.5::FLOAT}} AS point
        FROM range(5000) r(i)`)
      .ipc();
    const table = await perspective.table(bytes.buffer);
    expect(await table.schema()).toEqual({
      i: "integer",
      half: "float",
      text: "string",
      even: "boolean",
      at: "datetime",
      day: "date",
      level: "string",
      hole: "integer",
      "point.x": "integer",
      "point.y.z": "float",
    });
    const rows = await (await table.view()).to_json();
    expect(rows).toHaveLength(5000);
    const day = Date.UTC(2026, 0, 31);
    const at = Date.UTC(2026, 0, 31, 12, 0, 0, 250);
    const both = { day, "point.y.z": 1.5 };
    const one = { i: 1, half: 0.5, text: "row 1", even: false, at: at + 1000, "point.x": 1 };
    const two = { i: 2, half: 1, text: "row 2", even: true, at: at + 2000, "point.x": 2 };
    expect(rows.slice(1, 3)).toEqual([
      { ...both, ...one, level: null, hole: null },
      { ...both, ...two, level: "low", hole: 2 },
    ]);
  });

  test("by Perspective, which makes a row of each element of a list", async () => {
    const nested = "SELECT 1 AS n, [[1, 2], [], [NULL]] AS l UNION ALL SELECT 2, NULL ORDER BY n";
    const table = await perspective.table((await client.sql(nested).ipc()).buffer);
    expect(await (await table.view()).to_json()).toEqual([
      { n: 1, l: 1 },
      { n: 1, l: 2 },
      { n: 1, l: null },
      { n: 1, l: null },
      { n: 2, l: null },
    ]);
    const refused = await client.sql("SELECT MAP {'a': 1} AS m").ipc();
    await expect(perspective.table(refused.buffer)).rejects.toThrow("`map`");
  });
});
