/** Values of a statement, as JSON where it has their type and as a row of Arrow where not. */
import {
  Binary,
  Bool,
  type DataType,
  Float64,
  Int64,
  Null,
  Table,
  TimestampMillisecond,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { ArgumentError } from "./errors.js";
import type { Parameters } from "./transport.js";

/** The fields of a request that say what its parameters are; none where there are none. */
export interface EncodedParameters {
  parameters?: Parameters;
  /** Base64 of an Arrow stream of one row, whose columns are called as the parameters. */
  parameters_ipc?: string;
}

/**
 * The parameters as fields of a request.
 *
 * @throws {@link ArgumentError} that names the parameter which is of no type of SQL.
 */
export function encodedParameters(parameters: Parameters | undefined): EncodedParameters {
  if (parameters === undefined) return {};
  const named = Object.entries(parameters);
  for (const [name, value] of named) refuseUndefined(label(parameters, name), value);
  if (named.every(([, value]) => isJson(value))) return { parameters };
  const columns = named.map(([name, value]) => {
    const called = label(parameters, name);
    return [called, column(called, value)] as const;
  });
  const row = new Table(Object.fromEntries(columns) as Record<string, Vector>);
  return { parameters_ipc: base64(tableToIPC(row, "stream")) };
}

/** JSON of a body. Numbers that JSON has not, or doubles, are written as text, which is taken too. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, name, inner: unknown) {
    // Node's buffers say something else of themselves before they come here.
    const given = this[name];
    if (given instanceof Uint8Array) return base64(given);
    const isForeign = typeof inner === "number" && !Number.isFinite(inner);
    return isForeign || typeof inner === "bigint" ? String(inner) : inner;
  });
}

/** Bytes as base64. */
export function base64(bytes: Uint8Array): string {
  const PIECE = 0x8000;
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(text);
}

function label(parameters: Parameters, name: string): string {
  return Array.isArray(parameters) ? String(Number(name) + 1) : name;
}

function refuseUndefined(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function" || typeof value === "symbol") {
    throw new ArgumentError(`The parameter ${name} is ${typeof value}: give null, or a value.`);
  }
}

function isJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "bigint") return false;
  if (typeof value !== "object" || value === null) return true;
  if (value instanceof Date || ArrayBuffer.isView(value)) return false;
  return Object.values(value).every(isJson);
}

function column(name: string, value: unknown): Vector {
  const type = typeOf(value);
  if (!type) {
    throw new ArgumentError(
      `The parameter ${name} holds ${Object.prototype.toString.call(value)} beside values that JSON has no type for: give each as a parameter of its own.`,
    );
  }
  return vectorFromArray([asArrow(value)], type);
}

function asArrow(value: unknown): unknown {
  if (value instanceof Date) return value.getTime();
  return Number.isInteger(value) ? BigInt(value as number) : value;
}

function typeOf(value: unknown): DataType | undefined {
  if (value === null) return new Null();
  if (value instanceof Date) return new TimestampMillisecond("UTC");
  if (value instanceof Uint8Array) return new Binary();
  switch (typeof value) {
    case "bigint":
      return new Int64();
    case "number":
      return Number.isInteger(value) ? new Int64() : new Float64();
    case "boolean":
      return new Bool();
    case "string":
      return new Utf8();
    default:
      return undefined;
  }
}
