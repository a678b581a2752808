/** Rows as objects, made into columns of Arrow. */
import {
  Binary,
  Bool,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
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

/** A row that is put. Whole numbers, dates and bytes keep their kind; the server casts the rest. */
export type InputRow = Readonly<Record<string, unknown>>;

/**
 * One batch of the rows. A column is what its values are: 64-bit whole numbers, doubles, booleans,
 * texts, moments (`Date`), bytes (`Uint8Array`), lists and structs of these.
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

const NULL = new Null();

function typeOf(value: unknown, name: string): DataType {
  if (value === null || value === undefined) return NULL;
  if (value instanceof Date) return new TimestampMillisecond("UTC");
  if (value instanceof Uint8Array) return new Binary();
  if (Array.isArray(value)) {
    const items = value.map((item) => typeOf(item, name));
    const item = items.reduce((before, type) => joined(before, type, name), NULL as DataType);
    return new List(new Field("item", item, true));
  }
  switch (typeof value) {
    case "bigint":
      return new Int64();
    case "number":
      return Number.isSafeInteger(value) ? new Int64() : new Float64();
    case "boolean":
      return new Bool();
    case "string":
      return new Utf8();
    case "object": {
      const members = Object.entries(value as object);
      return new Struct(members.map(([key, inner]) => new Field(key, typeOf(inner, name), true)));
    }
    default:
      throw new ArgumentError(`The column '${name}' holds a ${typeof value}.`);
  }
}

/** The type that holds values of both. */
function joined(one: DataType, other: DataType, name: string): DataType {
  if (String(one) === String(other) || isNull(other)) return one;
  if (isNull(one)) return other;
  if (one instanceof List && other instanceof List) {
    const item = joined(one.valueType, other.valueType, name);
    return new List(new Field("item", item, true));
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
  if (kinds.every(isNumber)) return new Float64();
  throw new ArgumentError(
    `The column '${name}' holds values of different kinds: ${one} and ${other}.`,
  );
}

function isNull(type: DataType): boolean {
  return type instanceof Null;
}

function column(field: Field, rows: readonly InputRow[]): Vector {
  const values = rows.map((row) => prepared(row[field.name], field.type));
  try {
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
  if (type instanceof Float64) return Number(value);
  if (type instanceof List && Array.isArray(value)) {
    return value.map((item) => prepared(item, type.valueType));
  }
  if (type instanceof Struct) {
    const given = value as InputRow;
    const fields = type.children as Field[];
    return Object.fromEntries(fields.map(({ name, type }) => [name, prepared(given[name], type)]));
  }
  return value;
}
