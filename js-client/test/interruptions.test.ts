/** What calls do where an answer is lost or cut: servers here are scripts, so that they fail in time. */
import { expect, test } from "vitest";
import {
  type Client,
  type ClientOptions,
  ConnectionError,
  createClient,
  LimitExceededError,
  TimeoutError,
} from "../src/full.js";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

type Script = (asked: Asked) => Response;

/** A client whose requests are answered by the functions, one after the other. */
function scripted(...script: Script[]): { client: Client; asked: Asked[] } {
  return scriptedWith({}, ...script);
}

function scriptedWith(
  options: Partial<ClientOptions>,
  ...script: Script[]
): { client: Client; asked: Asked[] } {
  const asked: Asked[] = [];
  const client = createClient({
    ...options,
    url: "http://127.0.0.1",
    retry: { retries: 2, baseMs: 1 },
    fetch: async (url, init) => {
      const { pathname, search } = new URL(String(url));
      const one = {
        method: init?.method ?? "GET",
        path: pathname.replace("/api/v1", "") + search,
        headers: new Headers(init?.headers),
        body: init?.body,
      };
      const answer = script[asked.length];
      asked.push(one);
      if (!answer) throw new Error(`nobody expected ${one.method} ${one.path}`);
      return answer(one);
    },
  });
  return { client, asked };
}

function cut(text: string): Response {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
    },
    pull(controller) {
      controller.error(new TypeError("terminated"));
    },
  });
  return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
}

const lost: Script = () => {
  throw new TypeError("fetch failed");
};

async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let all = "";
  for await (const chunk of chunks) all += new TextDecoder().decode(chunk);
  return all;
}

test("a download that broke off is gone on with", async () => {
  const { client, asked } = scripted(
    () => cut("abc"),
    () => cut("de"),
    () => new Response("f", { status: 206 }),
  );
  expect(await text(client.download("j1"))).toBe("abcdef");
  expect(asked.map(({ headers }) => headers.get("range"))).toEqual([null, "bytes=3-", "bytes=5-"]);
});

test("a download that gets nowhere ends", async () => {
  const { client, asked } = scripted(() => cut("abc"), lost, lost, lost);
  await expect(text(client.download("j1"))).rejects.toThrow(ConnectionError);
  expect(asked).toHaveLength(4);
});

test("a part whose answer was lost is asked for, and not sent twice", async () => {
  const upload = (offset: number) => Response.json({ upload_id: "u1", offset });
  const { client, asked } = scripted(
    () => upload(0),
    lost,
    () => upload(4),
    () => upload(8),
    () => upload(10),
    () => upload(10),
  );
  expect(await client.upload("0123456789", { name: "n.csv", partBytes: 4 })).toBe("u1");
  const parts = asked.filter(({ method }) => method === "PUT");
  expect(parts.map(({ path }) => path.replace(/&sha256.*/, ""))).toEqual([
    "/batch/uploads/u1?offset=0",
    "/batch/uploads/u1?offset=4",
    "/batch/uploads/u1?offset=8",
  ]);
  const sent = parts.map(({ body }) => new TextDecoder().decode(body as ArrayBuffer));
  expect(sent).toEqual(["0123", "4567", "89"]);
  expect(asked.at(-1)?.path).toBe("/batch/uploads/u1/complete");
});

test("what the server knows again is sent again, secrets are not asked for twice", async () => {
  const again = scripted(lost, () => Response.json({ name: "t" }));
  await again.client.createTag("planes", { name: "t" });
  const keys = again.asked.map(({ headers }) => headers.get("idempotency-key"));
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[1]).toBe(keys[0]);
  const dropped = scripted(lost, () => Response.json({ commit: 3, rows: 2 }));
  expect(await dropped.client.delete("planes", { seats: 3 })).toMatchObject({ rows: 2 });
  const [first, second] = dropped.asked.map(({ headers }) => headers.get("idempotency-key"));
  expect(first).toMatch(/^[0-9a-f-]{36}$/);
  expect(second).toBe(first);
  const once = scripted(lost, () => Response.json({ key: "pf_" }));
  await expect(once.client.createKey({ name: "etl" })).rejects.toThrow(ConnectionError);
  expect(once.asked.map(({ headers }) => headers.get("idempotency-key"))).toEqual([null]);
});

test("a job is waited for until it is over, or for as long as was said", async () => {
  const job = (status: string) => () => Response.json({ job_id: "j1", status });
  const { client } = scripted(job("pending"), job("running"), job("failed"));
  expect(await client.waitForJob("j1", { pauseMs: 1 })).toMatchObject({ status: "failed" });
  // The client's limit is one of each look, and not of the wait.
  const states = [job("pending"), job("running"), job("completed")];
  const patient = scriptedWith({ timeoutMs: 400 }, ...states).client;
  const waited = patient.waitForJob("j1", { pauseMs: 250 });
  expect(await waited).toMatchObject({ status: "completed" });
  const slow = scripted(job("running"), job("running")).client;
  await expect(slow.waitForJob("j1", { timeoutMs: 20 })).rejects.toThrow(TimeoutError);
  const stop = new AbortController();
  const left = scripted(job("running")).client;
  const waiting = left.waitForJob("j1", {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("enough")),
  });
  await expect(waiting).rejects.toThrow("enough");
});

test("pages are asked for by what they are of, with what was asked for the first one", async () => {
  const page = (n: number | null) => () => Response.json({ deliveries: [n], cursor: n });
  const { client, asked } = scripted(page(7), page(null));
  const all: unknown[] = [];
  for await (const { deliveries } of client.pages("listDeliveries", "wh_1", undefined)) {
    all.push(...deliveries);
  }
  expect(all).toEqual([7, null]);
  expect(asked.map(({ path }) => path)).toEqual([
    "/batch/webhooks/wh_1/deliveries",
    "/batch/webhooks/wh_1/deliveries?cursor=7",
  ]);
});

test("a stream of lines that ends in an error throws it, whatever its rows look like", async () => {
  const error = { code: "limit_exceeded", message: "Enough.", retryable: true };
  const line = `{"error":${JSON.stringify(error)}}\n`;
  const broken = scripted(() => cut(`{"n":1}\n${line}`));
  const rows: unknown[] = [];
  const reading = async () => {
    for await (const row of broken.client.streamData("t")) rows.push(row);
  };
  await expect(reading()).rejects.toThrow(LimitExceededError);
  expect(rows).toEqual([{ n: 1 }]);
  const whole = scripted(() => new Response(`{"n":1}\n${line}`));
  const all: unknown[] = [];
  for await (const row of whole.client.streamData("t")) all.push(row);
  expect(all).toEqual([{ n: 1 }, { error }]);
});
