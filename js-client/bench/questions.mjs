/** What is asked, each against a limit or a peer that is measured in the same run. */
import { spawn } from "node:child_process";
import http from "node:http";
import { tableToIPC } from "apache-arrow";
import { flight } from "../dist/flight.js";
import { createClient } from "../dist/index.js";

const ARROW = "application/vnd.apache.arrow.stream";
const TABLE = "bench";
const MB = 2 ** 20;
const ROUND_TRIP_MS = 20;

/** All questions, as rows: `{ question, values, atLeast | atMost, unit, detail }`. */
export async function measure(server, sizes) {
  const clients = {
    fetch: createClient({ url: server.url, key: server.key }),
    Flight: createClient({
      url: server.url,
      key: server.key,
      transport: flight({ url: server.flight }),
    }),
  };
  await clients.fetch.execute(
    `CREATE TABLE ${TABLE} AS SELECT i AS id, i * 0.5 AS value, (i % 7)::INTEGER AS kind,
       'name ' || (i % 1000) AS name FROM range(${sizes.rows}) r(i)`,
  );
  try {
    return [
      ...(await reads(server, clients, sizes)),
      ...(await handedOver(sizes)),
      ...(await puts(server, clients, sizes)),
      ...(await farAway(server, clients, sizes)),
      ...(await memory(server, sizes)),
    ];
  } finally {
    for (const client of Object.values(clients)) await client.close();
  }
}

/** The same rows by the client, and as bytes by `fetch` alone. */
async function reads(server, clients, { rows, rounds }) {
  const url = `${server.url}/api/v1/tables/${TABLE}/rows`;
  const found = [];
  for (const [name, client] of Object.entries(clients)) {
    const ratios = [];
    const firsts = [];
    for (let round = -1; round < rounds; round++) {
      const bare = await bareRead(url, server.key);
      const read = await timedRead(client.get(TABLE));
      if (read.rows !== rows) throw new Error(`${read.rows} rows came, and not ${rows}`);
      // Nobody measures what is compiled while it runs.
      if (round < 0) continue;
      ratios.push(read.bytes / read.ms / (bare.bytes / bare.ms));
      firsts.push((100 * read.firstMs) / read.ms);
    }
    const detail = `${rows.toLocaleString("en")} rows of 4 columns`;
    found.push(
      row(`bytes a second by ${name} ÷ bare fetch().arrayBuffer()`, ratios, "×", detail, {
        atLeast: 0.8,
      }),
      row(`first batch by ${name}, of the whole time`, firsts, "%", detail, { atMost: 10 }),
    );
  }
  return found;
}

async function bareRead(url, key) {
  const began = performance.now();
  const authorization = `Bearer ${key}`;
  // Without this one Node asks for gzip, and is several times slower.
  const headers = { authorization, accept: ARROW, "accept-encoding": "identity" };
  const response = await fetch(url, { headers });
  const { byteLength } = await response.arrayBuffer();
  return { bytes: byteLength, ms: performance.now() - began };
}

async function timedRead(result) {
  const began = performance.now();
  let rows = 0;
  let bytes = 0;
  let firstMs;
  for await (const batch of result) {
    firstMs ??= performance.now() - began;
    rows += batch.numRows;
    bytes += batch.data.byteLength;
  }
  return { rows, bytes, firstMs, ms: performance.now() - began };
}

/** How long after its last byte was sent a batch is in the reader's hands. */
async function handedOver({ batches }) {
  const { Table, vectorFromArray, Int32 } = await import("apache-arrow");
  const bytes = tableToIPC(new Table({ n: vectorFromArray([1, 2, 3], new Int32()) }), "stream");
  const end = bytes.byteLength - 8;
  const schemaEnd = 8 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
  const sent = [];
  const live = http.createServer(async (_, answer) => {
    answer.writeHead(200, { "content-type": ARROW });
    answer.write(bytes.subarray(0, schemaEnd));
    for (let n = 0; n < batches; n++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      sent.push(performance.now());
      answer.write(bytes.subarray(schemaEnd, end));
    }
    answer.end(bytes.subarray(end));
  });
  await new Promise((resolve) => live.listen(0, "127.0.0.1", resolve));
  const client = createClient({ url: `http://127.0.0.1:${live.address().port}` });
  const late = [];
  for await (const _ of client.get("live")) late.push(performance.now() - sent[late.length]);
  live.close();
  late.sort((one, other) => one - other);
  const p99 = late[Math.floor(0.99 * (late.length - 1))];
  return [
    row("a live batch is handed over, p99", [p99], "ms", `${batches} batches`, { atMost: 5 }),
  ];
}

