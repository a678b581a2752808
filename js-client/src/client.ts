import { JobCalls } from "./client/jobs.js";
import type { ClientOptions } from "./client/options.js";
import { Query } from "./query/builder.js";
import type { RowOf, Schemas, TableNameOf, Told } from "./schemas.js";

/**
 * A server, and what most programs ask of it. Made by {@link createClient}; that of
 * `pixelflight/full` has a method for everything else as well.
 */
export class Client<S extends object = Schemas> extends JobCalls<S> {
  /** Rows of a table, asked for step by step: `client.from("t").select("a").limit(5)`. */
  from<Name extends TableNameOf<S>>(table: Name): Query<RowOf<S, Name>>;
  /** Rows of a type that is told here: `from<{ seats: number }>("planes")`. */
  from<T extends object = never>(table: Told<T>): Query<T>;
  from(table: string): object {
    return new Query((options) => this.get(table, options as object));
  }
}

/**
 * A client of the server at a URL. Nothing is sent before the first call.
 *
 * Given the tables as types, as `pixelflight-typegen` writes them, their rows are typed:
 * `createClient<Tables>({ url, key })`.
 *
 * @throws {@link ArgumentError} where the options contradict themselves.
 */
export function createClient<S extends object = Schemas>(options: ClientOptions): Client<S> {
  return new Client<S>(options);
}
