/** Record batches as the messages of a stream. */
import {
  MessageHeader,
  type RecordBatch,
  RecordBatchStreamWriter,
  type Schema,
} from "apache-arrow";
import { ArgumentError } from "../errors.js";
import { Framer } from "./framer.js";
import { headerType } from "./header.js";
import type { IpcMessage } from "./message.js";

/** Batches of more bytes are sent in parts, so that both sides work while it travels. */
const BATCH_BYTES = 2 * 2 ** 20;

/**
 * The messages of a stream, the schema first.
 *
 * @throws {@link ArgumentError} where a batch has another schema than the first one.
 */
export async function* encoded(
  schema: Schema,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
): AsyncGenerator<IpcMessage, void, undefined> {
  // With autoDestroy the writer would end the stream where a schema changes.
  const writer = new RecordBatchStreamWriter({ autoDestroy: false });
  const written = writer[Symbol.asyncIterator]();
  const framer = new Framer();
  // A writer tells what it has written piece by piece, and not where it stops for now: the last
  // message of what is written for a schema or a batch is known by its kind.
  async function* until(last: MessageHeader): AsyncGenerator<IpcMessage, void, undefined> {
    for (;;) {
      const { value } = await written.next();
      for (const message of framer.push(value as Uint8Array)) {
        yield message;
        if (headerType(message.header) === last) return;
      }
    }
  }
  writer.reset(undefined, schema);
  yield* until(MessageHeader.Schema);
  const expected = String(schema);
  for await (const batch of batches) {
    if (batch.schema !== schema && String(batch.schema) !== expected) {
      throw new ArgumentError(
        `All batches of a stream have one schema: the first has ${expected}, another ${batch.schema}.`,
      );
    }
    for (const part of sized(batch)) {
      // For another schema, though only in what may be null, the writer would begin a new stream.
      writer.write(Object.assign(part.slice(), { schema }));
      yield* until(MessageHeader.RecordBatch);
    }
  }
}

/** The batch in parts of about {@link BATCH_BYTES}. */
export function* sized(batch: RecordBatch): Generator<RecordBatch> {
  const parts = Math.ceil(batch.data.byteLength / BATCH_BYTES);
  if (parts <= 1) return yield batch;
  const rows = Math.max(1, Math.ceil(batch.numRows / parts));
  for (let row = 0; row < batch.numRows; row += rows) yield batch.slice(row, row + rows);
}