/** A put, and a bare POST of the same bytes. */
async function puts(server, clients, { rows, rounds }) {
  const table = await clients.fetch.get(TABLE).table();
  const bytes = tableToIPC(table, "stream");
  const found = [];
  for (const [name, client] of Object.entries(clients)) {
    const ratios = [];
    for (let round = -1; round < rounds; round++) {
      const bare = await timed(() => post(server, bytes));
      const put = await timed(() => client.put(`${TABLE}_put`, table, { mode: "overwrite" }));
      if (round >= 0) ratios.push(bare / put);
    }
    const detail = `${rows.toLocaleString("en")} rows, overwritten`;
    const question = `put by ${name} ÷ bare POST of the same bytes`;
    found.push(row(question, ratios, "×", detail, { atLeast: 0.5 }));
  }
  return found;
}

async function post(server, body) {
  const query = "mode=overwrite&create_if_missing=true";
  const response = await fetch(`${server.url}/api/v1/tables/${TABLE}_put/rows?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.key}`, "content-type": ARROW },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
}

/** A read through a wire with a round trip, and without one. */
async function farAway(server, near, { farBytes, rounds }) {
  const found = [];
  const count = Math.ceil(farBytes / 16);
  const sql = `SELECT i, i * 0.5 AS half FROM range(${count}) r(i)`;
  for (const name of Object.keys(near)) {
    const http = await startProxy(server.url);
    const grpc = await startProxy(server.flight);
    const transport =
      name === "Flight" ? flight({ url: `grpc://127.0.0.1:${grpc.port}` }) : undefined;
    const url = `http://127.0.0.1:${http.port}`;
    const far = createClient({ url, key: server.key, transport });
    const ratios = [];
    for (let round = -1; round < rounds; round++) {
      const close = await timedRead(near[name].sql(sql));
      const distant = await timedRead(far.sql(sql));
      if (round >= 0) ratios.push(close.ms / distant.ms);
    }
    await far.close();
    http.stop();
    grpc.stop();
    const detail = `${Math.round(farBytes / MB)} MB`;
    const question = `throughput by ${name} at ${ROUND_TRIP_MS} ms round trip ÷ on loopback`;
    found.push(row(question, ratios, "×", detail, { atLeast: 0.7 }));
  }
  return found;
}

async function startProxy(address) {
  const { hostname, port } = new URL(address.replace(/^grpc[^:]*/, "http"));
  const script = new URL("proxy.mjs", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, hostname, port, String(ROUND_TRIP_MS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const told = await new Promise((resolve) => child.stdout.once("data", resolve));
  return { port: Number(told), stop: () => child.kill() };
}

/** How much memory a process takes that reads a lot, beyond what it has after the first tenth. */
async function memory(server, { longBytes }) {
  const found = [];
  for (const name of ["fetch", "Flight"]) {
    const script = new URL("long_read.mjs", import.meta.url).pathname;
    const given = [server.url, server.flight, server.key, name, String(longBytes)];
    const child = spawn(process.execPath, [script, ...given], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told = "";
    for await (const chunk of child.stdout) told += chunk;
    const { bytes, growth } = JSON.parse(told);
    if (bytes < 0.9 * longBytes) throw new Error(`only ${bytes} bytes were read`);
    const detail = `${(bytes / 2 ** 30).toFixed(1)} GB read`;
    found.push(
      row(`memory gained by a long read by ${name}`, [growth / MB], "MB", detail, { atMost: 100 }),
    );
  }
  return found;
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function row(question, values, unit, detail, limit) {
  const sorted = [...values].sort((one, other) => one - other);
  const value = sorted[Math.floor(sorted.length / 2)];
  return { question, value, low: sorted[0], high: sorted.at(-1), unit, detail, ...limit };
}
