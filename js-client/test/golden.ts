/** Streams that pyarrow wrote, and what is in them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Framer, type IpcMessage } from "../src/index.js";
import { Result } from "../src/result.js";
import { CONVERSIONS, type Conversions } from "../src/rows.js";

const ROOT = new URL("../../", import.meta.url);
const PYTHON = fileURLToPath(new URL(".venv/bin/python", ROOT));
const SCRIPT = fileURLToPath(new URL("golden.py", import.meta.url));
const UNITS = ["s", "ms", "us", "ns"];

/** A stream of pyarrow's. */
export interface Golden {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly names: readonly string[];
  readonly rows: number;
  /** The values of each column, as JSON with all their digits. */
  readonly columns: readonly (readonly Told[])[];
  /** The column and its type, if apache-arrow cannot read it. */
  readonly unread: string | null;
}

/** A value: what JSON holds exactly as itself, anything else as an object of one member. */
type Told = null | boolean | number | string | Readonly<Record<string, unknown>>;

/** Has pyarrow write all of them. */
export function goldens(): Golden[] {
  const folder = mkdtempSync(join(tmpdir(), "pixelflight-golden-"));
  try {
    execFileSync(PYTHON, [SCRIPT, folder], { cwd: ROOT });
    const told = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as (Golden & {
      file: string;
    })[];
    return told.map((one) => ({ ...one, bytes: readFileSync(join(folder, one.file)) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The messages of a stream that comes in chunks of this size. */
export function* messagesOf(bytes: Uint8Array, size = bytes.byteLength): Generator<IpcMessage> {
  const framer = new Framer();
  for (let at = 0; at < bytes.byteLength; at += size) {
    yield* framer.push(bytes.subarray(at, at + size));
  }
  framer.finish();
}

/** The stream as what a client reads. */
export function resultOf(bytes: Uint8Array, size?: number): Result {
  return new Result(async function* () {
    yield* messagesOf(bytes, size);
  }, CONVERSIONS);
}

/** What a value is by these conversions. */
export function converted(told: Told, conversions: Conversions): unknown {
  if (typeof told !== "object" || told === null) return told;
  const [[kind, value]] = Object.entries(told) as [[string, unknown]];
  const inner = (one: unknown) => converted(one as Told, conversions);
  switch (kind) {
    case "int":
      return whole(value as string, conversions);
    case "float":
      return float(value as string);
    case "decimal":
      return conversions.decimal === "string" ? value : Number(value);
    case "hex":
      return new Uint8Array(Buffer.from(value as string, "hex"));
    case "date":
      return new Date(value as number);
    case "timestamp":
      return timestamp(value as never, conversions);
    case "interval": {
      const [months, days, nanoseconds] = value as [number, number, string];
      return { months, days, nanoseconds: BigInt(nanoseconds) };
    }
    case "json":
      return conversions.json === "value" ? JSON.parse(value as string) : value;
    case "list":
      return (value as unknown[]).map(inner);
    case "struct":
      return Object.fromEntries((value as [string, unknown][]).map(([k, v]) => [k, inner(v)]));
    case "map":
      return new Map((value as [unknown, unknown][]).map(([k, v]) => [inner(k), inner(v)]));
    default:
      return value;
  }
}

function whole(digits: string, { bigint }: Conversions): unknown {
  if (bigint === "string") return digits;
  return bigint === "number" ? Number(digits) : BigInt(digits);
}

function float(text: string): number {
  const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  return text in special ? special[text as keyof typeof special] : Number(text);
}

function timestamp(
  { count, unit, zone }: { count: string; unit: string; zone: boolean },
  conversions: Conversions,
): unknown {
  if (conversions.timestamp === "bigint") return BigInt(count);
  const perSecond = 1000n ** BigInt(UNITS.indexOf(unit));
  let rest = BigInt(count) % perSecond;
  if (rest < 0n) rest += perSecond;
  const seconds = (BigInt(count) - rest) / perSecond;
  const nanoseconds = String((rest * 1_000_000_000n) / perSecond).padStart(9, "0");
  const date = new Date(Number(seconds) * 1000 + Number(nanoseconds.slice(0, 3)));
  if (conversions.timestamp === "date") return date;
  const fraction = nanoseconds.replace(/0+$/, "");
  return date.toISOString().slice(0, 19) + (fraction && `.${fraction}`) + (zone ? "Z" : "");
}
