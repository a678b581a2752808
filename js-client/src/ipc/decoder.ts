import { Message, makeData, RecordBatch, type Schema, Struct, Vector } from "apache-arrow";
import { PixelflightError, ProtocolError } from "../errors.js";
import { bodyOf } from "./compression.js";
import { type BatchHeader, headerOf } from "./header.js";
import { loadColumns } from "./loader.js";
import type { IpcMessage } from "./message.js";
import { checkTypes } from "./validation.js";

/**
 * Messages in, record batches out, each as soon as its message is there.
 *
 * The first message has to be a schema. A batch shares the memory of its message; nothing is
 * copied but what is compressed, and buffers that do not stand at multiples of 8 bytes.
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
  decode(message: IpcMessage): RecordBatch | undefined {
    try {
      return this.decoded(message);
    } catch (cause) {
      if (cause instanceof PixelflightError) throw cause;
      throw new ProtocolError("This is no Arrow stream: a message cannot be read.", { cause });
    }
  }

  private decoded(message: IpcMessage): RecordBatch | undefined {
    const header = headerOf(message.header);
    if (header.kind === "schema") {
      this.begin(Message.decode(message.header).header() as Schema);
      return undefined;
    }
    const schema = this.known;
    if (!schema) throw new ProtocolError("The stream does not begin with a schema.");
    if (header.kind === "dictionary") {
      this.learn(schema, header, message.body);
      return undefined;
    }
    const { batch, metadata } = header;
    const { length } = batch;
    const types = schema.fields.map((field) => field.type);
    const children = loadColumns(batch, bodyOf(batch, message.body), types, this.dictionaries);
    const type = new Struct(schema.fields);
    const data = makeData({ type, length, nullCount: 0, children });
    // The constructor makes a schema of its own, in which columns of one name become one.
    return Object.assign(new RecordBatch(schema, data, metadata), { schema, data });
  }

  private begin(schema: Schema): void {
    if (this.known && String(this.known) !== String(schema)) {
      throw new ProtocolError("The stream holds a second schema, which is another one.");
    }
    checkTypes(schema.fields);
    this.known ??= schema;
  }

  private learn(
    schema: Schema,
    { id, isDelta, batch }: { id: number; isDelta: boolean; batch: BatchHeader },
    body: Uint8Array,
  ): void {
    const type = schema.dictionaries.get(id);
    if (!type) throw new ProtocolError(`The stream holds a dictionary ${id} of no column.`);
    const values = new Vector(loadColumns(batch, bodyOf(batch, body), [type], this.dictionaries));
    const before = isDelta ? this.dictionaries.get(id) : undefined;
    this.dictionaries.set(id, before ? before.concat(values) : values);
  }
}
