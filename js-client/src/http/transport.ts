/** Arrow over HTTP, for every runtime that has `fetch`. */

import { ArgumentError, ProtocolError } from "../errors.js";
import { FRAME_LIMITS, type FrameLimits, Framer } from "../ipc/framer.js";
import { ARROW, type IpcMessage } from "../ipc/message.js";
import { jsonText } from "../json.js";
import { tableSegment } from "../names.js";
import { encodedParameters } from "../parameters.js";
import type {
  CallSettings,
  Commit,
  IngestRequest,
  ReadRequest,
  SqlRequest,
  Transport,
} from "../transport.js";
import type { Connection, HttpRequest } from "./connection.js";

/**
 * An error that ends a stream stands in it. Where it was cut off as well, for readers that do not
 * look for one, browsers and decompressors would drop what was not read yet, with the error.
 */
const ERRORS_INSIDE = `${ARROW};errors=inside`;
/** Compressing takes longer than most networks do. Browsers ask as they like. */
const PLAIN = { "accept-encoding": "identity" };

type Asked = Omit<HttpRequest, "signal">;

/** The default way. */
export class HttpTransport implements Transport {
  readonly name = "HTTP";

  constructor(
    private readonly connection: Connection,
    private readonly limits: FrameLimits = FRAME_LIMITS,
  ) {}

  async *read(request: ReadRequest, settings: CallSettings): AsyncGenerator<IpcMessage, void> {
    yield* arrowOf(this.connection, await asHttp(request), settings, this.limits);
  }

  async write(
    request: IngestRequest,
    messages: AsyncIterable<IpcMessage>,
    settings: CallSettings,
  ): Promise<Commit> {
    if (request.commitEvery) {
      throw new ArgumentError("'commitEvery' needs Arrow Flight: over HTTP a put is one commit.");
    }
    // Whoever reads alone does not load this.
    const { upload } = await import("./upload.js");
    return await upload(this.connection, request, messages, settings);
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

async function asHttp(request: ReadRequest): Promise<Asked> {
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
async function statement(request: SqlRequest): Promise<Asked> {
  const { sql, parameters, version, asOf, limit } = request;
  const encoded = await encodedParameters(parameters);
  const body = jsonText({ sql, ...encoded, version, as_of: asOf, limit });
  const headers = { "content-type": "application/json" };
  return { method: "POST", path: "/query", headers, body };
}
