import { check } from "../checks.js";
import type { SqlRequest } from "../transport.js";

/** A template as a statement: values become parameters, and never part of its text. */
export function sqlOf(strings: readonly string[], values: readonly unknown[]): SqlRequest {
  check(Array.isArray(strings), "sql", strings, "a text or a template");
  const sql = strings.reduce((text, part, index) => `${text}$${index}${part}`);
  return values.length === 0 ? { sql } : { sql, parameters: values };
}
