/** Values of a statement, as JSON where it has their type and as a row of Arrow where not. */
import { check } from "./checks.js";
import { isPlain } from "./query/literals.js";
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
export async function encodedParameters(
  parameters: Parameters | undefined,
): Promise<EncodedParameters> {
  if (!parameters) return {};
  check(typeof parameters === "object", "parameters", parameters, "a list or an object");
  const first = Array.isArray(parameters) ? 1 : 0;
  const named = Object.entries(parameters).map(
    ([name, value]) => [first ? String(Number(name) + first) : name, value] as const,
  );
  for (const [name, value] of named)
    check(value !== undefined, `parameter ${name}`, value, "null, or a value");
  if (named.every(([, value]) => isJson(value))) return { parameters };
  // Programs whose parameters JSON has need it never.
  const { rowBytes } = await import("./inputs.js");
  return { parameters_ipc: base64(rowBytes(Object.fromEntries(named), "parameter")) };
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

/** Whether JSON says what the value is. */
function isJson(value: unknown): boolean {
  if (typeof value === "object" && value !== null) {
    return (Array.isArray(value) || isPlain(value)) && Object.values(value).every(isJson);
  }
  return value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
}
