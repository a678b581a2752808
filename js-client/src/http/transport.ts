/** Arrow over HTTP, for every runtime that has `fetch`. */

import { commitOfJson } from "../commits.js";
import { ArgumentError, ProtocolError } from "../errors.js";
import { FRAME_LIMITS, type FrameLimits, Framer } from "../ipc/framer.js";
import { END_OF_STREAM, framed, type IpcMessage } from "../ipc/message.js";
import { tableSegment } from "../names.js";
import { encodedParameters, jsonText } from "../parameters.js";
import type {
  CallSettings,
  Commit,
  IngestRequest,
  ReadRequest,
  SqlRequest,
  Transport,
} from "../transport.js";
import { type Connection, type HttpRequest, jsonOf } from "./connection.js";
import { streamsUp } from "./runtimes.js";

const ARROW = "application/vnd.apache.arrow.stream";
/**
 * An error that ends a stream stands in it. Where it was cut off as well, for readers that do not
 * look for one, browsers and decompressors would drop what was not read yet, with the error.
 */
const ERRORS_INSIDE = `${ARROW};errors=inside`;
/** Compressing takes longer than most networks do. Browsers ask as they like. */
const PLAIN = { "accept-encoding": "identity" };
const PIECE_BYTES = 256 * 1024;

type Asked = Omit<HttpRequest, "signal">;

/** The default way. */
export class HttpTransport implements Transport {
  readonly name = "HTTP";

  constructor(
    private readonly connection: Connection,
    private readonly limits: FrameLimits = FRAME_LIMITS,
  ) {}

  read(request: ReadRequest, settings: CallSettings): AsyncGenerator<IpcMessage, void> {
    return arrowOf(this.connection, asHttp(request), settings, this.limits);
  }

  async write(
    request: IngestRequest,
    messages: AsyncIterable<IpcMessage>,
    settings: CallSettings,
  ): Promise<Commit> {
    if (request.commitEvery) {
      throw new ArgumentError("'commitEvery' needs Arrow Flight: over HTTP a put is one commit.");
    }
    let failed: { error: unknown } | undefined;
    const noted = noting(messages, (error) => {
      failed = { error };
    });
    const pieces = bodyPieces(noted, settings);
    const streams = streamsUp();
    const body = streams ? readable(pieces) : await whole(pieces);
    const sent = this.connection.send({
      method: "POST",
      path: `/tables/${tableSegment(request.table)}/rows`,
      query: {
        mode: request.mode,
        key: request.key && JSON.stringify(request.key),
        token: request.token,
        create_if_missing: request.createIfMissing || undefined,
      },
      headers: { "content-type": ARROW, accept: "application/json" },
      body,
      streams,
      signal: settings.signal,
    });
    // Where what is sent could not be made, that is what went wrong, and not the request.
    const response = await sent.catch((error: unknown) => {
      throw failed ? failed.error : error;
    });
    const commit = commitOfJson(await jsonOf(response, settings.signal));
    settings.onAck?.(commit);
    return commit;
  }

  async close(): Promise<void> {
    // fetch keeps its connections by itself.
  }
}

/** The messages of the Arrow stream that a request is answered with. */
export async function* arrowOf(
  connection: Connection,
  asked: Asked,
  settings: CallSettings,
  limits: FrameLimits = FRAME_LIMITS,
): AsyncGenerator<IpcMessage, void> {
  const headers = { accept: ERRORS_INSIDE, ...asked.headers };
  const { signal } = settings;
  const response = await connection.send({ ...asked, headers, defaults: PLAIN, signal });
  const kind = response.headers.get("content-type") ?? "of no type";
  if (!kind.startsWith(ARROW)) {
    await response.body?.cancel();
    const why = `it is ${kind}, as from something else than the server`;
    throw new ProtocolError(`The answer is no Arrow stream: ${why}.`);
  }
  const framer = new Framer(limits);
  for await (const chunk of connection.chunks(response, settings.signal)) {
    settings.onBytes?.(chunk.byteLength);
    yield* framer.push(chunk);
  }
  framer.finish();
}

function asHttp(request: ReadRequest): Asked {
  switch (request.kind) {
    case "scan": {
      const { table, columns, filter, orderBy, limit, offset, version, asOf, withRowId } =
        request.scan;
      return {
        method: "GET",
        path: `/tables/${tableSegment(table)}/rows`,
        query: {
          select: columns && JSON.stringify(columns),
          where: filter,
          order_by: orderBy,
          limit,
          offset,
          version,
          as_of: asOf,
          with_row_id: withRowId,
        },
      };
    }
    case "sql":
      return statement(request.sql);
    case "diff": {
      const { table, older, newer } = request.diff;
      const path = `/tables/${tableSegment(table)}/diff`;
      return { method: "GET", path, query: { from: older, to: newer } };
    }
    case "changes": {
      const { table, ...query } = request.changes;
      return { method: "GET", path: `/tables/${tableSegment(table)}/changes`, query };
    }
  }
}

/** A statement as a request, which reads or writes. */
function statement({ sql, parameters, version, asOf, limit }: SqlRequest): Asked {
  const body = jsonText({ sql, ...encodedParameters(parameters), version, as_of: asOf, limit });
  const headers = { "content-type": "application/json" };
  return { method: "POST", path: "/query", headers, body };
}

/** The same messages; what goes wrong with them is told. */
async function* noting(
  messages: AsyncIterable<IpcMessage>,
  onError: (error: unknown) => void,
): AsyncGenerator<IpcMessage, void, undefined> {
  try {
    yield* messages;
  } catch (error) {
    onError(error);
    throw error;
  }
}

/** The stream in pieces that are large enough to be worth a step each. */
async function* bodyPieces(
  messages: AsyncIterable<IpcMessage>,
  { onBytes }: CallSettings,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let small: Uint8Array[] = [];
  let size = 0;
  const gathered = () => {
    const piece = joined(small, size);
    onBytes?.(size);
    small = [];
    size = 0;
    return piece;
  };
  for await (const message of messages) {
    for (const part of framed(message)) {
      small.push(part);
      size += part.byteLength;
    }
    if (size >= PIECE_BYTES) yield gathered();
  }
  small.push(END_OF_STREAM);
  size += END_OF_STREAM.byteLength;
  yield gathered();
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    piece.set(part, at);
    at += part.byteLength;
  }
  return piece;
}

function readable(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}

/** The whole stream: a browser keeps a large one on disk. */
async function whole(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>>): Promise<Blob> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of pieces) all.push(piece);
  return new Blob(all);
}
