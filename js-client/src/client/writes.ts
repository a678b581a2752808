/** Rows into tables. */
import {
  isArrowRecordBatch,
  isArrowTable,
  type RecordBatch,
  type Schema,
  type Table,
} from "apache-arrow";
import { commitOfJson } from "../commits.js";
import { ArgumentError, PixelflightError } from "../errors.js";
import { statement } from "../http/transport.js";
import { encoded } from "../ipc/encoder.js";
import type { IpcMessage } from "../ipc/message.js";
import { batchOf, type InputRow } from "../objects.js";
import { type Where, whereText } from "../query/filters.js";
import type { Commit, IngestRequest, Parameters, PutMode } from "../transport.js";
import type { CallOptions } from "./options.js";
import { ReadCalls } from "./reads.js";

/** What can be put: a table, batches as they are or as they come, or rows as objects. */
export type Input =
  | Table
  | RecordBatch
  | Iterable<RecordBatch>
  | AsyncIterable<RecordBatch>
  | readonly InputRow[];

/** How rows are put. */
export interface PutOptions extends CallOptions {
  /** `append` without it. */
  readonly mode?: PutMode | undefined;
  /** The columns to match by, for `upsert` and `merge`; the table's own key without it. */
  readonly key?: string | readonly string[] | undefined;
  /** A name of yours for this put: sent again, it counts once. One is made up without it. */
  readonly token?: string | undefined;
  readonly createIfMissing?: boolean | undefined;
  /** Commit as soon as one of these is reached, in place of once at the end. Flight alone. */
  readonly commitEvery?: IngestRequest["commitEvery"];
  /** Told of each commit. */
  readonly onAck?: ((commit: Commit) => void) | undefined;
}

/** What a statement that writes did. */
export interface Executed {
  readonly kind: string;
  readonly rows: number | null;
  readonly commit: number | null;
}

/** Families of calls that write. */
export class WriteCalls extends ReadCalls {
  /**
   * Puts rows into a table, in one commit or none of them.
   *
   * Each put has a token, so that one whose answer was lost is tried again and counts once. What
   * can be read once only (an async iterable) is not tried again.
   */
  async put(table: string, data: Input, options: PutOptions = {}): Promise<Commit> {
    const { mode = "append", key, createIfMissing, commitEvery, onAck } = options;
    const request: IngestRequest = {
      table,
      mode,
      key: typeof key === "string" ? [key] : key,
      createIfMissing,
      commitEvery,
      token: options.token ?? crypto.randomUUID(),
    };
    const source = sourceOf(data);
    const write = async (signal: AbortSignal) =>
      this.transport.write(request, await source.messages(), { signal, onAck });
    const isOver = () => !source.isReplayable;
    return await this.attempted(`put into ${table}`, options, write, isOver);
  }

  /** Runs a statement that writes: INSERT, UPDATE, CREATE and the others. */
  async execute(
    sql: string,
    parameters?: Parameters,
    options: CallOptions = {},
  ): Promise<Executed> {
    const { method, path, body } = statement({ sql, parameters });
    const told = JSON.parse(body as string) as unknown;
    return await this.json<Executed>({ method: method as "POST", path, body: told }, options);
  }

  /** Sets columns where a filter holds; `{ all: true }` for all rows. */
  async update(
    table: string,
    set: Readonly<Record<string, unknown>>,
    where: Where | { readonly all: true },
    options: CallOptions = {},
  ): Promise<Commit> {
    const path = `${this.tablePath(table)}/rows`;
    const body = { set, ...chosen(where) };
    return commitOfJson(await this.json({ method: "PATCH", path, body }, options));
  }

  /** Deletes rows where a filter holds; `{ all: true }` for all rows. */
  async delete(
    table: string,
    where: Where | { readonly all: true },
    options: CallOptions & { readonly soft?: boolean } = {},
  ): Promise<Commit> {
    const path = `${this.tablePath(table)}/rows`;
    const query = { ...chosen(where), soft: options.soft };
    return commitOfJson(await this.json({ method: "DELETE", path, query }, options));
  }
}

function chosen(where: Where | { readonly all: true }): { where?: string | undefined; all?: true } {
  if (where === undefined) {
    throw new ArgumentError("Say which rows: a filter, or { all: true }.");
  }
  const isAll = typeof where === "object" && "all" in where && where.all === true;
  return isAll ? { all: true } : { where: whereText(where as Where) };
}

/** Where a put's messages come from. */
interface Source {
  readonly isReplayable: boolean;
  messages(): Promise<AsyncIterable<IpcMessage>>;
}

function sourceOf(data: Input): Source {
  if (isArrowTable(data)) return replayed(data.schema, data.batches);
  if (isArrowRecordBatch(data)) return replayed(data.schema, [data]);
  if (Array.isArray(data)) return listSource(data);
  if (isIterable(data)) return onceSource(data[Symbol.iterator]());
  if (isAsyncIterable(data)) return onceSource(data[Symbol.asyncIterator]());
  throw new ArgumentError(
    "Rows are put as a Table, as RecordBatches in a list or an iterable, or as a list of objects.",
  );
}

function listSource(list: readonly unknown[]): Source {
  const [first] = list;
  if (isArrowRecordBatch(first)) return replayed(first.schema, list as readonly RecordBatch[]);
  if (first === undefined) throw new ArgumentError("There are no rows to put.");
  const batch = batchOf(list as readonly InputRow[]);
  return replayed(batch.schema, [batch]);
}

function replayed(schema: Schema, batches: readonly RecordBatch[]): Source {
  return { isReplayable: true, messages: async () => encoded(schema, batches) };
}

/** The first batch is waited for: it says the schema. */
function onceSource(batches: Iterator<unknown> | AsyncIterator<unknown>): Source {
  let taken = false;
  return {
    isReplayable: false,
    async messages() {
      if (taken) throw new PixelflightError("What could be read once only was read.");
      taken = true;
      const { value: first, done } = await batches.next();
      if (done) throw new ArgumentError("There are no batches to put: not even a schema is known.");
      return encoded(asBatch(first).schema, following(first, batches));
    },
  };
}

async function* following(
  first: unknown,
  batches: Iterator<unknown> | AsyncIterator<unknown>,
): AsyncGenerator<RecordBatch> {
  try {
    yield asBatch(first);
    for (;;) {
      const { value, done } = await batches.next();
      if (done) return;
      yield asBatch(value);
    }
  } finally {
    await batches.return?.();
  }
}

function asBatch(value: unknown): RecordBatch {
  if (isArrowRecordBatch(value)) return value;
  throw new ArgumentError("An iterable that is put gives RecordBatches of apache-arrow.");
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
