import { type ChildProcess, spawn } from "node:child_process";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { type RecordBatch, Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ArgumentError,
  ConnectionError,
  ForbiddenError,
  PixelflightError,
  TimeoutError,
  TruncatedError,
  UnauthenticatedError,
  UnsupportedError,
} from "../src/errors.js";
import { FlightClient, type FlightInfo, schemaOf, type TlsOptions } from "../src/flight.js";

const PARTS = 6;
const ROWS = 1000;
const PYTHON = fileURLToPath(new URL("../../.venv/bin/python", import.meta.url));
const SERVERS = fileURLToPath(new URL("foreign_flight.py", import.meta.url));

interface Told {
  plain: number;
  older: number;
  secure: number;
  tls: Required<TlsOptions>;
}

let child: ChildProcess;
let told: Told;
let client: FlightClient;

beforeAll(async () => {
  child = spawn(PYTHON, [SERVERS], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, GRPC_VERBOSITY: "NONE" },
  });
  told = await new Promise((resolve, reject) => {
    child.stdout?.once("data", (line: Buffer) => resolve(JSON.parse(line.toString())));
    child.once("exit", (code) => reject(new Error(`the servers ended with ${code}`)));
  });
  client = new FlightClient({ url: at(told.plain) });
});
afterAll(async () => {
  await client?.close();
  child?.kill("SIGKILL");
});

const at = (port: number) => `grpc://127.0.0.1:${port}`;
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const openStreams = async () => Number(text((await client.doAction("open"))[0]));

const numbered = (...n: number[]) =>
  new Table(tableFromArrays({ n: Int32Array.from(n) })).batches[0] as RecordBatch;

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** A wire to a server that can be cut. */
async function cutWire(port: number) {
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    for (const socket of [near, far]) sockets.add(socket.on("error", () => undefined));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const end = () => {
    cut();
    proxy.close();
  };
  return { port: (proxy.address() as net.AddressInfo).port, cut, end };
}

async function numbers(): Promise<FlightInfo> {
  return await client.getFlightInfo({ path: ["numbers"] });
}

describe("what there is", () => {
  test("is listed", async () => {
    const [info, ...others] = await client.listFlights();
    expect(others).toEqual([]);
    expect(info?.descriptor).toEqual({ path: ["numbers"] });
    expect(info).toMatchObject({ totalRecords: PARTS * ROWS, totalBytes: -1 });
    expect(info?.endpoints).toHaveLength(PARTS);
    expect(await client.listFlights("others")).toEqual([]);
  });

  test("has a schema", async () => {
    const schema = await client.getSchema({ path: ["numbers"] });
    expect(schema.fields.map(({ name }) => name)).toEqual(["n", "word"]);
    expect(String(schemaOf((await numbers()).schema))).toBe(String(schema));
  });

  test("and can be done", async () => {
    const actions = await client.listActions();
    expect(actions.map(({ type }) => type)).toEqual(["echo", "open"]);
    expect(actions[0]?.description).toBe("Tells what it was told.");
    const told = await client.doAction("echo", "words");
    expect(told.map(text)).toEqual(["words", "end"]);
  });
});

describe("batches", () => {
  test("of all endpoints come in order, with the dictionaries of each", async () => {
    const rows = await client.read(await numbers()).toArray({ bigint: "number" });
    const expected = Array.from({ length: PARTS * ROWS }, (_, n) => ({
      n,
      word: `w${Math.floor(n / ROWS)}-${(n % ROWS) % 3}`,
    }));
    expect(rows).toEqual(expected);
  });

  test("of no endpoint have a schema still", async () => {
    const info = await client.getFlightInfo({ path: ["nothing"] });
    const table = await client.read(info).table();
    expect(table.numRows).toBe(0);
    expect(table.schema.fields.map(({ name }) => name)).toEqual(["n", "word"]);
  });

  test("of an endpoint elsewhere are not fetched from here", async () => {
    const info = await client.getFlightInfo({ path: ["elsewhere"] });
    expect(() => client.read(info)).toThrow(ArgumentError);
    expect(() => client.read(info)).toThrow("grpc://elsewhere.invalid:1");
  });

  test("have metadata beside them", async () => {
    const beside: string[] = [];
    for await (const { appMetadata } of client.messages("beside")) {
      if (appMetadata) beside.push(text(appMetadata));
    }
    expect(beside).toEqual(["beside 0", "beside 1"]);
    expect(await client.doGet("beside").table()).toHaveProperty("numRows", 2 * ROWS);
  });

  test("before an error are no whole", async () => {
    const reading = client.doGet("broken").table();
    await expect(reading).rejects.toThrow(TimeoutError);
    await expect(reading).rejects.toThrow("it took too long");
  });
});

