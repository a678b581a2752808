import { makeVector, type RecordBatch, Table } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ConnectionError,
  createClient,
  InvalidRequestError,
  LimitExceededError,
  type PixelflightError,
  ProtocolError,
  TimeoutError,
  TruncatedError,
  UnauthenticatedError,
  UnavailableError,
} from "../src/index.js";
import {
  type Answer,
  FaultServer,
  failure,
  numbers,
  refusing,
  sending,
  stream,
} from "./fault_server.js";

const QUICK = { retries: 2, baseMs: 1, maxMs: 2 };
const COMMIT = { commit: 7, rows: 10, rows_inserted: 10, rows_updated: 0, offset: 10 };

let server: FaultServer;
beforeAll(async () => {
  server = await FaultServer.start();
});
afterAll(() => server?.stop());

function client(options: object = {}) {
  return createClient({ url: server.url, key: "k", retry: QUICK, ...options });
}

/** Batches that came, and how the read ended. */
async function read(options: object = {}): Promise<{ batches: number; error?: unknown }> {
  let batches = 0;
  try {
    for await (const _ of client().sql("SELECT 1", [], options)) batches++;
    return { batches };
  } catch (error) {
    return { batches, error };
  }
}

const json: (status: number, body: unknown) => Answer = (status, body) => (request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
};

describe("a stream", () => {
  test("gives each batch when it is there, and success at the mark of its end", async () => {
    const [schema, first, second, end] = stream(2) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    let go: (() => void) | undefined;
    server.answersWith(async (request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "application/vnd.apache.arrow.stream" });
      response.write(schema);
      response.write(first);
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      response.write(second);
      response.end(end);
    });
    const seen: number[] = [];
    for await (const batch of client().sql("SELECT 1")) {
      seen.push(batch.numRows);
      // The server sends no more before this batch has come.
      go?.();
    }
    expect(seen).toEqual([10, 10]);
  });

  const PIECES = stream(3);
  const whole = Buffer.concat(PIECES);
  const bounds = PIECES.map((_, index) => Buffer.concat(PIECES.slice(0, index)).byteLength);
  const cuts = bounds
    .flatMap((at) => [at, at + 2, at + 5, at + 60])
    .filter((at) => at < whole.length);

  test.each(["end", "break"] as const)("that is cut by an early %s is truncated", async (how) => {
    for (const cut of cuts) {
      server.answersWith(sending(cut === 0 ? [] : [whole.subarray(0, cut)], how));
      const { batches, error } = await read();
      expect(error, `cut at ${cut}`).toBeInstanceOf(TruncatedError);
      const complete = bounds.filter((at, index) => index >= 2 && at <= cut).length;
      expect(batches, `cut at ${cut}`).toBe(complete);
      // Before the first batch a read can begin again.
      expect(server.requests, `cut at ${cut}`).toBe(batches === 0 ? 3 : 1);
    }
  });

  test("that failed says so with the server's own error", async () => {
    const error = { code: "timed_out", message: "too slow", request_id: "r-9", details: { ms: 5 } };
    server.answersWith(sending([...PIECES.slice(0, 3), failure(error)], "break"));
    const ended = await read();
    expect(ended.batches).toBe(2);
    expect(ended.error).toBeInstanceOf(TimeoutError);
    expect(ended.error).toMatchObject({
      requestId: "r-9",
      message: "too slow",
      details: { ms: 5 },
    });
    await expect(client().sql("SELECT 1").ipc()).rejects.toThrow("too slow");
  });

  test("of no rows, and one that goes on behind its end", async () => {
    server.answersWith(sending([PIECES[0] as Uint8Array, PIECES[4] as Uint8Array]));
    expect((await client().sql("SELECT 1").table()).numRows).toBe(0);
    server.answersWith(sending([...PIECES, new TextEncoder().encode("and more")]));
    expect(await read()).toEqual({ batches: 3 });
  });
});

describe("answers that are no stream", () => {
  const page: (status: number) => Answer = (status) => (request, response) => {
    request.resume();
    response.writeHead(status, { "content-type": "text/html" });
    response.end("<html><h1>It works!</h1></html>");
  };

  test("a proxy's page", async () => {
    server.answersWith(page(200));
    expect((await read()).error).toBeInstanceOf(ProtocolError);
    await expect(client().execute("CREATE TABLE t (n INTEGER)")).rejects.toThrow(ProtocolError);
    server.answersWith(page(502));
    const { error } = await read();
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ status: 502, retryable: true });
    expect((error as Error).message).toContain("It works!");
    expect(server.requests).toBe(3);
  });

  test("JSON where a stream is asked for", async () => {
    server.answersWith(json(200, { kind: "insert", rows: 1, commit: 3 }));
    expect(((await read()).error as Error).message).toContain("it is application/json");
  });

  test("JSON that is cut", async () => {
    server.answersWith((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"kind":');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(client().execute("CREATE TABLE t (n INTEGER)")).rejects.toThrow(TruncatedError);
    await expect(client().put("t", numbers(1))).rejects.toThrow(TruncatedError);
  });

  test.each([
    [401, "unauthenticated", UnauthenticatedError, 1],
    [400, "schema_mismatch", InvalidRequestError, 1],
    [429, "limit_exceeded", LimitExceededError, 3],
    [503, "unavailable", UnavailableError, 3],
  ])("an error %i", async (status, code, kind, requests) => {
    server.answersWith(refusing(status, code));
    const { error } = await read();
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, code, requestId: "r-1", details: { n: 1 } });
    expect(server.requests).toBe(requests);
  });

  test("a connection that is reset", async () => {
    server.answersWith((request) => void request.socket.destroy());
    const { error } = await read();
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).not.toBeInstanceOf(TruncatedError);
    expect(server.requests).toBe(3);
  });
});

