/** Values as literals of SQL, as DuckDB reads them. */
import { ArgumentError } from "../errors.js";
import { jsonText } from "../json.js";

/**
 * A value as SQL. Texts are of no type until they are compared, so they serve for dates and UUIDs.
 *
 * @throws {@link ArgumentError} for what has no literal.
 */
export function literal(value: unknown): string {
  if (value === null) return "NULL";
  if (isMoment(value)) return `TIMESTAMPTZ '${value.toISOString()}'`;
  if (value instanceof Uint8Array) return blob(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  switch (typeof value) {
    case "string":
      return `'${value.replaceAll("'", "''")}'`;
    case "boolean":
      return value ? "true" : "false";
    case "bigint":
      return value.toString();
    case "number":
      return number(value);
    default:
      throw new ArgumentError(`A filter compares with a value, and not with ${shown(value)}.`);
  }
}

/** A value as an error quotes it. */
export function shown(value: unknown): string {
  const isJson = typeof value === "string" || isPlain(value) || Array.isArray(value);
  const text = isJson ? jsonText(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Whether a value is an object by its members alone. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return `'${value}'::DOUBLE`;
}

/** Whether it is a Date that says when. */
export function isMoment(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

function blob(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  return `'${hex}'::BLOB`;
}
