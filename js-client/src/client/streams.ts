/** Rows as texts, so many at a time. */
import type { Body } from "../answers.js";
import { check } from "../checks.js";
import { errorOfJson, ProtocolError, TruncatedError } from "../errors.js";
import type { HttpRequest } from "../http/connection.js";
import { jsonText } from "../json.js";
import type { Row } from "../rows.js";
import type { Schemas } from "../schemas.js";
import { pathText } from "./operations.js";
import type { CallOptions } from "./options.js";
import { WriteCalls } from "./writes.js";

/** Families of calls whose answers are streams of bytes. */
export class StreamCalls<S extends object = Schemas> extends WriteCalls<S> {
  /**
   * Rows as lines of JSON, sent so many at a time, each as soon as it is there. `get` reads the
   * same rows with the values of their types, and faster.
   */
  async *streamData<T extends object = Row>(
    table: string,
    body: Body<"stream_rows"> & { format?: "jsonl" } = {},
    options: CallOptions = {},
  ): AsyncGenerator<T, void, undefined> {
    const { format = "jsonl" } = body;
    check(format === "jsonl", "format", format, "'jsonl', or take streamBytes()");
    const decoder = new TextDecoder();
    let text = "";
    try {
      for await (const chunk of this.streamBytes(table, body, options)) {
        const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
        text = lines.pop() as string;
        for (const [index, line] of lines.entries()) {
          // The last line may be what ended the stream, which is known when it has ended.
          if (ERROR.test(line) && index === lines.length - 1) text = `${line}\n`;
          else yield parsed(line) as T;
        }
      }
    } catch (error) {
      if (!(error instanceof TruncatedError && ERROR.test(text))) throw error;
      throw errorOfJson((parsed(text) as { error: unknown }).error, { cause: error });
    }
    if (text !== "") yield parsed(text) as T;
  }

  /** Rows as the bytes of a text or of an Arrow stream, as they come. */
  async *streamBytes(
    table: string,
    body: Body<"stream_rows"> = {},
    options: CallOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const path = `/batch/stream/${pathText(table, "streamBytes")}`;
    const headers = { "content-type": "application/json", accept: "*/*" };
    yield* this.bytes({ method: "POST", path, headers, body: jsonText(body) }, options);
  }

  /** The chunks of an answer. */
  protected async *bytes(
    asked: Omit<HttpRequest, "signal">,
    options: CallOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const call = this.callSignal(options);
    try {
      const { signal } = call;
      const send = () => this.connection.send({ ...asked, signal });
      yield* this.connection.chunks(await this.again(asked.path, signal, send), signal);
    } finally {
      call.abort();
      call.close();
    }
  }
}

/** A line that may be the error which ended a stream, or a row of one column. */
const ERROR = /^\{"error": ?\{"code"/;

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new ProtocolError("A line of the stream is no JSON.", { cause });
  }
}
