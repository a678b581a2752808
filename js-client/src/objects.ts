/** Rows as objects, made into columns of Arrow. */
import {
  Binary,
  Bool,
  type Data,
  DataType,
  Field,
  Float64,
  Int64,
  List,
  Map_,
  makeData,
  Null,
  RecordBatch,
  Schema,
  Struct,
  TimestampMillisecond,
  Utf8,
} from "apache-arrow";
import { ArgumentError } from "./errors.js";
import { isMoment } from "./query/literals.js";

/** A row that is put. Whole numbers, dates and bytes keep their kind; the server casts the rest. */
export type InputRow = Readonly<Record<string, unknown>>;

/**
 * One batch of the rows. A column is what its values are: 64-bit whole numbers, doubles, booleans,
 * texts, moments (`Date`), bytes (`Uint8Array`), lists, maps and structs of these. Columns stand in
 * the order in which they are first named.
 *
 * @throws {@link ArgumentError} that names the column whose values are of different kinds.
 */
export function batchOf(rows: readonly InputRow[]): RecordBatch {
  const seen = nothing(Struct);
  for (const [index, row] of rows.entries()) {
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new ArgumentError(`Row ${index + 1} is no object: rows are objects by column names.`);
    }
    seeMembers(seen, row);
  }
  if (seen.members.size === 0) throw new ArgumentError("The rows name no column.");
  const type = typeOf(seen) as Struct;
  const data = makeData({ type, length: rows.length, children: members(type, rows, true) });
  return new RecordBatch(new Schema(type.children), data);
}

/** A type, or the class of one that is made of others. */
type Kind = DataType | typeof Struct | typeof List | typeof Map_;

/** What values were seen: of which kind, and what they hold. */
interface Seen {
  kind: Kind;
  readonly members: Map<string, Seen>;
}

const NULL = new Null();
const INT64 = new Int64();
const FLOAT64 = new Float64();
const BOOL = new Bool();
const TEXT = new Utf8();
const BYTES = new Binary();
const MOMENT = new TimestampMillisecond("UTC");
const INT64_BITS = 64;

function nothing(kind: Kind): Seen {
  return { kind, members: new Map() };
}

/** Of members of a column, `column` is the name. */
function seeMembers(seen: Seen, given: object, column?: string): void {
  for (const name of Object.keys(given)) {
    see(member(seen, name), (given as InputRow)[name], column ?? name);
  }
}

function member({ members }: Seen, name: string): Seen {
  let found = members.get(name);
  if (!found) {
    found = nothing(NULL);
    members.set(name, found);
  }
  return found;
}

function see(seen: Seen, value: unknown, name: string): void {
  if (value === null || value === undefined) return;
  const kind = kindOf(value, name);
  if (seen.kind === NULL) {
    seen.kind = kind;
    if (kind === Map_) see(member(seen, "entries"), { key: null, value: null }, name);
  } else if (kind !== seen.kind) {
    if (!isNumber(kind) || !isNumber(seen.kind)) {
      const other = nothing(NULL);
      see(other, value, name);
      throw new ArgumentError(
        `The column '${name}' holds values of different kinds: ${typeOf(seen)} and ${typeOf(other)}.`,
      );
    }
    seen.kind = FLOAT64;
  }
  if (kind === Struct) seeMembers(seen, value, name);
  else if (kind === List || kind === Map_) {
    const item = member(seen, kind === List ? "item" : "entries");
    for (const one of itemsOf(value)) see(item, one, name);
  }
}

function isNumber(kind: Kind): boolean {
  return kind === INT64 || kind === FLOAT64;
}

function kindOf(value: unknown, name: string): Kind {
  switch (typeof value) {
    case "bigint":
      if (BigInt.asIntN(INT64_BITS, value) === value) return INT64;
      throw new ArgumentError(`The column '${name}' holds ${value}, which 64 bits do not.`);
    case "number":
      return Number.isSafeInteger(value) ? INT64 : FLOAT64;
    case "boolean":
      return BOOL;
    case "string":
      return TEXT;
    case "object":
      return kindOfObject(value as object, name);
    default:
      throw new ArgumentError(`The column '${name}' holds a ${typeof value}.`);
  }
}

function kindOfObject(value: object, name: string): Kind {
  if (value instanceof Date) {
    if (isMoment(value)) return MOMENT;
    throw new ArgumentError(`The column '${name}' holds a Date of no moment.`);
  }
  if (value instanceof Uint8Array) return BYTES;
  if (value instanceof Map) return Map_;
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)))
    return List;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return Struct;
  throw new ArgumentError(
    `The column '${name}' holds a ${value.constructor.name}: give numbers, texts, dates, bytes, lists, maps or plain objects.`,
  );
}

