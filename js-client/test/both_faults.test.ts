/** What goes wrong with a real server, on every way. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flight } from "../src/flight.js";
import {
  type Client,
  ConnectionError,
  createClient,
  InvalidRequestError,
  NotFoundError,
  PixelflightError,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
} from "../src/index.js";
import { numbers, startProxy, type TcpProxy } from "./fault_server.js";
import { type Server, startServer } from "./server.js";

const LARGE = "SELECT i, i::VARCHAR AS t FROM range(400000) r(i)";
const BROKEN =
  "SELECT CASE WHEN i < 300000 THEN i ELSE error('row ' || i) END AS n FROM range(400000) r(i)";
const ENDLESS = "SELECT i, i::VARCHAR AS t FROM range(1000000000) r(i)";
const WAYS = ["HTTP", "Flight"] as const;
type Way = (typeof WAYS)[number];

let server: Server;
let proxies: Record<Way, TcpProxy>;
beforeAll(async () => {
  server = await startServer({ access_token_seconds: 1 });
  const [http, grpc] = [new URL(server.url), new URL(server.flight)];
  proxies = {
    HTTP: await startProxy(Number(http.port)),
    Flight: await startProxy(Number(grpc.port)),
  };
}, 60_000);
afterAll(async () => {
  for (const proxy of Object.values(proxies ?? {})) await proxy.stop();
  await server?.stop();
});

/** A client that reaches the server through the way's proxy. */
function connected(way: Way, credential: { key?: string; token?: string } = { key: server.key }) {
  const transport = () => flight({ url: `grpc://127.0.0.1:${proxies.Flight.port}` });
  return createClient({
    url: `http://127.0.0.1:${proxies.HTTP.port}`,
    retry: false,
    transport: way === "Flight" ? transport() : undefined,
    ...credential,
  });
}

async function read(client: Client, sql: string, options: object = {}) {
  let rows = 0;
  try {
    for await (const batch of client.sql(sql, [], options)) rows += batch.numRows;
    return { rows, error: undefined };
  } catch (error) {
    return { rows, error };
  }
}

describe.each(WAYS)("over %s", (way) => {
  let client: Client;
  beforeAll(() => {
    client = connected(way);
  });
  afterAll(() => client.close());

  test("a wrong key, and none", async () => {
    for (const credential of [{ key: "wrong" }, {}]) {
      await using stranger = connected(way, credential);
      await expect(stranger.sql("SELECT 1").table()).rejects.toThrow(UnauthenticatedError);
      await expect(stranger.put("t", numbers(1))).rejects.toThrow(UnauthenticatedError);
      // A large one is refused while it is sent.
      await expect(stranger.put("t", numbers(20_000))).rejects.toThrow(UnauthenticatedError);
    }
  });

  test("a token that has expired", async () => {
    const answer = await fetch(`${server.url}/api/v1/auth/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ api_key: server.key }),
    });
    const { access_token } = (await answer.json()) as { access_token: string };
    await using owner = connected(way, { token: access_token });
    expect((await owner.sql("SELECT 1 AS n").table()).numRows).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    const { error } = await read(owner, "SELECT 1 AS n");
    expect(error).toBeInstanceOf(UnauthenticatedError);
    expect(error).toMatchObject({ code: "unauthenticated", retryable: false });
  });

  test("what is not there, and what does not fit", async () => {
    await expect(client.get("nothing").table()).rejects.toThrow(NotFoundError);
    await expect(client.sql("SELEC 1").table()).rejects.toMatchObject({ code: "invalid_sql" });
    const name = `numbers_by_${way.toLowerCase()}`;
    await client.put(name, numbers(1), { mode: "create" });
    const wrong = client.put(name, [{ n: "many", other: 1 }]);
    await expect(wrong).rejects.toThrow(InvalidRequestError);
    expect((await client.get(name).table()).numRows).toBe(10);
  });

  test("an error in the middle", async () => {
    const { rows, error } = await read(client, BROKEN);
    expect(error).toBeInstanceOf(PixelflightError);
    expect((error as PixelflightError).message).toContain("row 3");
    expect((error as PixelflightError).requestId).toBeTruthy();
    expect(rows).toBeLessThan(300_001);
  });

  test("a connection that is cut", async () => {
    const { rows, error } = await read(client, LARGE);
    expect({ rows, error }).toEqual({ rows: 400_000, error: undefined });
    for (const bytes of [300_000, 3_000_000]) {
      proxies[way].cutAfter(bytes);
      const { rows, error } = await read(client, LARGE);
      proxies[way].cutAfter(Number.POSITIVE_INFINITY);
      expect(error, `${bytes}`).toBeInstanceOf(UnavailableError);
      expect(error, `${bytes}`).toMatchObject({ code: "unavailable", retryable: true });
      expect(rows).toBeLessThan(400_000);
    }
    await using patient = createClient({ url: server.url, key: server.key });
    expect((await patient.sql("SELECT 1 AS n").table()).numRows).toBe(1);
  });

  test("a signal and a deadline, before the first batch and behind it", async () => {
    const reason = new Error("enough");
    expect((await read(client, LARGE, { signal: AbortSignal.abort(reason) })).error).toBe(reason);
    const controller = new AbortController();
    let rows = 0;
    const going = async () => {
      for await (const batch of client.sql(ENDLESS, [], { signal: controller.signal })) {
        rows += batch.numRows;
        controller.abort(reason);
      }
    };
    await expect(going()).rejects.toBe(reason);
    expect(rows).toBeGreaterThan(0);
    const late = await read(client, ENDLESS, { timeoutMs: 500 });
    expect(late.error).toBeInstanceOf(TimeoutError);
  });
});

test("an error in the middle of what HTTP compresses", async () => {
  const headers = { "accept-encoding": "gzip" };
  await using client = createClient({ url: server.url, key: server.key, retry: false, headers });
  const { error } = await read(client, BROKEN);
  expect(error).toMatchObject({ code: "invalid_sql", message: expect.stringContaining("row 3") });
});

test("a server that is killed", async () => {
  const clients = WAYS.map((way) => connected(way));
  const reads = clients.map(async (client) => {
    let rows = 0;
    try {
      for await (const batch of client.sql(ENDLESS)) {
        rows += batch.numRows;
        // Both have begun when it is killed.
        if (rows === batch.numRows) begun.push(rows);
        if (begun.length === clients.length) server.process.kill("SIGKILL");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } catch (error) {
      return { rows, error };
    }
    return { rows, error: undefined };
  });
  const begun: number[] = [];
  for (const { rows, error } of await Promise.all(reads)) {
    expect(rows).toBeGreaterThan(0);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
  }
  for (const client of clients) {
    await expect(client.sql("SELECT 1").table()).rejects.toThrow(ConnectionError);
    await client.close();
  }
});
