/**
 * Values of Arrow's types, read from their buffers.
 *
 * apache-arrow's own getters round: timestamps to milliseconds, and decimals come without their
 * point. So values with more than a double holds are read here, the others by apache-arrow.
 */
import {
  type Data,
  DataType,
  type Field,
  IntervalUnit,
  type RecordBatch,
  TimeUnit,
  UnionMode,
  Vector,
} from "apache-arrow";
import { PixelflightError, ProtocolError } from "./errors.js";
import type { Conversions, Row } from "./rows.js";
import { decimalText, timestampText, timeText, uuidText } from "./texts.js";

/** Gives the value of a row, null where there is none. */
export type Reader = (row: number) => unknown;

const EXTENSION = "ARROW:extension:name";
const DAY_MS = 86_400_000;
const UNITS_PER_SECOND: Readonly<Record<TimeUnit, bigint>> = {
  [TimeUnit.SECOND]: 1n,
  [TimeUnit.MILLISECOND]: 1_000n,
  [TimeUnit.MICROSECOND]: 1_000_000n,
  [TimeUnit.NANOSECOND]: 1_000_000_000n,
};

/** The rows of a batch, one after the other. */
export function* rowsOf(batch: RecordBatch, conversions: Conversions): Generator<Row> {
  const columns = batch.schema.fields.map((field, index) => {
    const data = batch.data.children[index];
    if (!data) throw new TypeError(`The batch has no column ${index}.`);
    return [field.name, readerOf(field, data, conversions)] as const;
  });
  for (let row = 0; row < batch.numRows; row++) yield rowAt(columns, row);
}

const OWN = { configurable: true, enumerable: true, writable: true } as const;

function rowAt(columns: readonly (readonly [string, Reader])[], row: number): Row {
  const made: Row = {};
  for (const [name, read] of columns) {
    const value = read(row);
    // A column may be called as what every object has.
    if (name === "__proto__") Object.defineProperty(made, name, { value, ...OWN });
    else made[name] = value;
  }
  return made;
}

/** Reads the values of one column, made once for all its rows. */
export function readerOf(field: Field, data: Data, conversions: Conversions): Reader {
  const extension = field.metadata.get(EXTENSION);
  return unlessNull(data, extended(extension, field, data, conversions));
}

function unlessNull(data: Data, read: Reader): Reader {
  return data.nullCount === 0 ? read : (row) => (data.getValid(row) ? read(row) : null);
}

function extended(
  extension: string | undefined,
  field: Field,
  data: Data,
  conversions: Conversions,
): Reader {
  switch (extension) {
    case "arrow.uuid": {
      const read = stored(data, conversions);
      return (row) => uuidText(read(row) as Uint8Array);
    }
    case "arrow.bool8": {
      const read = stored(data, conversions);
      return (row) => read(row) !== 0;
    }
    case "arrow.json": {
      const read = stored(data, conversions);
      return conversions.json === "value" ? (row) => parsed(read(row) as string) : read;
    }
    default:
      return nested(field.type, data, conversions);
  }
}

function nested(type: DataType, data: Data, conversions: Conversions): Reader {
  if (DataType.isStruct(type)) return structs(type, data, conversions);
  if (DataType.isMap(type)) return maps(data, conversions);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    return lists(type, data, conversions);
  }
  if (DataType.isUnion(type)) return unions(type, data, conversions);
  if (DataType.isDictionary(type)) return dictionaries(data, conversions);
  return stored(data, conversions);
}

/** Values that are no containers. Rows count from the beginning of `data`, which may be a slice. */
function stored(data: Data, conversions: Conversions): Reader {
  const { type, values } = data;
  if (DataType.isNull(type)) return () => null;
  if (DataType.isInt(type) && type.bitWidth === 64) {
    return whole(values as BigInt64Array, conversions.bigint);
  }
  if (DataType.isDuration(type)) return whole(values as BigInt64Array, conversions.bigint);
  if (DataType.isTimestamp(type)) return timestamps(type, values as BigInt64Array, conversions);
  if (DataType.isTime(type)) {
    const perSecond = UNITS_PER_SECOND[type.unit];
    return (row) => timeText(BigInt(values[row]), perSecond);
  }
  if (DataType.isDate(type)) {
    // Days, or milliseconds, since 1970: either way the whole day.
    const dayMs = values instanceof Int32Array ? DAY_MS : 1;
    return (row) => dateOf(Number(values[row]) * dayMs);
  }
  if (DataType.isDecimal(type)) {
    const read = (row: number) => decimalText(values as Uint32Array, row, type);
    return conversions.decimal === "string" ? read : (row) => Number(read(row));
  }
  if (DataType.isInterval(type)) return intervals(type.unit, values as Int32Array);
  if (DataType.isInt(type) || (DataType.isFloat(type) && values instanceof Float64Array)) {
    return (row) => values[row];
  }
  if (DataType.isBool(type)) {
    const { offset } = data;
    return (row) =>
      (((values as Uint8Array)[(offset + row) >> 3] ?? 0) >> ((offset + row) & 7)) % 2 === 1;
  }
  const vector = new Vector([data]);
  return (row) => vector.get(row);
}

function whole(values: BigInt64Array | BigUint64Array, as: Conversions["bigint"]): Reader {
  if (as === "bigint") return (row) => values[row];
  if (as === "string") return (row) => String(values[row]);
  return (row) => {
    const number = Number(values[row]);
    if (Number.isSafeInteger(number)) return number;
    throw unheld(`${values[row]} is no number that JavaScript holds exactly`, 'bigint: "bigint"');
  };
}