/** The items of an array, or of an array of numbers such as a `Float32Array`; a map's entries. */
function itemsOf(value: unknown): Iterable<unknown> {
  if (!(value instanceof Map)) return (value ?? []) as Iterable<unknown>;
  return Array.from(value, ([key, value]) => ({ key, value }));
}

/** The type of what was seen. Entries of a map, and their keys, are never null. */
function typeOf({ kind, members }: Seen, isEntries = false): DataType {
  const isMap = kind === Map_;
  const fields = Array.from(members, ([name, inner]) => {
    const isNullable = !isMap && !(isEntries && name === "key");
    return new Field(name, typeOf(inner, isMap), isNullable);
  });
  if (kind instanceof DataType) return kind;
  const Made = kind as new (fields: unknown) => DataType;
  return new Made(kind === Struct ? fields : fields[0]);
}

/** The values as a column. Builders of apache-arrow do the same, several times as slowly. */
function column(type: DataType, values: readonly unknown[]): Data {
  const buffers =
    type === TEXT || type === BYTES
      ? joined(values as (string | Uint8Array | null)[])
      : type === BOOL
        ? { data: bits(values, Boolean) }
        : type instanceof Struct
          ? { children: members(type, values) }
          : type.children
            ? flattened((type.children[0] as Field).type, values)
            : { data: numbers(type, values) };
  const nullBitmap = bits(values, (value) => value !== null && value !== undefined);
  return makeData({ type, length: values.length, nullBitmap, ...buffers } as never);
}

/**
 * A column for each member of the objects; errors name those of rows. Every object has a
 * `constructor`, but no such column.
 */
function members({ children }: Struct, given: readonly unknown[], areRows = false): Data[] {
  return children.map(({ name, type }) => {
    const key = name as string;
    try {
      return column(
        type,
        given.map((one) => (one && Object.hasOwn(one, key) ? (one as InputRow)[key] : null)),
      );
    } catch (cause) {
      if (!areRows || !(cause instanceof Error)) throw cause;
      throw new ArgumentError(`The column '${key}' is ${type}: ${cause.message}`, { cause });
    }
  });
}

function bits(values: readonly unknown[], isSet: (value: unknown) => boolean): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(values.length / 8));
  for (let row = 0; row < values.length; row++) {
    if (isSet(values[row])) (bytes[row >> 3] as number) |= 1 << (row & 7);
  }
  return bytes;
}

/** Numbers and moments. */
function numbers(type: DataType, values: readonly unknown[]): Float64Array | BigInt64Array {
  const [data, cast] =
    type === FLOAT64
      ? [new Float64Array(values.length), double]
      : [new BigInt64Array(values.length), BigInt];
  for (let row = 0; row < values.length; row++) data[row] = cast((values[row] ?? 0) as number);
  return data;
}

/** A number beside fractions: one of 64 bits that a double has not is not rounded silently. */
function double(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === "number" || BigInt(number) === value) return number;
  throw new RangeError(`${value} is no double.`);
}

const encoder = new TextEncoder();
const ASCII_MAX = 0x7f;

/** Texts, or bytes, one behind the other. */
function joined(values: readonly (string | Uint8Array | null)[]): object {
  const valueOffsets = new Int32Array(values.length + 1);
  let data = new Uint8Array(0);
  let end = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row] ?? "";
    // In UTF-8 a unit of UTF-16 takes three bytes at most.
    const most = end + 3 * value.length;
    if (most > data.length) {
      const before = data;
      data = new Uint8Array(2 * most);
      data.set(before);
    }
    // Most texts are short and of ASCII: an encoder takes longer to be called.
    for (let at = 0; at < value.length; at++) {
      const unit = typeof value === "string" ? value.charCodeAt(at) : (value[at] as number);
      if (typeof value === "string" && unit > ASCII_MAX) {
        end += encoder.encodeInto(value.slice(at), data.subarray(end)).written;
        break;
      }
      data[end++] = unit;
    }
    valueOffsets[row + 1] = end;
  }
  return { valueOffsets, data: data.subarray(0, end) };
}

/** The items of lists, or the entries of maps, one behind the other. */
function flattened(type: DataType, values: readonly unknown[]): object {
  const valueOffsets = new Int32Array(values.length + 1);
  const items: unknown[] = [];
  for (let row = 0; row < values.length; row++) {
    for (const item of itemsOf(values[row])) items.push(item);
    valueOffsets[row + 1] = items.length;
  }
  return { valueOffsets, child: column(type, items) };
}
