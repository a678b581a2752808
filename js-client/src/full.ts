/**
 * The client with a method for everything that the server can be asked: beside those of the default
 * entry, single rows, searches, files that are sent and fetched, schedules, webhooks, keys, roles,
 * users, grants, workspaces, the audit trail, usage.
 *
 * @packageDocumentation
 */
import { FileCalls } from "./client/files.js";
import type { ClientOptions } from "./client/options.js";
import type { Schemas } from "./schemas.js";

export type { DownloadOptions, UploadOptions } from "./client/files.js";
export type { Paged } from "./client/pages.js";
export type { ReadRowOptions, SearchOptions, TaggedRow } from "./client/rows.js";
export * from "./index.js";
export { schemaIpc } from "./schema-ipc.js";

/** A server, and all that can be asked of it. Made by {@link createClient}. */
export class Client<S extends object = Schemas> extends FileCalls<S> {}

/**
 * A client of the server at a URL, as that of the default entry, with a method for everything.
 *
 * @throws {@link ArgumentError} where the options contradict themselves.
 */
export function createClient<S extends object = Schemas>(options: ClientOptions): Client<S> {
  return new Client<S>(options);
}
