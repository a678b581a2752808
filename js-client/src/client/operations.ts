/**
 * Methods for the operations whose answers are JSON.
 *
 * They are more than a hundred and all alike, so they are made of the table that the server's
 * OpenAPI document is written as: none can be forgotten, and together they are a tenth of the size.
 */
import type { RowCallOptions } from "../answers.js";
import { ArgumentError } from "../errors.js";
import { CORE_PATHS, type CoreCalls } from "../generated/calls.js";
import type { HttpRequest } from "../http/connection.js";
import { jsonText } from "../json.js";
import { Calls, type JsonRequest } from "./calls.js";
import type { ClientOptions } from "./options.js";

type Query = HttpRequest["query"];

const VERBS: Readonly<Record<string, JsonRequest["method"]>> = {
  G: "GET",
  P: "POST",
  U: "PUT",
  A: "PATCH",
  D: "DELETE",
};
const QUERY = 1;
const BODY = 2;
const ONCE = 4;

type Method = (this: Operations, ...given: unknown[]) => Promise<unknown>;

class Operations extends Calls {
  /** Runs the operation that a word of the table tells of, with what its method was given. */
  async operate(path: string, word: string, given: readonly unknown[]): Promise<unknown> {
    const flags = Number(word[1]);
    let at = 0;
    const filled = path.replaceAll("{}", () => pathText(given[at++], word.slice(2)));
    const body = flags & BODY ? given[at++] : undefined;
    const query = flags & QUERY ? queryTexts(given[at++]) : undefined;
    const { ifVersion, ifMatch, ...options } = (given[at] ?? {}) as RowCallOptions;
    if (ifVersion !== undefined && ifMatch !== undefined) {
      throw new ArgumentError("Give 'ifVersion' or 'ifMatch', not both.");
    }
    const tag = ifMatch ?? (ifVersion === undefined ? undefined : `"${ifVersion}"`);
    const request: JsonRequest = {
      method: VERBS[word[0] as string] as JsonRequest["method"],
      path: filled,
      body,
      query,
      headers: tag === undefined ? {} : { "if-match": tag },
    };
    return await this.json(request, options, Boolean(flags & ONCE));
  }
}

/** The class, once it has the methods of a table. */
export function withOperations<Class extends { prototype: object }>(
  made: Class,
  paths: string,
): Class {
  const prototype = made.prototype as Record<string, Method>;
  for (const line of paths.split("\n")) {
    const [path, ...words] = line.split(" ") as [string, ...string[]];
    for (const word of words) {
      prototype[word.slice(2)] = function (...given) {
        return this.operate(path, word, given);
      };
    }
  }
  return made;
}

/** The ground of the client, with a method for each operation that every client has. */
// Bundlers leave out what nobody imports only if they know that making it does nothing else.
export const OperationCalls = /* @__PURE__ */ withOperations(
  Operations,
  CORE_PATHS,
) as unknown as new (
  options: ClientOptions,
) => Calls & CoreCalls;

/**
 * What stands in a path for a name, or for the values of a key.
 *
 * @throws {@link ArgumentError} for what is missing: the URL would be that of something else.
 */
export function pathText(given: unknown, method: string): string {
  const values = Array.isArray(given) ? given : [given];
  if (values.length === 0 || values.some((one) => (one ?? "") === "")) {
    throw new ArgumentError(`${method}() was given no name or id where it needs one.`);
  }
  return values.map((one) => encodeURIComponent(String(one))).join("/");
}

/** Filters, orders and lists of columns are JSON in a query. */
export function queryTexts(query: unknown): Query {
  const written = Object.entries(query ?? {})
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => [name, typeof value === "object" ? jsonText(value) : value]);
  return Object.fromEntries(written) as Query;
}
