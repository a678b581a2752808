/**
 * How bytes travel. There are two ways, and the rest of the client knows of neither: Arrow over
 * HTTP (`http/`), for every runtime, and Arrow Flight (`flight/`), for Node.
 */
import type { IpcMessage } from "./ipc/message.js";

/** Values of a statement: a list for `?` and `$1`, an object for `$name`. */
export type Parameters = readonly unknown[] | Readonly<Record<string, unknown>>;

/** A read of one table. */
export interface ScanRequest {
  readonly table: string;
  readonly columns?: readonly string[] | undefined;
  /** A predicate of SQL over the table's columns. */
  readonly filter?: string | undefined;
  /** As in SQL: `"dep_delay desc, carrier"`. */
  readonly orderBy?: string | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  /** A snapshot's number or a tag's name. */
  readonly version?: number | string | undefined;
  /** A moment, as RFC 3339. */
  readonly asOf?: string | undefined;
  /** Adds the column `_row_id`. */
  readonly withRowId?: boolean | undefined;
}

/** A statement of SQL that reads. */
export interface SqlRequest {
  readonly sql: string;
  readonly parameters?: Parameters | undefined;
  readonly version?: number | string | undefined;
  readonly asOf?: string | undefined;
  readonly limit?: number | undefined;
}

/** The net difference between two versions of a table. */
export interface DiffRequest {
  readonly table: string;
  readonly older: number | string;
  readonly newer?: number | string | undefined;
}

/** The changes of a table after a snapshot. */
export interface ChangesRequest {
  readonly table: string;
  readonly after: number;
  readonly until?: number | undefined;
  readonly images?: "after" | "both" | undefined;
}

/** What can be read, each as its own kind. */
export type ReadRequest =
  | { readonly kind: "scan"; readonly scan: ScanRequest }
  | { readonly kind: "sql"; readonly sql: SqlRequest }
  | { readonly kind: "diff"; readonly diff: DiffRequest }
  | { readonly kind: "changes"; readonly changes: ChangesRequest };

/** What becomes of the rows that are there when rows are put. */
export type PutMode = "create" | "append" | "overwrite" | "upsert" | "merge";

/** How rows enter a table. */
export interface IngestRequest {
  readonly table: string;
  readonly mode: PutMode;
  /** The columns to match by, for `upsert` and `merge`; the table's own without it. */
  readonly key?: readonly string[] | undefined;
  readonly createIfMissing?: boolean | undefined;
  /** Sent again under the same token, rows count once. */
  readonly token: string;
  /** Commit as soon as one of these is reached; Flight alone does so. */
  readonly commitEvery?: { rows?: number; bytes?: number; ms?: number } | undefined;
}

/** What the server says of rows that are committed. */
export interface Commit {
  /** The snapshot that the commit made. */
  readonly commit: number;
  readonly rows: number;
  readonly rowsInserted: number;
  readonly rowsUpdated: number;
  /** How many rows of the stream are safe. */
  readonly offset: number;
  /** Whether the token had been used before: nothing was written now. */
  readonly duplicate: boolean;
}

/** Who is asking: an API key or a token, as a text or as what gives one for each request. */
export type Credential = string | (() => string | Promise<string>);

/** One call's own settings. */
export interface CallSettings {
  readonly signal: AbortSignal;
  /** The client's, for a transport that was given none of its own. */
  readonly credential?: Credential | undefined;
  /** Told of each piece of the stream as it comes or goes, in bytes. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Told of each commit. */
  readonly onAck?: ((commit: Commit) => void) | undefined;
}

/**
 * A way for batches to travel.
 *
 * Both methods throw the errors of this package, and the signal's own reason where it ends them;
 * neither tries anything twice.
 */
export interface Transport {
  /** For messages to people: `"HTTP"`. */
  readonly name: string;
  /**
   * The messages of a stream, the schema first. They end only where the server has said that they
   * do; whoever stops reading before ends the call.
   */
  read(request: ReadRequest, settings: CallSettings): AsyncGenerator<IpcMessage, void, undefined>;
  /** Sends a stream, the schema first. The messages are taken as fast as they are sent. */
  write(
    request: IngestRequest,
    messages: AsyncIterable<IpcMessage>,
    settings: CallSettings,
  ): Promise<Commit>;
  /** Lets go of connections. */
  close(): Promise<void>;
}
