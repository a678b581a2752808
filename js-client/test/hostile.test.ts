import { CompressionType } from "apache-arrow";
import { describe, expect, test } from "vitest";
import "../src/lz4.js";
import {
  Framer,
  PixelflightError,
  ProtocolError,
  TruncatedError,
  UnsupportedTypeError,
} from "../src/index.js";
import { bodyOf } from "../src/ipc/compression.js";
import { END_OF_STREAM, framed } from "../src/ipc/message.js";
import "../src/zstd.js";
import { type Golden, goldens, messagesOf, resultOf } from "./golden.js";

const MUTATIONS = Number(process.env.MUTATIONS ?? 400);
const SEED = Number(process.env.SEED ?? 1);
const ROWS_MAX = 1000;
const MIB = 2 ** 20;

const ALL = goldens();

describe("streams that are damaged", () => {
  test("a stream that is cut anywhere is told as such", async () => {
    const { bytes } = named("int64");
    for (let end = 0; end < bytes.byteLength - 8; end += 11) {
      await expect(resultOf(bytes.subarray(0, end), 512).table()).rejects.toThrow(TruncatedError);
    }
  });

  test("a header takes no memory for what has not come", () => {
    const [, batch] = [...messagesOf(named("int64").bytes)];
    const header = new Uint8Array(batch?.header ?? []);
    const told = batch?.body.byteLength ?? 0;
    const at = indexOf(header, told);
    new DataView(header.buffer).setUint32(at, 2 ** 31 - 8, true);
    const [head] = framed({ header, body: new Uint8Array() });
    const before = process.memoryUsage().arrayBuffers;
    const framer = new Framer();
    expect([...framer.push(head)]).toEqual([]);
    expect([...framer.push(new Uint8Array(MIB))]).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * MIB);
    expect(() => framer.finish()).toThrow(TruncatedError);
  });

  test.each([
    ["a page", "<html><body>504 Gateway Time-out</body></html>"],
    ["JSON", '{"error": {"code": "internal"}}'],
    ["noise", "\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009"],
  ])("%s is no stream", async (_, text) => {
    const read = resultOf(new TextEncoder().encode(text)).table();
    await expect(read).rejects.toThrow(PixelflightError);
  });

  test("a batch before its schema, and a second schema", async () => {
    const [schema, batch] = [...messagesOf(named("int64").bytes)];
    const [other] = [...messagesOf(named("string").bytes)];
    if (!schema || !batch || !other) throw new Error("the cases have no messages");
    const read = (...messages: (typeof schema)[]) =>
      resultOf(Buffer.concat([...messages.flatMap((one) => framed(one)), END_OF_STREAM])).table();
    await expect(read(batch)).rejects.toThrow(ProtocolError);
    await expect(read(schema, other)).rejects.toThrow(ProtocolError);
    await expect(read(batch, schema)).rejects.toThrow(ProtocolError);
    expect((await read(schema, schema, batch)).numRows).toBeGreaterThan(0);
  });

  test("a big-endian stream is refused", async () => {
    const [schema] = [...messagesOf(named("int64").bytes)];
    if (!schema) throw new Error("the case has no schema");
    const refused: unknown[] = [];
    // The endianness is left out where it is little: it is put where the slot of another one is.
    for (let at = 0; at + 2 <= schema.header.byteLength; at += 2) {
      const header = new Uint8Array(schema.header);
      new DataView(header.buffer).setUint16(at, 4, true);
      const bytes = Buffer.concat([...framed({ ...schema, header }), END_OF_STREAM]);
      const failed = await resultOf(bytes)
        .table()
        .catch((error: unknown) => error);
      if (failed instanceof UnsupportedTypeError) refused.push(failed.message);
    }
    expect(refused.join("\n")).toContain("big-endian");
  });
});

