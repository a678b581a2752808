/** Batches as objects, with values that programs in JavaScript can work with. */
import type { RecordBatch } from "apache-arrow";
import { type Reader, readerOf } from "./values.js";

/** A row as an object, by the names of its columns. */
export type Row = Record<string, unknown>;

/** What becomes of values for which JavaScript has no type of its own, or several. */
export interface Conversions {
  /**
   * Whole numbers of 64 bits: exact as `bigint`, or `number` where they are safe to be one and an
   * error else, or `string`.
   */
  readonly bigint: "bigint" | "number" | "string";
  /** Decimals: their digits as `string`, or the nearest `number`. */
  readonly decimal: "string" | "number";
  /**
   * Timestamps: a `Date`, which has milliseconds; an RFC 3339 `string` with all digits; or the
   * count of their unit as `bigint`.
   */
  readonly timestamp: "date" | "string" | "bigint";
  /** Columns of JSON: parsed as `value`, or the `string` that they are. */
  readonly json: "value" | "string";
}

export const CONVERSIONS: Conversions = {
  bigint: "bigint",
  decimal: "string",
  timestamp: "date",
  json: "value",
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