describe("what is put", () => {
  test("is told of meanwhile, and got again", async () => {
    const told: string[] = [];
    const onMetadata = (metadata: Uint8Array) => void told.push(text(metadata));
    await client.doPut({ path: ["mine"] }, [numbered(1, 2), numbered(3, 4)], { onMetadata });
    expect(told).toEqual(["2", "4"]);
    expect((await client.doGet("mine").toArray()).map(({ n }) => n)).toEqual([1, 2, 3, 4]);
  });

  test("and refused is an error while the next batch is waited for", async () => {
    let left = false;
    async function* slow(): AsyncGenerator<RecordBatch> {
      try {
        yield numbered(1);
        await new Promise((resolve) => setTimeout(resolve, 500));
        yield numbered(2);
      } finally {
        left = true;
      }
    }
    const began = Date.now();
    await expect(client.doPut({ path: ["refused"] }, slow())).rejects.toThrow(ForbiddenError);
    expect(Date.now() - began).toBeLessThan(400);
    await until(async () => left);
  });
});

describe("what is exchanged", () => {
  test("comes back while more is sent", async () => {
    let came: () => void = () => undefined;
    async function* batches(): AsyncGenerator<RecordBatch> {
      for (let n = 0; n < 3; n++) {
        const back = new Promise<void>((resolve) => {
          came = resolve;
        });
        yield numbered(n);
        await back;
      }
    }
    const got: number[] = [];
    for await (const batch of client.doExchange({ path: ["echo"] }, batches())) {
      got.push(batch.getChildAt(0)?.get(0));
      came();
    }
    expect(got).toEqual([0, 1, 2]);
  });

  test("ends as the server, the source or the reader wants", async () => {
    let left = 0;
    async function* endless(fails = false): AsyncGenerator<RecordBatch> {
      try {
        for (let n = 0; ; n++) {
          yield numbered(n);
          if (fails) throw new RangeError("the source failed");
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        left++;
      }
    }
    const refused = client.doExchange({ path: ["refused"] }, endless()).table();
    await expect(refused).rejects.toThrow(ForbiddenError);
    const failing = client.doExchange({ path: ["echo"] }, endless(true)).table();
    await expect(failing).rejects.toThrow(RangeError);
    for await (const _ of client.doExchange({ path: ["echo"] }, endless())) break;
    await until(async () => left === 3);
  });
});

describe("a stream without an end", () => {
  test("ends where its reader leaves", async () => {
    let rows = 0;
    for await (const batch of client.doGet("endless")) {
      rows += batch.numRows;
      if (rows >= 5 * ROWS) break;
    }
    await until(async () => (await openStreams()) === 0);
  });

  test("ends with the signal's reason, and with the deadline", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const read = async () => {
      for await (const _ of client.doGet("endless", { signal: controller.signal })) {
        controller.abort(reason);
      }
    };
    await expect(read()).rejects.toBe(reason);
    await expect(client.doGet("endless", { timeoutMs: 100 }).table()).rejects.toThrow(TimeoutError);
    await until(async () => (await openStreams()) === 0);
  });

  test("is not read further than a little ahead", async () => {
    const made = async () => Number(text((await client.doAction("made"))[0]));
    const stream = client.messages("endless");
    await stream.next();
    let before = 0;
    await until(async () => {
      const last = before;
      before = await made();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return before === last;
    });
    for (let count = 0; count < before + 5; count++) await stream.next();
    expect(await made()).toBeGreaterThan(before);
    await stream.return();
    await until(async () => (await openStreams()) === 0);
  });
});