function dateOf(ms: number): Date {
  const date = new Date(ms);
  if (!Number.isNaN(date.getTime())) return date;
  throw unheld(`${ms} ms from 1970 is no moment that a Date holds`, 'timestamp: "bigint"');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unheld("A column of JSON holds what is none", 'json: "string"');
  }
}

function unheld(what: string, instead: string): PixelflightError {
  return new PixelflightError(`${what}: read with { ${instead} }, or as a table.`, {
    code: "invalid_data",
  });
}

function timestamps(
  type: DataType & { unit: TimeUnit; timezone?: string | null | undefined },
  values: BigInt64Array,
  conversions: Conversions,
): Reader {
  const perSecond = UNITS_PER_SECOND[type.unit];
  switch (conversions.timestamp) {
    case "bigint":
      return (row) => values[row];
    case "string":
      return (row) => {
        const count = values[row] as bigint;
        dateOf(Number(floorMs(count, perSecond)));
        return timestampText(count, perSecond, Boolean(type.timezone));
      };
    case "date":
      // Numbers of milliseconds, rounded down as the moment's own digits are cut.
      return (row) => dateOf(Number(floorMs(values[row] as bigint, perSecond)));
  }
}

function floorMs(count: bigint, perSecond: bigint): bigint {
  if (perSecond <= 1_000n) return (count * 1_000n) / perSecond;
  const perMs = perSecond / 1_000n;
  const ms = count / perMs;
  return count < 0n && ms * perMs !== count ? ms - 1n : ms;
}

function intervals(unit: IntervalUnit, values: Int32Array): Reader {
  if (unit === IntervalUnit.YEAR_MONTH) return (row) => ({ months: values[row] });
  if (unit === IntervalUnit.DAY_TIME) {
    return (row) => ({ days: values[2 * row], milliseconds: values[2 * row + 1] });
  }
  return (row) => {
    const at = 4 * row;
    const low = BigInt((values[at + 2] as number) >>> 0);
    const nanoseconds = (BigInt(values[at + 3] as number) << 32n) | low;
    return { months: values[at], days: values[at + 1], nanoseconds };
  };
}

function structs(type: DataType, data: Data, conversions: Conversions): Reader {
  const members = (type.children as Field[]).map((field, index) => {
    return [field.name, readerOf(field, childOf(data, index), conversions)] as const;
  });
  return (row) => Object.fromEntries(members.map(([name, read]) => [name, read(row)]));
}

function lists(type: DataType, data: Data, conversions: Conversions): Reader {
  const read = readerOf(type.children[0] as Field, childOf(data, 0), conversions);
  const bounds = boundsOf(type, data);
  return (row) => {
    const [begin, end] = bounds(row);
    return Array.from({ length: end - begin }, (_, index) => read(begin + index));
  };
}

/** A map as a list of pairs: keys may be of any type, and stand in their order. */
function maps(data: Data, conversions: Conversions): Reader {
  const entries = childOf(data, 0);
  const [keys, values] = (entries.type.children as Field[]).map((field, index) =>
    readerOf(field, childOf(entries, index), conversions),
  ) as [Reader, Reader];
  const bounds = boundsOf(data.type, data);
  return (row) => {
    const [begin, end] = bounds(row);
    return new Map(
      Array.from({ length: end - begin }, (_, index) => [
        keys(begin + index),
        values(begin + index),
      ]),
    );
  };
}

function boundsOf(type: DataType, data: Data): (row: number) => [number, number] {
  if (DataType.isFixedSizeList(type)) {
    const size = type.listSize;
    return (row) => [row * size, (row + 1) * size];
  }
  const offsets = data.valueOffsets as Int32Array | BigInt64Array;
  return (row) => [Number(offsets[row]), Number(offsets[row + 1])];
}

function unions(
  type: DataType & { mode: UnionMode; typeIds: ArrayLike<number> },
  data: Data,
  conversions: Conversions,
): Reader {
  const readers = new Map(
    (type.children as Field[]).map((field, index) => [
      type.typeIds[index] as number,
      readerOf(field, childOf(data, index), conversions),
    ]),
  );
  const ids = data.typeIds as Int8Array;
  const offsets = data.valueOffsets as Int32Array;
  const isDense = type.mode === UnionMode.Dense;
  return (row) => readers.get(ids[row] as number)?.(isDense ? (offsets[row] as number) : row);
}

function dictionaries(data: Data, conversions: Conversions): Reader {
  const { dictionary } = data;
  if (!dictionary) throw new ProtocolError("A column of a dictionary has come without it.");
  // A dictionary that grew by deltas has a chunk for each.
  const chunks = dictionary.data.map((chunk) =>
    unlessNull(chunk, nested(chunk.type, chunk, conversions)),
  );
  const [only] = chunks;
  const keys = data.values as Int32Array | BigInt64Array;
  if (only && chunks.length === 1) return (row) => only(Number(keys[row]));
  return (row) => {
    let at = Number(keys[row]);
    let chunk = 0;
    for (; at >= (dictionary.data[chunk]?.length ?? Infinity); chunk++) {
      at -= dictionary.data[chunk]?.length ?? 0;
    }
    return chunks[chunk]?.(at);
  };
}

function childOf(data: Data, index: number): Data {
  const child = data.children[index];
  if (!child) throw new ProtocolError("A nested column lacks a child.");
  return child;
}
