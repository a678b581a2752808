import { Message, makeData, RecordBatch, type Schema, Struct, Vector } from "apache-arrow";
import { errorOfJson, ProtocolError, UnsupportedTypeError } from "../errors.js";
import { bodyOf } from "./compression.js";
import { loadColumns } from "./loader.js";
import type { IpcMessage } from "./message.js";

/** Where the server says, in the last batch of a stream that failed, what went wrong. */
export const ERROR_KEY = "pixelflight:error";

type Header = { length: number };

/**
 * Messages in, record batches out, each as soon as its message is there.
 *
 * The first message has to be a schema. A batch shares the memory of its message; nothing is
 * copied but what is compressed.
 */
export class Decoder {
  private known: Schema | undefined;
  private readonly dictionaries = new Map<number, Vector>();

  /** The schema of the batches, once it has come. */
  get schema(): Schema | undefined {
    return this.known;
  }

  /**
   * The batch that the message holds; nothing for a schema and a dictionary.
   *
   * @throws {@link PixelflightError} where the message is the server's, that the stream failed.
   * @throws {@link UnsupportedTypeError} for types that apache-arrow does not know.
   * @throws {@link ProtocolError} for what is no message of Arrow.
   */
  decode(frame: IpcMessage): RecordBatch | undefined {
    const message = parsed(frame.header);
    if (message.isSchema()) {
      this.known = understood(() => message.header());
      return undefined;
    }
    const schema = this.known;
    if (!schema) throw new ProtocolError("The stream does not begin with a schema.");
    if (message.isDictionaryBatch()) {
      const { id, isDelta, data } = message.header();
      const type = schema.dictionaries.get(id);
      if (!type) throw new ProtocolError(`The stream holds a dictionary ${id} of no column.`);
      const [column] = loadColumns(data, bodyOf(data, frame.body), [type], this.dictionaries);
      const values = new Vector([column as NonNullable<typeof column>]);
      const before = isDelta ? this.dictionaries.get(id) : undefined;
      this.dictionaries.set(id, before ? before.concat(values) : values);
      return undefined;
    }
    if (!message.isRecordBatch())
      throw new ProtocolError("The stream holds a message of no batch.");
    const failed = message.metadata.get(ERROR_KEY);
    if (failed !== undefined) throw errorOfJson(JSON.parse(failed));
    const header = message.header();
    const types = schema.fields.map((field) => field.type);
    const children = loadColumns(header, bodyOf(header, frame.body), types, this.dictionaries);
    const type = new Struct(schema.fields);
    const data = makeData({ type, length: (header as Header).length, nullCount: 0, children });
    return new RecordBatch(schema, data, message.metadata);
  }
}

function parsed(header: Uint8Array): Message {
  try {
    return Message.decode(header);
  } catch (cause) {
    throw new ProtocolError("This is no Arrow stream: a message cannot be read.", { cause });
  }
}

function understood<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedTypeError(`apache-arrow cannot read the type of a column: ${why}`, {
      cause,
    });
  }
}
