/**
 * What the header of a message says.
 *
 * Source: https://github.com/apache/arrow/blob/main/format/Message.fbs and Schema.fbs there; the
 * numbers of fields are their places in these files.
 */
import { type CompressionType, MessageHeader, MetadataVersion } from "apache-arrow";
import { errorOfJson, ProtocolError, UnsupportedTypeError } from "../errors.js";
import { FlatTable } from "./flatbuffer.js";

/** Where the server says, in the last batch of a stream that failed, what went wrong. */
const ERROR_KEY = "pixelflight:error";
/** Fields of a `Message`. */
const MESSAGE = { version: 0, kind: 1, header: 2, bodyLength: 3, metadata: 4 } as const;
const SCHEMA = { endianness: 0, fields: 1, metadata: 2 } as const;
const FIELD = { name: 0, kind: 2, children: 5, metadata: 6 } as const;
const BATCH = { length: 0, nodes: 1, buffers: 2, compression: 3, variadicCounts: 4 } as const;
const DICTIONARY = { id: 0, data: 1, isDelta: 2 } as const;

/** Types of `Schema.fbs` that apache-arrow has no class for. */
const UNREAD: Readonly<Record<number, string>> = {
  22: "run_end_encoded",
  25: "list_view",
  26: "large_list_view",
};
const LAST_KNOWN = 26;
/** As deep as C++ reads. */
const DEPTH_MAX = 64;

/** A column's part of a batch: how many values, and how many of them are null. */
export interface Node {
  readonly length: number;
  readonly nullCount: number;
}

/** What a batch is made of. */
export interface BatchHeader {
  readonly length: number;
  readonly nodes: readonly Node[];
  readonly buffers: readonly { readonly offset: number; readonly length: number }[];
  readonly compression: CompressionType | undefined;
  readonly variadicCounts: readonly number[];
  /** Unions have one buffer more. */
  readonly isBefore1: boolean;
}

/** A message, by its kind. */
export type Header =
  | { readonly kind: "schema" }
  | { readonly kind: "batch"; readonly batch: BatchHeader; readonly metadata: Map<string, string> }
  | {
      readonly kind: "dictionary";
      readonly id: number;
      readonly isDelta: boolean;
      readonly batch: BatchHeader;
    };

/**
 * The length of the body that follows the header, in bytes.
 *
 * @throws {@link ProtocolError} where the bytes are no header.
 */
export function bodyLength(header: Uint8Array): number {
  return understood(header, (message) => message.int64(MESSAGE.bodyLength));
}

/** What the message is. */
export function headerType(header: Uint8Array): MessageHeader {
  return understood(header, (message) => message.uint8(MESSAGE.kind));
}

/**
 * What the message says.
 *
 * @throws {@link PixelflightError} where it says that the stream failed: the server's own error.
 * @throws {@link ProtocolError} where the bytes are no header.
 * @throws {@link UnsupportedTypeError} that names the column of a schema that cannot be read.
 */
export function headerOf(header: Uint8Array): Header {
  return understood(header, (message) => {
    const version = message.int16(MESSAGE.version);
    if (version < MetadataVersion.V4) {
      throw new ProtocolError(`The stream is of Arrow's format ${version + 1}: 4 and 5 are read.`);
    }
    const told = message.table(MESSAGE.header);
    const kind = message.uint8(MESSAGE.kind);
    if (!told) throw new ProtocolError("A message of the stream is empty.");
    if (kind === MessageHeader.Schema) {
      checkSchema(told, header.byteLength);
      return { kind: "schema" };
    }
    if (kind === MessageHeader.RecordBatch) {
      const metadata = new Map(
        message.tables(MESSAGE.metadata).map((entry) => [entry.text(0), entry.text(1)]),
      );
      const failed = metadata.get(ERROR_KEY);
      if (failed !== undefined) throw errorOfJson(JSON.parse(failed));
      return { kind: "batch", batch: batchOf(told, version), metadata };
    }
    const data = kind === MessageHeader.DictionaryBatch && told.table(DICTIONARY.data);
    if (!data) throw new ProtocolError("The stream holds a message of no batch.");
    return {
      kind: "dictionary",
      id: told.int64(DICTIONARY.id),
      isDelta: told.uint8(DICTIONARY.isDelta) !== 0,
      batch: batchOf(data, version),
    };
  });
}

function batchOf(table: FlatTable, version: MetadataVersion): BatchHeader {
  const compression = table.table(BATCH.compression);
  return {
    length: table.int64(BATCH.length),
    nodes: table.int64s(BATCH.nodes, 2, (length = 0, nullCount = 0) => ({ length, nullCount })),
    buffers: table.int64s(BATCH.buffers, 2, (offset = 0, length = 0) => ({ offset, length })),
    compression: compression?.uint8(0),
    variadicCounts: table.int64s(BATCH.variadicCounts, 1, (count = 0) => count),
    isBefore1: version < MetadataVersion.V5,
  };
}

/** Walks all fields. What refers to one place again and again would be walked for ever. */
function checkSchema(schema: FlatTable, bytes: number): void {
  if (schema.int16(SCHEMA.endianness) !== 0) {
    throw new UnsupportedTypeError("The stream is big-endian: only little-endian ones are read.");
  }
  let left = bytes;
  const spend = (count: number, depth: number): void => {
    left -= count;
    if (left >= 0 && depth <= DEPTH_MAX) return;
    throw new ProtocolError("The schema has more fields, or deeper ones, than its bytes can hold.");
  };
  const walk = (field: FlatTable, path: string, depth: number): void => {
    spend(1 + field.tables(FIELD.metadata).length, depth);
    const name = path + field.text(FIELD.name);
    const kind = field.uint8(FIELD.kind);
    const unread = UNREAD[kind] ?? (kind > LAST_KNOWN ? `of a type ${kind}` : undefined);
    if (unread) {
      throw new UnsupportedTypeError(
        `The column '${name}' is ${unread}, which apache-arrow cannot read.`,
      );
    }
    for (const child of field.tables(FIELD.children)) walk(child, `${name}.`, depth + 1);
  };
  spend(schema.tables(SCHEMA.metadata).length, 0);
  for (const field of schema.tables(SCHEMA.fields)) walk(field, "", 0);
}

function understood<T>(header: Uint8Array, read: (message: FlatTable) => T): T {
  try {
    return read(FlatTable.root(header));
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof SyntaxError)) throw cause;
    throw new ProtocolError("This is no Arrow stream: a message's header cannot be read.", {
      cause,
    });
  }
}
