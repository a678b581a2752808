import { type RecordBatch, Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FlightClient, flight } from "../src/flight.js";
import {
  type Client,
  type Commit,
  ConflictError,
  ConnectionError,
  createClient,
  InvalidRequestError,
  NotFoundError,
  TimeoutError,
  UnauthenticatedError,
} from "../src/index.js";
import { type Server, startServer } from "./server.js";

let server: Server;
let client: Client;

beforeAll(async () => {
  server = await startServer({ endpoint_bytes: 2 ** 20, housekeeping_seconds: 0 });
  client = connected({ key: server.key });
}, 60_000);
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

function connected(
  options: { key?: string },
  own: { key?: string; parallel?: number } = {},
): Client {
  return createClient({
    url: server.url,
    retry: false,
    transport: flight({ url: server.flight, ...own }),
    ...options,
  });
}

function batch(...numbers: number[]): RecordBatch {
  return new Table(tableFromArrays({ n: Int32Array.from(numbers) })).batches[0] as RecordBatch;
}

async function counted(table: string): Promise<unknown> {
  const rows = await client.sql(`SELECT count(*)::INTEGER AS rows FROM ${table}`).toArray();
  return rows[0]?.rows;
}

async function openStreams(): Promise<number> {
  const answer = await fetch(`${server.url}/metrics`, {
    headers: { authorization: `Bearer ${server.key}` },
  });
  const found = (await answer.text()).match(/^pixelflight_streams_open\{door="flight"\} (.*)$/m);
  return Number(found?.[1]);
}