describe("compressed buffers", () => {
  /** The case's first batch, with the length that its first buffer announces. */
  function announcing(name: string, length: bigint): Buffer {
    const messages = [...messagesOf(named(name).bytes)];
    const [, batch] = messages;
    if (!batch) throw new Error("the case has no batch");
    const body = new Uint8Array(batch.body);
    // Validity buffers are left out where there is no null: the numbers' own is the first.
    new DataView(body.buffer).setBigInt64(0, length, true);
    const sent = [messages[0] ?? batch, { ...batch, body }];
    return Buffer.concat([...sent.flatMap((one) => framed(one)), END_OF_STREAM]);
  }

  test.each(["zstd", "lz4"])(
    "of %s that announce too much, or too little, are refused",
    async (codec) => {
      const name = `large buffers in ${codec}`;
      const size = 8n * 40_000n;
      expect((await resultOf(announcing(name, size)).table()).numRows).toBe(40_000);
      for (const length of [2n ** 40n, 2n ** 31n - 1n, size + 8n, size - 8n, 0n, -2n]) {
        const read = resultOf(announcing(name, length)).table();
        await expect(read, `${length}`).rejects.toThrow(ProtocolError);
      }
    },
  );

  test("that did not shrink come as they are", () => {
    const sent = new Uint8Array(16).fill(255, 0, 8).fill(7, 8);
    const buffers = [{ offset: 0, length: 16 }];
    const shape = { length: 1, nodes: [], variadicCounts: [], isBefore1: false };
    const buffer = bodyOf({ ...shape, buffers, compression: CompressionType.ZSTD }, sent);
    expect([...buffer(0)]).toEqual(Array(8).fill(7));
  });
});

test("random damage gives an error of this package, or rows", async () => {
  const random = mulberry(SEED);
  const below = (end: number) => Math.floor(random() * end);
  const small = ALL.filter(({ bytes }) => bytes.byteLength < 20_000);
  const outcomes = new Map<string, number>();
  for (let n = 0; n < MUTATIONS; n++) {
    const golden = small[below(small.length)] as Golden;
    const bytes = new Uint8Array(golden.bytes);
    for (let count = 1 + below(3); count > 0; count--) mutate(bytes, below);
    const begun = performance.now();
    const outcome = await outcomeOf(bytes).catch((cause: unknown) => {
      throw new Error(`damage ${n} of ${golden.name}`, { cause });
    });
    expect(performance.now() - begun, `${n} of ${golden.name}`).toBeLessThan(5000);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const kinds = ["rows", "ProtocolError", "TruncatedError", "UnsupportedTypeError"];
  expect([...outcomes.keys()]).toEqual(expect.arrayContaining(kinds));
});

async function outcomeOf(bytes: Uint8Array): Promise<string> {
  let rows = 0;
  try {
    for await (const _ of resultOf(bytes, 4096).rows()) if (++rows === ROWS_MAX) break;
    return "rows";
  } catch (error) {
    if (error instanceof PixelflightError) return error.name;
    throw error;
  }
}

function mutate(bytes: Uint8Array, below: (end: number) => number): void {
  const at = below(bytes.byteLength);
  const view = new DataView(bytes.buffer);
  const whole = at - (at % 4);
  switch (below(5)) {
    case 0:
      bytes[at] = below(256);
      break;
    case 1:
      bytes[at] = (bytes[at] as number) ^ (1 << below(8));
      break;
    case 2:
      bytes[at] = (bytes[at] as number) + 1;
      break;
    case 3:
      if (whole + 4 <= bytes.byteLength) view.setInt32(whole, 2 ** below(31) - 1, true);
      break;
    default:
      if (whole + 4 <= bytes.byteLength) view.setInt32(whole, -1 - below(3), true);
  }
}

/** Numbers from 0 to 1, the same for the same seed. Source: Tommy Ettinger's mulberry32. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Where the number stands, as eight bytes. */
function indexOf(bytes: Uint8Array, number: number): number {
  const wanted = Buffer.alloc(8);
  wanted.writeBigInt64LE(BigInt(number));
  const at = Buffer.from(bytes).indexOf(wanted);
  if (at < 0) throw new Error(`no ${number} in these bytes`);
  return at;
}

function named(name: string): Golden {
  const found = ALL.find((one) => one.name === name);
  if (!found) throw new Error(`there is no case ${name}`);
  return found;
}
