/** What rows are as objects, and what becomes of their values. */
import { refuse } from "./checks.js";

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

/** Those that are given, and for the rest the others. */
export function chosen(others: Conversions, given: Partial<Conversions> = {}): Conversions {
  const { bigint, decimal, timestamp, json, ...unknown } = { ...others, ...given };
  refuse("conversions", unknown);
  return { bigint, decimal, timestamp, json };
}