async function untilFreed(): Promise<void> {
  while ((await openStreams()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

const PUTS = 6;
const ROWS = 150_000;
const ENDLESS = "SELECT i, i::VARCHAR AS t FROM range(1000000000) r(i)";

describe("puts", () => {
  test("with 'commitEvery' are acknowledged as they go", async () => {
    const acks: Commit[] = [];
    let acked: (() => void) | undefined;
    const firstAck = new Promise<void>((resolve) => {
      acked = resolve;
    });
    async function* batches() {
      yield batch(1, 2);
      // The stream goes on once the first rows are safe: acknowledgements come meanwhile.
      await firstAck;
      expect(await counted("acked")).toBe(2);
      yield batch(3, 4);
      yield batch(5);
    }
    const commit = await client.put("acked", batches(), {
      createIfMissing: true,
      commitEvery: { rows: 2 },
      onAck: (ack) => {
        acks.push(ack);
        acked?.();
      },
    });
    expect(acks.map(({ offset }) => offset)).toEqual([2, 4, 5]);
    expect(acks.map(({ rowsInserted }) => rowsInserted)).toEqual([2, 2, 1]);
    expect(commit).toMatchObject({ rows: 5, rowsInserted: 5, offset: 5, duplicate: false });
    expect(commit.commit).toBe(acks.at(-1)?.commit);
    expect(await counted("acked")).toBe(5);
  });

  test("of the same token count once", async () => {
    const options = { createIfMissing: true, token: "a-load" };
    const first = await client.put("once", batch(1, 2, 3), options);
    const again = await client.put("once", batch(1, 2, 3), options);
    expect(first.duplicate).toBe(false);
    expect(again).toMatchObject({ commit: first.commit, duplicate: true });
    expect(await counted("once")).toBe(3);
    await expect(client.put("once", batch(9), options)).rejects.toThrow(ConflictError);
  });

  test("go on under their token where they broke off", async () => {
    const options = { createIfMissing: true, token: "a-long-load", commitEvery: { rows: 2 } };
    const controller = new AbortController();
    async function* broken() {
      yield batch(1, 2);
      yield batch(3, 4);
      await new Promise(() => undefined);
    }
    const breaks = {
      ...options,
      signal: controller.signal,
      onAck: ({ offset }: Commit) => offset === 4 && controller.abort(new Error("gone")),
    };
    await expect(client.put("resumed", broken(), breaks)).rejects.toThrow("gone");
    await untilFreed();
    await client.put("resumed", [batch(1, 2), batch(3, 4), batch(5, 6)], options);
    const rows = await client.get("resumed", { orderBy: "n" }).toArray();
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("that were taken back have written nothing", async () => {
    await client.put("kept", batch(0), { mode: "create" });
    const controller = new AbortController();
    const reason = new Error("enough");
    async function* batches() {
      yield batch(1, 2);
      controller.abort(reason);
      yield batch(3);
    }
    const put = client.put("kept", batches(), { signal: controller.signal });
    await expect(put).rejects.toBe(reason);
    async function* failing() {
      yield batch(1, 2);
      throw new RangeError("the source failed");
    }
    await expect(client.put("kept", failing())).rejects.toThrow(RangeError);
    await untilFreed();
    expect(await counted("kept")).toBe(1);
  });

  test("that do not fit are told of as the server says", async () => {
    await client.put("narrow", batch(0), { mode: "create" });
    const other = new Table(tableFromArrays({ n: ["no number"] }));
    const put = client.put("narrow", other);
    await expect(put).rejects.toThrow(InvalidRequestError);
    await expect(put).rejects.toMatchObject({ code: "schema_mismatch", retryable: false });
    await expect(put).rejects.toHaveProperty("requestId", expect.stringMatching(/./));
  });
});

describe("reads", () => {
  test("of a large table come in order, by one stream and by several endpoints", async () => {
    // A commit makes a file, and endpoints are groups of files.
    const n = Int32Array.from({ length: PUTS * ROWS }, (_, row) => row);
    const noise = Float64Array.from(n, () => Math.random());
    for (let row = 0; row < n.length; row += ROWS) {
      const part = { n: n.slice(row, row + ROWS), noise: noise.slice(row, row + ROWS) };
      await client.put("large", tableFromArrays(part), { createIfMissing: true });
    }
    const key = server.key;
    const any = new FlightClient({ url: server.flight, key });
    const command = JSON.stringify({ scan: { table: "large" } });
    const info = await any.getFlightInfo({ command });
    expect(info.endpoints.length).toBe(PUTS);
    expect(info.ordered).toBe(true);
    const parallel = connected({ key }, { parallel: 4 });
    for (const way of [client, parallel]) {
      const table = await way.get("large").table();
      // By bytes: millions of values compared one by one take half a minute.
      for (const [name, given] of Object.entries({ n, noise })) {
        const got = Buffer.from(table.getChild(name)?.toArray().buffer);
        expect(got.equals(Buffer.from(given.buffer)), name).toBe(true);
      }
      for await (const _ of way.get("large")) break;
      await untilFreed();
    }
    await expect(parallel.get("missing").table()).rejects.toThrow(NotFoundError);
    await parallel.close();
    await any.close();
  });

  test("tell how many bytes have come", async () => {
    let bytes = 0;
    const onProgress = (progress: { bytes: number }) => {
      bytes = progress.bytes;
    };
    await client.get("large", { columns: ["noise"], onProgress }).table();
    expect(bytes).toBeGreaterThan(PUTS * ROWS * Float64Array.BYTES_PER_ELEMENT);
  });

  test("of changes, and of differences", async () => {
    const { commit: older } = await client.put("moved", batch(1, 2), { mode: "create" });
    const { commit: newer } = await client.put("moved", batch(3));
    const diff = await client.diff("moved", older, newer).toArray();
    expect(diff).toMatchObject([{ _change: "insert", n: 3 }]);
    const changes = await client.changes("moved", older).toArray({ bigint: "number" });
    expect(changes).toMatchObject([{ _snapshot: newer, n: 3 }]);
  });

  test("at a moment, of chosen columns, with the numbers of rows", async () => {
    const { commit } = await client.put("versions", batch(1), { mode: "create" });
    await client.put("versions", batch(2));
    expect(await client.get("versions", { version: commit }).toArray()).toEqual([{ n: 1 }]);
    const [row] = await client.get("versions", { withRowId: true, limit: 1 }).toArray();
    expect(Object.keys(row ?? {}).sort()).toEqual(["_row_id", "n"]);
    const skipped = await client.get("versions", { orderBy: "n", offset: 1 }).toArray();
    expect(skipped).toEqual([{ n: 2 }]);
  });

  test("that are left free the server", async () => {
    for await (const _ of client.sql(ENDLESS)) {
      expect(await openStreams()).toBe(1);
      break;
    }
    await untilFreed();
  });

  test("end with the signal's reason, and with the deadline", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const read = async () => {
      const options = { signal: controller.signal };
      for await (const _ of client.sql(ENDLESS, [], options)) controller.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
    const late = client.sql(ENDLESS, [], { timeoutMs: 200 }).table();
    await expect(late).rejects.toThrow(TimeoutError);
    await untilFreed();
  });
});

describe("who is asking", () => {
  test("is told by the transport's own key before the client's", async () => {
    const own = connected({ key: "wrong" }, { key: server.key });
    expect(await own.sql("SELECT 1 AS one").toArray()).toEqual([{ one: 1 }]);
    await own.close();
  });

  test("has to be known", async () => {
    for (const key of ["wrong", undefined]) {
      const stranger = connected(key === undefined ? {} : { key });
      await expect(stranger.get("large").table()).rejects.toThrow(UnauthenticatedError);
      await expect(stranger.put("large", batch(1))).rejects.toThrow(UnauthenticatedError);
      await stranger.close();
    }
  });

  test("may shake hands with a key as the password", async () => {
    const any = new FlightClient({ url: server.flight });
    await any.handshake("me", server.key);
    const [health] = await any.doAction("health");
    expect(JSON.parse(Buffer.from(health ?? []).toString())).toHaveProperty("status");
    await any.close();
  });
});

test("a number of streams that is none is refused", () => {
  for (const parallel of [0, 1.5, Number.NaN]) {
    expect(() => flight({ url: server.flight, parallel })).toThrow("'parallel'");
  }
});

test("a server that nobody reaches is told of with what to do", async () => {
  const nobody = createClient({
    url: server.url,
    retry: false,
    transport: flight({ url: "grpc://127.0.0.1:1" }),
  });
  const reading = nobody.sql("SELECT 1").table();
  await expect(reading).rejects.toThrow(ConnectionError);
  await expect(reading).rejects.toThrow(/grpc:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
  await nobody.close();
});
