/** Rows as objects become what apache-arrow's own builders make of them. */
import {
  Binary,
  Bool,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
  Map_,
  Struct,
  Table,
  TimestampMillisecond,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, test } from "vitest";
import { ArgumentError } from "../src/errors.js";
import { batchOf } from "../src/objects.js";

const LONG = "ü".repeat(100);
const pair = new Struct([new Field("a", new Float64(), true), new Field("b", new Utf8(), true)]);
const entries = new Struct([
  new Field("key", new Utf8(), false),
  new Field("value", new Int64(), true),
]);
const KINDS: Record<string, [type: DataType, values: unknown[]]> = {
  "whole numbers": [new Int64(), [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n]],
  doubles: [new Float64(), [0.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 70]],
  booleans: [new Bool(), [true, false]],
  texts: [new Utf8(), ["", "ascii", "aé", "日本", "🎉", LONG, "\ud800", "x\udc00y"]],
  moments: [new TimestampMillisecond("UTC"), [new Date(0), new Date(-1), new Date(8.64e15)]],
  bytes: [new Binary(), [new Uint8Array(0), Uint8Array.of(0, 200), new Uint8Array(99).fill(7)]],
  lists: [new List(new Field("item", new Int64(), true)), [[], [1n], [null, 2n, 3n]]],
  structs: [
    pair,
    [
      { a: 1.5, b: null },
      { a: null, b: LONG },
    ],
  ],
  maps: [
    new Map_(new Field("entries", entries, false) as never),
    [
      new Map(),
      new Map([["a", null]]),
      new Map([
        ["é", 1n],
        ["b", 2n],
      ]),
    ],
  ],
};

describe.each(Object.entries(KINDS))("%s", (_, [type, values]) => {
  test.each([1, 8, 9, 33])("in %i rows", (count) => {
    for (const nulls of [0, 2, 3]) {
      const given = Array.from({ length: count }, (_, row) =>
        row > 0 && nulls > 0 && row % nulls === 0 ? null : values[row % values.length],
      );
      // The kind of the first row may be seen late.
      const rows = [...values, ...given].map((v) => ({ v }));
      const batch = batchOf(rows);
      const made = new Table(batch.schema, [batch.slice(values.length, rows.length)]);
      const expected = new Table({ v: vectorFromArray(given, type) });
      expect(String(made.schema)).toBe(String(expected.schema));
      for (const table of [made, tableFromIPC(tableToIPC(made, "stream"))]) {
        expect(table.getChildAt(0)?.nullCount).toBe(expected.getChildAt(0)?.nullCount);
        expect(plain(table)).toEqual(plain(expected));
      }
    }
  });
});

function plain(table: Table): unknown {
  const text = JSON.stringify(table.toArray(), (_, value: unknown) => {
    if (typeof value === "bigint" || Object.is(value, -0)) return `${String(value)}, exactly`;
    return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  });
  return JSON.parse(text);
}

test("kinds that are seen late, or not in all rows", () => {
  const rows = [{ a: null }, { a: 1, c: [] }, { b: [null], a: 2.5 }, { a: 3n, b: ["x"] }, {}];
  const batch = batchOf(rows);
  expect(String(batch.schema)).toBe(
    "Schema<{ 0: a: Float64, 1: c: List<Null>, 2: b: List<Utf8> }>",
  );
  const lists = [...(new Table(batch).getChild("b") ?? [])].map((list) => list && [...list]);
  expect([...(new Table(batch).getChild("a") ?? [])]).toEqual([null, 1, 2.5, 3, null]);
  expect(lists).toEqual([null, null, [null], ["x"], null]);
});

test("what is of no kind, or of two", () => {
  const refused = (...values: unknown[]) => {
    expect(() => batchOf(values.map((v) => ({ v })))).toThrow(ArgumentError);
    return expect(() => batchOf(values.map((v) => ({ v }))));
  };
  refused([1], ["x"]).toThrow("The column 'v' holds values of different kinds: Int64 and Utf8.");
  refused({ a: 1 }, "x").toThrow("different kinds: Struct<{a:Int64}> and Utf8");
  refused(new Date(Number.NaN)).toThrow("The column 'v' holds a Date of no moment.");
  const large = 2n ** 53n + 1n;
  refused(0.5, large).toThrow("The column 'v' is Float64: 9007199254740993 is no double.");
  refused({ a: large }, { a: 0.5 }).toThrow(
    "The column 'v' is Struct<{a:Float64}>: 9007199254740993",
  );
  refused(-(2n ** 63n) - 1n).toThrow("64 bits");
});
