/**
 * Tables and batches of another copy of apache-arrow, as ones of ours.
 *
 * Programs often hold two copies: a library's own beside theirs. Classes of one are strangers to
 * the other, and releases before 21.2 do not even mark what they make. But all of them lay data
 * out alike: types by their numbers, buffers by their names. So the objects are made again around
 * the same buffers, and no value is copied.
 */
import * as arrow from "apache-arrow";
import { Data, type DataType, Field, RecordBatch, Schema, Table, Vector } from "apache-arrow";
import { ArgumentError } from "./errors.js";

/** In the order of their numbers, which begin at -1. Of numbers without a class there are two. */
const CLASSES: readonly ({ readonly prototype: DataType } | undefined)[] = [
  arrow.Dictionary,
  undefined,
  arrow.Null,
  arrow.Int,
  arrow.Float,
  arrow.Binary,
  arrow.Utf8,
  arrow.Bool,
  arrow.Decimal,
  arrow.Date_,
  arrow.Time,
  arrow.Timestamp,
  arrow.Interval,
  arrow.List,
  arrow.Struct,
  arrow.Union,
  arrow.FixedSizeBinary,
  arrow.FixedSizeList,
  arrow.Map_,
  arrow.Duration,
  arrow.LargeBinary,
  arrow.LargeUtf8,
  arrow.LargeList,
  undefined,
  arrow.BinaryView,
  arrow.Utf8View,
];

/** A schema and batches of it. */
export interface Batches {
  readonly schema: Schema;
  readonly batches: readonly RecordBatch[];
}

/**
 * The table's batches; nothing for what is no table of any copy.
 *
 * @throws {@link ArgumentError} for a type that this copy does not have.
 */
export function batchesOf(value: unknown): Batches | undefined {
  if (!isTable(value)) return undefined;
  if (Object.getPrototypeOf(value) === Table.prototype) return value;
  const made = new Maker();
  return {
    schema: made.schema(value.schema),
    batches: value.batches.map((batch) => made.batch(batch)),
  };
}

/** The batch as one of ours; nothing for what is no batch of any copy. */
export function batchOfAny(value: unknown): RecordBatch | undefined {
  if (!isBatch(value)) return undefined;
  if (Object.getPrototypeOf(value) === RecordBatch.prototype) return value;
  return new Maker().batch(value);
}

function isTable(value: unknown): value is Batches {
  return hasSchema(value) && Array.isArray((value as Partial<Batches>).batches);
}

function isBatch(value: unknown): value is RecordBatch {
  const { data } = (value ?? {}) as { data?: { children?: unknown } };
  return hasSchema(value) && Array.isArray(data?.children);
}

function hasSchema(value: unknown): boolean {
  const { schema } = (value ?? {}) as { schema?: { fields?: unknown } };
  return Array.isArray(schema?.fields);
}

/** Makes each thing once, so that what batches share stays shared. */
class Maker {
  private readonly made = new Map<object, object>();

  schema(given: Schema): Schema {
    return this.once(given, () => {
      const fields = given.fields.map((field) => this.field(field));
      return new Schema(fields, new Map(given.metadata));
    });
  }

  batch({ schema, data, metadata }: RecordBatch): RecordBatch {
    return new RecordBatch(this.schema(schema), this.data(data) as never, new Map(metadata ?? []));
  }

  private field(given: Field): Field {
    const metadata = new Map(given.metadata);
    return new Field(given.name, this.type(given.type), given.nullable, metadata);
  }

  private type(given: DataType): DataType {
    return this.once(given, () => {
      const { typeId, children } = given;
      const known = CLASSES[typeId + 1];
      if (!known) throw new ArgumentError(`This apache-arrow has no type ${typeId} (${given}).`);
      const type = Object.assign(Object.create(known.prototype), given, { typeId }) as DataType;
      const { dictionary, indices } = given as { dictionary?: DataType; indices?: DataType };
      const inner: Record<string, unknown> = {};
      // A dictionary tells its values' fields as its own, by its class.
      if (dictionary) inner.dictionary = this.type(dictionary);
      else if (children) inner.children = (children as Field[]).map((one) => this.field(one));
      if (indices) inner.indices = this.type(indices);
      return Object.assign(type, inner);
    });
  }

  private data(given: Data): Data {
    const { valueOffsets, values, nullBitmap, typeIds, dictionary } = given;
    return new Data(
      this.type(given.type),
      given.offset,
      given.length,
      given.nullCount,
      [valueOffsets, values, nullBitmap, typeIds] as never,
      given.children.map((child) => this.data(child)),
      dictionary && this.vector(dictionary),
      [...(given.variadicBuffers ?? [])],
    );
  }

  private vector(given: Vector): Vector {
    return this.once(given, () => new Vector(given.data.map((chunk) => this.data(chunk))));
  }

  private once<T extends object>(given: T, make: () => T): T {
    const before = this.made.get(given) as T | undefined;
    if (before) return before;
    const made = make();
    this.made.set(given, made);
    return made;
  }
}
