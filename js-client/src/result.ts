/** What a read gives, in the form that its reader likes. */
import { type RecordBatch, type Schema, Table, type TypeMap } from "apache-arrow";
import { ArgumentError, TruncatedError } from "./errors.js";
import { Decoder } from "./ipc/decoder.js";
import { END_OF_STREAM, framed, type IpcMessage } from "./ipc/message.js";
import { type Conversions, chosen, type Row } from "./rows.js";

/** How far a read has come. */
export interface Progress {
  readonly rows: number;
  readonly batches: number;
  /** Bytes of the stream, as they came. */
  readonly bytes: number;
}

/** Opens the stream that a result reads; given to it by the client. */
export type Open = (onBytes: (bytes: number) => void) => AsyncGenerator<IpcMessage, void>;

/**
 * A stream of record batches, which is read once: by a loop, or by one of the methods.
 *
 * Nothing is sent before it is read. Whoever leaves the loop ends the request.
 */
export class Result<T extends object = Row> implements AsyncIterable<RecordBatch> {
  private stream: AsyncGenerator<IpcMessage, void> | undefined;
  private readonly decoder = new Decoder();
  private progress: Progress = { rows: 0, batches: 0, bytes: 0 };

  /** @internal Made by the client's calls that read. */
  constructor(
    private readonly open: Open,
    private readonly conversions: Conversions,
    private readonly onProgress?: (progress: Progress) => void,
  ) {}

  /** Batches, each as soon as it is there. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RecordBatch, void, undefined> {
    const stream = this.begin();
    try {
      for (;;) {
        const { value, done } = await stream.next();
        if (done) break;
        const batch = this.decoder.decode(value);
        if (!batch) continue;
        const { rows, batches, bytes } = this.progress;
        this.tell({ rows: rows + batch.numRows, batches: batches + 1, bytes });
        yield batch;
      }
      if (!this.decoder.schema) throw new TruncatedError("The stream ended before its schema.");
    } finally {
      await stream.return();
    }
  }

  /** All of it, in one table. */
  async table<M extends TypeMap = TypeMap>(): Promise<Table<M>> {
    const batches: RecordBatch[] = [];
    for await (const batch of this) batches.push(batch);
    const table = batches.length === 0 ? new Table(this.known()) : new Table(this.known(), batches);
    return table as unknown as Table<M>;
  }

  /** Rows as objects, made batch by batch, with the values that the conversions choose. */
  async *rows(conversions: Partial<Conversions> = {}): AsyncGenerator<T, void, undefined> {
    const wanted = chosen(this.conversions, conversions);
    // Whoever reads batches alone does not load this.
    const { rowsOf } = await import("./values.js");
    for await (const batch of this)
      yield* rowsOf(batch, wanted) as Generator<object> as Generator<T>;
  }

  /** All rows, as a list of objects. */
  async toArray(conversions: Partial<Conversions> = {}): Promise<T[]> {
    const all: T[] = [];
    for await (const row of this.rows(conversions)) all.push(row);
    return all;
  }

  /** The first row, and nothing where there is none; the rest is not fetched. */
  async first(conversions: Partial<Conversions> = {}): Promise<T | undefined> {
    for await (const row of this.rows(conversions)) return row;
    return undefined;
  }

  /** The bytes of an Arrow IPC stream, for what reads Arrow by itself: duckdb-wasm, Perspective. */
  async ipc(): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array[] = [];
    const stream = this.begin();
    for await (const message of stream) {
      // A batch that holds an error is thrown, as everywhere.
      this.decoder.decode(message);
      parts.push(...framed(message));
    }
    parts.push(END_OF_STREAM);
    const all = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.byteLength;
    }
    return all;
  }

  /** The schema, for as long as batches come or are gone; fetched by the first of them. */
  get schema(): Schema | undefined {
    return this.decoder.schema;
  }

  /** Ends the request. */
  async close(): Promise<void> {
    this.stream ??= empty();
    await this.stream.return();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private begin(): AsyncGenerator<IpcMessage, void> {
    if (this.stream) throw new ArgumentError("A result is read once: ask again for another one.");
    this.stream = this.open((bytes) =>
      this.tell({ ...this.progress, bytes: this.progress.bytes + bytes }, false),
    );
    return this.stream;
  }

  private tell(progress: Progress, isNews = true): void {
    this.progress = progress;
    if (isNews) this.onProgress?.(progress);
  }

  private known(): Schema {
    const { schema } = this.decoder;
    if (!schema) throw new TruncatedError("The stream ended before its schema.");
    return schema;
  }
}

async function* empty(): AsyncGenerator<IpcMessage, void> {}
