/** Values of a statement, as JSON where it has their type and as a row of Arrow where not. */
import { check } from "./checks.js";
import { base64 } from "./json.js";
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

/** Whether JSON says what the value is. */
function isJson(value: unknown): boolean {
  if (typeof value === "object" && value !== null) {
    return (Array.isArray(value) || isPlain(value)) && Object.values(value).every(isJson);
  }
  return value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
}
