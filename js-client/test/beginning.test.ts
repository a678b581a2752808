/** Reads that fail before their first batch, on every way: servers here are scripts. */
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flightData } from "../src/flight/messages.js";
import { flight } from "../src/flight.js";
import { createClient, Framer, NotFoundError, UnavailableError } from "../src/index.js";
import { END_OF_STREAM, framed, type IpcMessage } from "../src/ipc/message.js";
import { FaultServer, failure, sending, stream } from "./fault_server.js";

const asMessages = (bytes: Uint8Array): IpcMessage[] => [...new Framer().push(bytes)];
const WHOLE = asMessages(Buffer.concat(stream(2)));
const [SCHEMA, BATCH] = WHOLE as [IpcMessage, IpcMessage];
/** A schema, a dictionary and a batch. */
const WORDS = asMessages(tableToIPC(tableFromArrays({ word: ["ab", "cd"] }), "stream"));
const failed = (code: string) => asMessages(failure({ code, message: "as the test says" }));

/** One way to a server, and what it answers the next reads with, one after the other. */
interface Way {
  readonly client: ReturnType<typeof createClient>;
  answersWith(...answers: readonly (readonly IpcMessage[])[]): void;
  readonly requests: number;
  stop(): Promise<void>;
}

const RETRY = { retries: 2, baseMs: 1, maxMs: 2 };

async function overHttp(): Promise<Way> {
  const server = await FaultServer.start();
  return {
    client: createClient({ url: server.url, retry: RETRY }),
    answersWith: (...answers) =>
      // Behind a failure nobody reads, so that all may have an end.
      server.answersWith(
        ...answers.map((messages) => sending([...messages.flatMap(framed), END_OF_STREAM])),
      ),
    get requests() {
      return server.requests;
    },
    stop: () => server.stop(),
  };
}

async function overFlight(): Promise<Way> {
  let answers: readonly (readonly IpcMessage[])[] = [];
  let requests = 0;
  const server = new Server();
  const asIs = (bytes: Buffer) => bytes;
  const bytes = { requestSerialize: asIs, requestDeserialize: asIs };
  const doGet = {
    path: "/arrow.flight.protocol.FlightService/DoGet",
    requestStream: false,
    responseStream: true,
    ...bytes,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService(
    { doGet },
    {
      doGet(call: ServerWritableStream<Buffer, Buffer>) {
        const messages = answers[Math.min(requests++, answers.length - 1)] ?? [];
        for (const message of messages) call.write(flightData(message));
        call.end();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const transport = flight({ url: `grpc://127.0.0.1:${port}` });
  return {
    client: createClient({ url: "http://127.0.0.1:1", transport, retry: RETRY }),
    answersWith(...given) {
      answers = given;
      requests = 0;
    },
    get requests() {
      return requests;
    },
    stop: async () => server.forceShutdown(),
  };
}

describe.each([
  ["HTTP", overHttp],
  ["Flight", overFlight],
] as const)("over %s, a failure that the stream itself tells", (_, start) => {
  let way: Way;
  beforeAll(async () => {
    way = await start();
  });
  afterAll(async () => {
    await way?.client.close();
    await way?.stop();
  });

  async function read(): Promise<{ rows: number; error?: unknown }> {
    let rows = 0;
    try {
      for await (const batch of way.client.sql("SELECT 1")) rows += batch.numRows;
      return { rows };
    } catch (error) {
      return { rows, error };
    }
  }

  test("in place of the first batch is tried again", async () => {
    const busy = [SCHEMA, ...failed("unavailable")];
    way.answersWith(busy, busy, WHOLE);
    expect(await read()).toEqual({ rows: 20 });
    expect(way.requests).toBe(3);
    way.answersWith(busy);
    const { error } = await read();
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ message: "as the test says" });
    expect(way.requests).toBe(3);
    await expect(way.client.sql("SELECT 1").ipc()).rejects.toThrow(UnavailableError);
    expect(way.requests).toBe(6);
  });

  test("behind a dictionary is tried again, too", async () => {
    const [schema, dictionary] = WORDS as [IpcMessage, IpcMessage];
    way.answersWith([schema, dictionary, ...failed("unavailable")], WORDS);
    expect((await way.client.sql("SELECT 1").toArray()).map(({ word }) => word)).toEqual([
      "ab",
      "cd",
    ]);
    expect(way.requests).toBe(2);
  });

  test("for good, or behind a batch, is not", async () => {
    way.answersWith([SCHEMA, ...failed("table_not_found")], WHOLE);
    expect((await read()).error).toBeInstanceOf(NotFoundError);
    expect(way.requests).toBe(1);
    way.answersWith([SCHEMA, BATCH, ...failed("unavailable")], WHOLE);
    const { rows, error } = await read();
    expect(error).toBeInstanceOf(UnavailableError);
    expect(rows).toBe(10);
    expect(way.requests).toBe(1);
  });
});
