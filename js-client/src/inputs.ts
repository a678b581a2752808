/** What is put, in the forms that programs have it in, as the messages of a stream. */
import { type RecordBatch, type Schema, Table, tableToIPC } from "apache-arrow";
import { ArgumentError, PixelflightError } from "./errors.js";
import { batchesOf, batchOfAny } from "./foreign.js";
import { encoded } from "./ipc/encoder.js";
import type { IpcMessage } from "./ipc/message.js";
import { batchOf, type InputRow } from "./objects.js";

/** What can be put: a table, batches as they are or as they come, or rows as objects. */
export type Input<T extends object = InputRow> =
  | Table
  | RecordBatch
  | Iterable<RecordBatch>
  | AsyncIterable<RecordBatch>
  | readonly T[];

/** Where a put's messages come from. */
export interface Source {
  /** Whether `messages` can be called again. */
  readonly isReplayable: boolean;
  messages(): Promise<AsyncIterable<IpcMessage>>;
}

/**
 * The data as messages.
 *
 * @throws {@link ArgumentError} for what is no data of these kinds.
 */
export function sourceOf(data: Input): Source {
  const table = batchesOf(data);
  if (table) return replayed(table.schema, table.batches);
  const batch = batchOfAny(data);
  if (batch) return replayed(batch.schema, [batch]);
  if (Array.isArray(data)) return listSource(data);
  if (isIterable(data)) return onceSource(data[Symbol.iterator]());
  if (isAsyncIterable(data)) return onceSource(data[Symbol.asyncIterator]());
  throw new ArgumentError(
    "Rows are put as a Table, as RecordBatches in a list or an iterable, or as a list of objects.",
  );
}

/** The bytes of a stream of one row. Errors call its columns by this word. */
export function rowBytes(row: InputRow, word: string): Uint8Array {
  try {
    return tableToIPC(new Table([batchOf([row])]), "stream");
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new ArgumentError(error.message.replace("column", word), { cause: error.cause });
  }
}

function listSource(list: readonly unknown[]): Source {
  const [given] = list;
  if (given === undefined) throw new ArgumentError("There are no rows to put.");
  const first = batchOfAny(given);
  if (first) return replayed(first.schema, [first, ...list.slice(1).map(asBatch)]);
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
  const batch = batchOfAny(value);
  if (batch) return batch;
  throw new ArgumentError("An iterable that is put gives RecordBatches of apache-arrow.");
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
