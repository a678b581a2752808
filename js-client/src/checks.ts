/**
 * What a program gives that is wrong at a glance: told before anything is sent, in the same words
 * on every way to travel.
 */
import { ArgumentError } from "./errors.js";
import { shown } from "./query/literals.js";

/** @throws {@link ArgumentError} that says what to give, where the value is not right. */
export function check(isRight: unknown, name: string, value: unknown, wanted: string): void {
  if (!isRight) throw new ArgumentError(`'${name}' is ${shown(value)}: give ${wanted}.`);
}

/**
 * Refuses what is left when all options are taken out: one that is misspelled would do nothing,
 * silently.
 */
export function refuse(of: string, others: object): void {
  for (const name in others) throw new ArgumentError(`'${of}' has no option '${name}'.`);
}

/** A count of rows, or the number of a version. */
export function checkedCount<T>(name: string, value: T): T {
  const isRight = Number.isSafeInteger(value ?? 0) && ((value as number) ?? 0) >= 0;
  check(isRight, name, value, "a whole number, 0 or more");
  return value;
}

/** The name of a table. */
export function checkedTable(table: string): string {
  check(typeof table === "string" && table, "table", table, "its name");
  return table;
}

/** Names of columns. */
export function checkedColumns<T>(columns: T): T {
  const list = columns ?? [];
  const isRight = Array.isArray(list) && list.every((name) => typeof name === "string");
  check(isRight, "columns", columns, "a list of names");
  return columns;
}

/** A version by its number or its tag; no tag is made of digits. */
export function checkedVersion<T>(version: T): T | number {
  if (typeof version !== "string" || version === "") return checkedCount("version", version);
  return /^\d+$/.test(version) ? Number(version) : version;
}
