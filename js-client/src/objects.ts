/** Rows as objects, made into columns of Arrow. */
import {
  Binary,
  Bool,
  type DataType,
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
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { ArgumentError } from "./errors.js";
import { isMoment } from "./query/literals.js";

/** A row that is put. Whole numbers, dates and bytes keep their kind; the server casts the rest. */
export type InputRow = Readonly<Record<string, unknown>>;

/**
 * One batch of the rows. A column is what its values are: 64-bit whole numbers, doubles, booleans,
 * texts, moments (`Date`), bytes (`Uint8Array`), lists, maps and structs of these.
 *
 * @throws {@link ArgumentError} that names the column whose values are of different kinds.
 */
export function batchOf(rows: readonly InputRow[], schema?: Schema): RecordBatch {
  const known = schema ?? inferred(rows);
  const children = known.fields.map((field) => column(field, rows).data[0] as never);
  const data = makeData({ type: new Struct(known.fields), length: rows.length, children });
  return new RecordBatch(known, data);
}

/** The schema that all the rows fit. Columns stand in the order in which they are first named. */
export function inferred(rows: readonly InputRow[]): Schema {
  const types = new Map<string, DataType>();
  for (const [index, row] of rows.entries()) {
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new ArgumentError(`Row ${index + 1} is no object: rows are objects by column names.`);
    }
    for (const [name, value] of Object.entries(row)) {
      const before = types.get(name) ?? NULL;
      types.set(name, joined(before, typeOf(value, name), name));
    }
  }
  if (types.size === 0) throw new ArgumentError("The rows name no column.");
  return new Schema([...types].map(([name, type]) => new Field(name, type, true)));
}

// One of each, so that values of one type are known as such without a closer look.
const NULL = new Null();
const INT64 = new Int64();
const FLOAT64 = new Float64();
const BOOL = new Bool();
const TEXT = new Utf8();
const BYTES = new Binary();
const MOMENT = new TimestampMillisecond("UTC");
const INT64_BITS = 64;

function typeOf(value: unknown, name: string): DataType {
  if (value === null || value === undefined) return NULL;
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
      return typeOfObject(value, name);
    default:
      throw new ArgumentError(`The column '${name}' holds a ${typeof value}.`);
  }
}

function typeOfObject(value: object, name: string): DataType {
  if (value instanceof Date) {
    if (isMoment(value)) return MOMENT;
    throw new ArgumentError(`The column '${name}' holds a Date of no moment.`);
  }
  if (value instanceof Uint8Array) return BYTES;
  const items = listed(value);
  if (items) return new List(new Field("item", itemType(items, name), true));
  if (value instanceof Map) {
    const key = new Field("key", itemType([...value.keys()], name), false);
    return mapOf(key, new Field("value", itemType([...value.values()], name), true));
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new ArgumentError(
      `The column '${name}' holds a ${value.constructor.name}: give numbers, texts, dates, bytes, lists, maps or plain objects.`,
    );
  }
  const members = Object.entries(value);
  return new Struct(members.map(([key, inner]) => new Field(key, typeOf(inner, name), true)));
}

function mapOf(key: Field, value: Field): Map_ {
  return new Map_(new Field("entries", new Struct([key, value]), false) as never);
}

/** The items of a list: of an array, or of an array of numbers such as a `Float32Array`. */
function listed(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  const isNumbers = ArrayBuffer.isView(value) && !(value instanceof DataView);
  return isNumbers ? Array.from(value as unknown as ArrayLike<unknown>) : undefined;
}

function itemType(items: readonly unknown[], name: string): DataType {
  return items.reduce(
    (before: DataType, item) => joined(before, typeOf(item, name), name),
    NULL as DataType,
  );
}

/** The type that holds values of both. */
function joined(one: DataType, other: DataType, name: string): DataType {
  if (one === other || isNull(other) || String(one) === String(other)) return one;
  if (isNull(one)) return other;
  if (one instanceof List && other instanceof List) {
    const item = joined(one.valueType, other.valueType, name);
    return new List(new Field("item", item, true));
  }
  if (one instanceof Map_ && other instanceof Map_) {
    const key = new Field("key", joined(one.keyType, other.keyType, name), false);
    const value = new Field("value", joined(one.valueType, other.valueType, name), true);
    return mapOf(key, value);
  }
  if (one instanceof Struct && other instanceof Struct) {
    const members = new Map<string, DataType>();
    for (const { name: key, type } of [...one.children, ...other.children] as Field[]) {
      members.set(key, joined(members.get(key) ?? NULL, type, name));
    }
    return new Struct([...members].map(([key, type]) => new Field(key, type, true)));
  }
  const kinds = [one, other];
  const isNumber = (type: DataType) => type instanceof Int64 || type instanceof Float64;
  if (kinds.every(isNumber)) return FLOAT64;
  throw new ArgumentError(
    `The column '${name}' holds values of different kinds: ${one} and ${other}.`,
  );
}

function isNull(type: DataType): boolean {
  return type instanceof Null;
}

function column(field: Field, rows: readonly InputRow[]): Vector {
  try {
    const values = rows.map((row) => prepared(own(row, field.name), field.type));
    return vectorFromArray(values, field.type);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ArgumentError(`The column '${field.name}' is ${field.type}: ${why}`, { cause });
  }
}

/** A value as apache-arrow's builders take it. */
function prepared(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return null;
  if (type instanceof Int64 && typeof value === "number") return BigInt(value);
  if (type instanceof Float64) return double(value as number | bigint);
  if (type instanceof List) return listed(value)?.map((item) => prepared(item, type.valueType));
  if (type instanceof Map_) {
    const pairs = [...(value as Map<unknown, unknown>)];
    const { keyType, valueType } = type;
    return new Map(
      pairs.map(([key, inner]) => [prepared(key, keyType), prepared(inner, valueType)]),
    );
  }
  if (type instanceof Struct) {
    const given = value as InputRow;
    const fields = type.children as Field[];
    return Object.fromEntries(
      fields.map(({ name, type }) => [name, prepared(own(given, name), type)]),
    );
  }
  return value;
}

/** A number beside fractions: one of 64 bits that a double has not is not rounded silently. */
function double(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === "number" || BigInt(number) === value) return number;
  throw new RangeError(`${value} is no double.`);
}

/** A member that a row has itself: every object has a `constructor`, but no such column. */
function own(row: InputRow, name: string): unknown {
  return Object.hasOwn(row, name) ? row[name] : undefined;
}