describe("errors", () => {
  test("have the class of their status", async () => {
    await expect(client.doAction("fly")).rejects.toThrow(UnsupportedError);
    await expect(client.getFlightInfo({ path: ["missing"] })).rejects.toThrow(PixelflightError);
    await expect(client.getFlightInfo({ path: ["missing"] })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("tell what to do where nobody answers", async () => {
    const nobody = new FlightClient({ url: "grpc://127.0.0.1:1" });
    await expect(nobody.listFlights()).rejects.toThrow(ConnectionError);
    await expect(nobody.listFlights()).rejects.toThrow("grpc://127.0.0.1:1");
    await nobody.close();
  });

  test("tell of a connection that broke", async () => {
    const wire = await cutWire(told.plain);
    const cut = new FlightClient({ url: at(wire.port) });
    const read = async () => {
      for await (const _ of cut.doGet("endless")) wire.cut();
    };
    await expect(read()).rejects.toThrow(TruncatedError);
    async function* batches(): AsyncGenerator<RecordBatch> {
      yield numbered(1);
      await new Promise(() => undefined);
    }
    const put = cut.doPut({ path: ["cut"] }, batches(), { onMetadata: wire.cut });
    await expect(put).rejects.toThrow(TruncatedError);
    // The next call connects again.
    expect(await cut.listActions()).toHaveLength(2);
    wire.end();
    await until(async () => (await openStreams()) === 0);
    await cut.close();
  });

  test("tell of a client that is closed", async () => {
    const closed = new FlightClient({ url: at(told.plain) });
    await closed.close();
    await expect(closed.listActions()).rejects.toThrow(ArgumentError);
    await expect(closed.doGet("1").table()).rejects.toThrow("closed");
  });

  test("of addresses come before anything is sent", () => {
    for (const url of ["127.0.0.1:8815", "http://127.0.0.1:8815", "grpc://127.0.0.1", ""]) {
      expect(() => new FlightClient({ url }), url).toThrow(ArgumentError);
    }
    const tls = { certificate: "a" };
    expect(() => new FlightClient({ url: "grpc+tls://h:1", tls })).toThrow("privateKey");
    expect(() => new FlightClient({ url: "grpc://h:1", tls: {} })).toThrow("grpc+tls://");
  });
});

describe("who is asking", () => {
  const who = async (given: FlightClient, headers = {}) =>
    text((await given.doAction("who", "", { headers }))[0]);

  test("is told by a key, and by headers", async () => {
    const key = async () => "from-somewhere";
    const known = new FlightClient({ url: at(told.plain), key, headers: { "x-extra": "all" } });
    expect(await who(known)).toBe("Bearer from-somewhere all");
    expect(await who(known, { "x-extra": "one" })).toBe("Bearer from-somewhere one");
    await known.close();
  });

  test("is told by a handshake's token", async () => {
    const known = new FlightClient({ url: at(told.plain) });
    await expect(known.handshake("ann", "wrong")).rejects.toThrow(UnauthenticatedError);
    await known.handshake("ann", "secret");
    expect(await who(known)).toBe("Bearer a-token");
    await known.close();
  });

  test("is told by the payload of a handshake to servers that read that", async () => {
    const known = new FlightClient({ url: at(told.older) });
    await expect(known.listActions()).rejects.toThrow(UnauthenticatedError);
    await expect(known.handshake("ann", "wrong")).rejects.toThrow(UnauthenticatedError);
    await known.handshake("ann", "secret");
    expect(await known.listActions()).toHaveLength(2);
    await known.close();
  });
});

describe("over TLS", () => {
  const url = () => `grpc+tls://localhost:${told.secure}`;

  test("both sides show certificates", async () => {
    const known = new FlightClient({ url: url(), tls: told.tls });
    expect(await known.doGet("1").table()).toHaveProperty("numRows", ROWS);
    await known.close();
  });

  test.each([
    ["an authority that is not known", () => ({ url: url() }), "tls.roots"],
    ["no certificate", () => ({ url: url(), tls: { roots: told.tls.roots } }), "tls.certificate"],
    ["no TLS", () => ({ url: at(told.secure) }), "grpc+tls://"],
    [
      "TLS for a server that has none",
      () => ({ url: `grpc+tls://localhost:${told.plain}` }),
      "Use grpc://",
    ],
  ])("%s is told as such", async (_, options, hint) => {
    const refused = new FlightClient(options());
    const asking = refused.listActions();
    await expect(asking).rejects.toThrow(ConnectionError);
    await expect(asking).rejects.toThrow(hint);
    await refused.close();
  });
});
