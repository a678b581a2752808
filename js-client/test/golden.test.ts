import { RecordBatchReader } from "apache-arrow";
import { describe, expect, test } from "vitest";
import "../src/lz4.js";
import { Decoder, Framer, PixelflightError, UnsupportedTypeError } from "../src/index.js";
import { CONVERSIONS, type Conversions } from "../src/rows.js";
import { rowsOf } from "../src/values.js";
import "../src/zstd.js";
import { converted, type Golden, goldens, messagesOf, resultOf } from "./golden.js";

const ALL = goldens();
const READ = ALL.filter(({ unread }) => unread === null);
const UNREAD = ALL.filter(({ unread }) => unread !== null);
const CHOICES: Conversions[] = [
  { bigint: "bigint", decimal: "string", timestamp: "date", json: "value" },
  { bigint: "string", decimal: "number", timestamp: "string", json: "string" },
  { bigint: "bigint", decimal: "string", timestamp: "bigint", json: "value" },
];

/** The rows that a case holds. */
function expected({ names, columns, rows }: Golden, conversions: Conversions): unknown[] {
  return Array.from({ length: rows }, (_, row) => {
    const made: Record<string, unknown> = {};
    for (const [index, name] of names.entries()) {
      const value = converted(columns[index]?.[row] ?? null, conversions);
      Object.defineProperty(made, name, { value, enumerable: true, configurable: true });
    }
    return made;
  });
}

describe("streams of pyarrow", () => {
  test("there are many, and few of them cannot be read", () => {
    expect(READ.length).toBeGreaterThan(250);
    expect(UNREAD.length).toBeGreaterThan(4);
  });

  test.each(READ)("rows: $name", async (golden) => {
    // What was compressed is the same afterwards: once is enough.
    for (const conversions of isCompressed(golden) ? CHOICES.slice(0, 1) : CHOICES) {
      const rows = await resultOf(golden.bytes).toArray(conversions);
      expect(rows).toEqual(expected(golden, conversions));
    }
  });

  test.each(READ)("a table: $name", async (golden) => {
    const { bytes, name, rows, names, columns } = golden;
    const table = await resultOf(bytes).table();
    expect(table.numRows).toBe(rows);
    expect(table.schema.fields.map((field) => field.name)).toEqual(names);
    // apache-arrow itself cannot read what is compressed, nor old unions; what it reads we read too.
    if (isCompressed(golden) || /union.*before/.test(name)) return;
    const reader = RecordBatchReader.from(bytes);
    const batches = [...reader];
    expect(table.batches.length).toBe(Math.max(1, batches.length));
    // Its getters take no keys of 64 bits.
    if (/^dictionary.*indices=u?int64/.test(name)) return;
    for (const index of columns.keys()) {
      const theirs = batches.flatMap((batch) => [...(batch.getChildAt(index) ?? [])]);
      const ours = [...(table.getChildAt(index) ?? [])];
      expect(String(ours)).toEqual(String(theirs));
    }
  });

  test.each(UNREAD)("a type that cannot be read: $name", async ({ bytes, unread }) => {
    const failed = await resultOf(bytes)
      .table()
      .catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UnsupportedTypeError);
    expect((failed as Error).message).toContain(unread);
  });

  test("whole numbers as numbers, where they are safe", async () => {
    const rows = await resultOf(named("dictionary<values=string, indices=int64").bytes).toArray({
      bigint: "number",
    });
    expect(rows.length).toBeGreaterThan(3);
    const wide = resultOf(named("int64").bytes).toArray({ bigint: "number" });
    await expect(wide).rejects.toThrow(PixelflightError);
    await expect(
      resultOf(named("int64").bytes).toArray({ bigint: "number" }),
    ).rejects.toMatchObject({ code: "invalid_data" });
  });
});

describe("chunks", () => {
  test.each([1, 7, 4096])("of %i bytes give the same messages", (size) => {
    for (const { bytes } of ALL.filter((golden) => !isCompressed(golden))) {
      expect(plain([...messagesOf(bytes, size)]) === plain([...messagesOf(bytes)])).toBe(true);
    }
  });

  test("cut at every place give the same messages", () => {
    const small = READ.filter(({ bytes }) => bytes.byteLength < 2500).slice(0, 8);
    expect(small.length).toBe(8);
    for (const { bytes } of small) {
      const whole = plain([...messagesOf(bytes)]);
      for (let cut = 0; cut <= bytes.byteLength; cut++) {
        const framer = new Framer();
        const parts = [...framer.push(bytes.subarray(0, cut)), ...framer.push(bytes.subarray(cut))];
        if (plain(parts) !== whole) throw new Error(`cut at ${cut} of ${bytes.byteLength}`);
      }
    }
  });

  test("buffers stand where apache-arrow need not copy them", () => {
    for (const message of messagesOf(named("int64").bytes, 5)) {
      expect(message.body.byteOffset % 8).toBe(0);
    }
  });
});

test("bodies may stand anywhere in memory", () => {
  const plainRows = (shift: number) => {
    const decoder = new Decoder();
    return [...messagesOf(named("int64").bytes)].flatMap((message) => {
      const moved = new Uint8Array(message.body.byteLength + shift);
      moved.set(message.body, shift);
      const batch = decoder.decode({ ...message, body: moved.subarray(shift) });
      return batch ? [...rowsOf(batch, CONVERSIONS)] : [];
    });
  };
  expect(plainRows(3)).toEqual(plainRows(0));
  expect(plainRows(0).length).toBeGreaterThan(3);
});

function isCompressed({ name }: Golden): boolean {
  return / in (zstd|lz4)$/.test(name);
}

function plain(messages: { header: Uint8Array; body: Uint8Array }[]): string {
  return messages
    .map(
      ({ header, body }) =>
        `${Buffer.from(header).toString("latin1")}|${Buffer.from(body).toString("latin1")}`,
    )
    .join("\n");
}

function named(name: string): Golden {
  const found = ALL.find((one) => one.name.startsWith(name));
  if (!found) throw new Error(`there is no case ${name}`);
  return found;
}
