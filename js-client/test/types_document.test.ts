/** TYPES.md says what is so. */
import { readFileSync } from "node:fs";
import {
  Field,
  type Int32,
  IntervalDayTime,
  IntervalYearMonth,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampSecond,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, test } from "vitest";
import { resultOf } from "./golden.js";

const TEXT = readFileSync(new URL("../TYPES.md", import.meta.url), "utf8");

function streamOf(type: unknown, values: ArrayLike<number | bigint>, metadata?: [string, string]) {
  const field = new Field("v", type as Int32, true, new Map(metadata ? [metadata] : []));
  const schema = new Schema([field]);
  const length = type instanceof IntervalDayTime ? values.length / 2 : values.length;
  const child = makeData({ type: type as Int32, length, data: values as Int32Array });
  const data = makeData({ type: new Struct([field]), length, children: [child] });
  return tableToIPC(new Table(schema, [new RecordBatch(schema, data)]), "stream");
}

test("types that are not read are those that are refused", () => {
  const told = [...TEXT.matchAll(/^\| ([a-z_, ]+) \| not read/gm)].flatMap(([, names]) =>
    (names ?? "").split(", "),
  );
  expect(told).toEqual(["list_view", "large_list_view", "run_end_encoded"]);
});

describe("what pyarrow does not write", () => {
  test("intervals of months, and of days", async () => {
    const months = streamOf(new IntervalYearMonth(), Int32Array.from([14, -1]));
    expect(await resultOf(months).toArray()).toEqual([
      { v: { months: 14 } },
      { v: { months: -1 } },
    ]);
    const days = streamOf(new IntervalDayTime(), Int32Array.from([1, 2, -3, 4]));
    expect(await resultOf(days).toArray()).toEqual([
      { v: { days: 1, milliseconds: 2 } },
      { v: { days: -3, milliseconds: 4 } },
    ]);
  });
});

describe("values that a conversion cannot hold", () => {
  const far = () => resultOf(streamOf(new TimestampSecond(), BigInt64Array.from([2n ** 60n])));

  test("moments beyond a Date", async () => {
    for (const timestamp of ["date", "string"] as const) {
      await expect(far().toArray({ timestamp })).rejects.toMatchObject({ code: "invalid_data" });
    }
    expect(await far().toArray({ timestamp: "bigint" })).toEqual([{ v: 2n ** 60n }]);
  });

  test("JSON that is none", async () => {
    const field = new Field(
      "v",
      new Utf8(),
      true,
      new Map([["ARROW:extension:name", "arrow.json"]]),
    );
    const schema = new Schema([field]);
    const child = vectorFromArray(["{", null], new Utf8()).data[0] as never;
    const data = makeData({ type: new Struct([field]), length: 2, children: [child] });
    const bytes = tableToIPC(new Table(schema, [new RecordBatch(schema, data)]), "stream");
    await expect(resultOf(bytes).toArray()).rejects.toMatchObject({ code: "invalid_data" });
    expect(await resultOf(bytes).toArray({ json: "string" })).toEqual([{ v: "{" }, { v: null }]);
  });
});
