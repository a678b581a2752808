/** Servers that fail as they are told to, and streams for them to send. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import {
  Int32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  tableToIPC,
  vectorFromArray,
} from "apache-arrow";

const ARROW = "application/vnd.apache.arrow.stream";

/** Answers one request. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** An HTTP server that answers as the test says. */
export class FaultServer {
  /** How many requests came. */
  requests = 0;
  private answers: Answer[] = [];

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<FaultServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const made = new FaultServer(server, `http://127.0.0.1:${port}`);
    server.on("request", (request, response) => void made.answer(request, response));
    return made;
  }

  /** How the next requests are answered: one after the other, and then always as the last one. */
  answersWith(...answers: Answer[]): void {
    this.requests = 0;
    this.answers = answers;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = this.answers[Math.min(this.requests++, this.answers.length - 1)];
    await answer?.(request, response);
  }
}

/** An answer of this status, with an error as the server tells it. */
export function refusing(
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Answer {
  return (request, response) => {
    request.resume();
    const error = { code, message: "as the test says", request_id: "r-1", details: { n: 1 } };
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ error }));
  };
}

/** An Arrow stream in these pieces; then its end, or a connection that breaks. */
export function sending(pieces: readonly Uint8Array[], end: "end" | "break" = "end"): Answer {
  return async (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": ARROW }).flushHeaders();
    for (const piece of pieces) {
      await new Promise((resolve) => response.write(piece, resolve));
    }
    if (end === "end") return void response.end();
    // What was written has to arrive first.
    setTimeout(() => response.destroy(), 20);
  };
}

/** Rows 0 to 9 in each of so many batches. */
export function numbers(batches: number): Table {
  const column = vectorFromArray([...Array(10).keys()], new Int32());
  const [batch] = new Table({ n: column }).batches;
  if (!batch) throw new Error("apache-arrow made no batch");
  return new Table(batch.schema, Array(batches).fill(batch));
}

/** A stream of so many batches, cut where one message ends and the next one begins. */
export function stream(batches: number): Uint8Array[] {
  const bytes = tableToIPC(numbers(batches), "stream");
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    const header = view.getInt32(4, true);
    // Each batch has 10 numbers of 4 bytes, and no nulls.
    const body = pieces.length > 0 && header > 0 ? 40 : 0;
    pieces.push(bytes.subarray(at, at + 8 + header + body));
    at += 8 + header + body;
  }
  return pieces;
}

/** The message by which the server says, within a stream, that it has failed. */
export function failure(error: Record<string, unknown>): Uint8Array {
  const { schema } = numbers(1);
  const types = new Struct(schema.fields);
  const children = schema.fields.map(({ type }) => makeData({ type, length: 0 } as never));
  const data = makeData({ type: types, length: 0, nullCount: 0, children });
  const told = new Map([["pixelflight:error", JSON.stringify(error)]]);
  const writer = new RecordBatchStreamWriter();
  writer.write(new RecordBatch(new Schema(schema.fields), data, told));
  writer.finish();
  const bytes = writer.toUint8Array(true);
  const schemaBytes = 8 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
  return bytes.subarray(schemaBytes, bytes.byteLength - 8);
}

/** A way to a server that can be cut. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks the connections as soon as so many more bytes have gone to the client. */
  cutAfter(bytes: number): void;
  stop(): Promise<void>;
}

/** Stands before a port of this machine. */
export async function startProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  const server = createTcpServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    const both = [client, upstream];
    const destroy = () => {
      for (const socket of both) socket.destroy();
    };
    for (const socket of both) {
      sockets.add(socket);
      socket.on("error", destroy).on("close", destroy);
    }
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      left -= chunk.byteLength;
      if (left < 0) return destroy();
      if (client.write(chunk)) return;
      upstream.pause();
      client.once("drain", () => upstream.resume());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter(bytes) {
      left = bytes;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