describe("what passes", () => {
  test("is tried again: reads, statements, and puts that can be", async () => {
    const busy = refusing(503, "unavailable");
    server.answersWith(busy, busy, sending(stream(1)));
    expect(await read()).toEqual({ batches: 1 });
    server.answersWith(busy, json(200, { kind: "insert", rows: 1, commit: 3 }));
    expect(await client().execute("INSERT INTO t VALUES (1)")).toMatchObject({ commit: 3 });
    server.answersWith(busy, json(200, COMMIT));
    expect(await client().put("t", numbers(2))).toMatchObject({ commit: 7 });
    expect(server.requests).toBe(2);
  });

  test("is not, for what can be read once", async () => {
    server.answersWith(refusing(503, "unavailable"));
    const once = client().put("t", numbers(2).batches.values());
    await expect(once).rejects.toThrow(UnavailableError);
    expect(server.requests).toBe(1);
  });

  test.each(["0.3", "date"])("is waited for as Retry-After says: %s", async (given) => {
    const until = Math.ceil(Date.now() / 1000 + 0.3) * 1000;
    const header = given === "date" ? new Date(until).toUTCString() : given;
    const begun = Date.now();
    server.answersWith(
      refusing(429, "limit_exceeded", { "retry-after": header }),
      sending(stream(1)),
    );
    expect(await read()).toEqual({ batches: 1 });
    const waited = Date.now();
    expect(waited - begun).toBeGreaterThanOrEqual(295);
    if (given === "date") expect(waited).toBeGreaterThanOrEqual(until - 5);
  });

  test("is not waited for where it takes too long", async () => {
    server.answersWith(refusing(429, "limit_exceeded", { "retry-after": "3600" }));
    const { error } = await read();
    expect(error).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(server.requests).toBe(1);
  });
});

describe("a read is ended", () => {
  const hanging: Answer = (request) => void request.resume();
  const stalling: Answer = async (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/vnd.apache.arrow.stream" });
    for (const piece of stream(3).slice(0, 3)) response.write(piece);
  };

  test("by its deadline, before an answer and within it", async () => {
    server.answersWith(hanging);
    const none = await read({ timeoutMs: 50 });
    expect(none.error).toBeInstanceOf(TimeoutError);
    expect(server.requests).toBe(1);
    server.answersWith(stalling);
    const some = await read({ timeoutMs: 100 });
    expect(some.error).toBeInstanceOf(TimeoutError);
    expect(some.batches).toBe(2);
    expect((some.error as PixelflightError).code).toBe("timed_out");
  });

  test("by its signal, with the signal's reason", async () => {
    const reason = new Error("enough");
    server.answersWith(hanging);
    const gone = AbortSignal.abort(reason);
    expect(await read({ signal: gone })).toEqual({ batches: 0, error: reason });
    expect(server.requests).toBe(0);
    for (const answer of [hanging, stalling]) {
      server.answersWith(answer);
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      expect((await read({ signal: controller.signal })).error).toBe(reason);
      expect(server.requests).toBe(1);
    }
  });

  test("by the signal while it waits to try again", async () => {
    server.answersWith(refusing(429, "limit_exceeded", { "retry-after": "30" }));
    const reason = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    expect((await read({ signal: controller.signal })).error).toBe(reason);
  });

  test("by leaving the loop, which the server sees", async () => {
    const closed = new Promise((resolve) => {
      server.answersWith((request, response) => {
        response.on("close", () => resolve(response.writableFinished));
        return stalling(request, response);
      });
    });
    for await (const _ of client().sql("SELECT 1")) break;
    expect(await closed).toBe(false);
  });
});

describe("a put", () => {
  test("whose source fails ends with the source's own error", async () => {
    server.answersWith(json(200, COMMIT));
    const mine = new Error("my file is gone");
    async function* failing() {
      yield* numbers(1).batches;
      throw mine;
    }
    await expect(client().put("t", failing())).rejects.toBe(mine);
  });

  test("ends with its deadline and its signal", async () => {
    server.answersWith((request) => void request.resume());
    await expect(client().put("t", numbers(1), { timeoutMs: 50 })).rejects.toThrow(TimeoutError);
    const reason = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    const put = client().put("t", numbers(1), { signal: controller.signal });
    await expect(put).rejects.toBe(reason);
  });
});

test("who reads slowly holds the server back, and memory stays flat", async () => {
  const batch = Buffer.concat(Array(5000).fill(stream(1)[1]));
  let sent = 0;
  server.answersWith(async (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/vnd.apache.arrow.stream" });
    response.write(stream(1)[0]);
    let goOn = () => {};
    response.on("drain", () => goOn()).on("close", () => goOn());
    while (!response.destroyed) {
      sent += batch.byteLength;
      if (response.write(batch)) continue;
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
  });
  const before = process.memoryUsage().arrayBuffers;
  let batches = 0;
  let reached = 0;
  for await (const _ of client().sql("SELECT 1")) {
    if (++batches === 1) {
      // Nothing is read for a while: what the connection holds is all that is sent.
      await new Promise((resolve) => setTimeout(resolve, 300));
      reached = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(sent).toBe(reached);
    }
    if (batches === 50_000) break;
  }
  expect(reached).toBeLessThan(16 * 2 ** 20);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
});

test("what is put while it is made is forgotten once it is sent", async () => {
  server.answersWith(json(200, COMMIT));
  const column = makeVector(new Int32Array(2 ** 18));
  const [batch] = new Table({ n: column }).batches as [RecordBatch];
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  async function* batches() {
    for (let count = 0; count < 512; count++) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      yield batch;
    }
  }
  await client().put("t", batches());
  // Of half a gigabyte, all that waits for the collector of garbage.
  expect(most).toBeLessThan(256 * 2 ** 20);
});
