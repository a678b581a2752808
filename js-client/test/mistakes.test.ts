/** What a newcomer gets wrong: told in a sentence, alike on every way, before anything is sent. */
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { FlightClient, flight } from "../src/flight.js";
import { createClient as createFullClient } from "../src/full.js";
import {
  ArgumentError,
  type Client,
  createClient,
  InvalidRequestError,
  type PutOptions,
} from "../src/index.js";

const server = inject("server");
const { url, key } = server;

/** What was thrown, at once or later. */
async function thrown(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("Nothing was thrown.");
}

/** What a program without types gives. */
const loose = <T>(value: unknown) => value as T;

describe("a client is not made", () => {
  const GIVEN: [string, unknown, string][] = [
    ["without options", undefined, "'options' is undefined: give { url, key }."],
    ["of a URL alone", url, `'options' is "${url}": give { url, key }.`],
    ["with a key by another name", { url, apiKey: key }, "'createClient' has no option 'apiKey'."],
    ["with a URL by another name", { baseUrl: url }, "'createClient' has no option 'baseUrl'."],
    ["with retries by another name", { url, retry: { attempts: 2 } }, "'retry' has no option"],
    ["with a word for a transport", { url, transport: "flight" }, "give what flight({ url })"],
    ["with Flight's address", { url: server.flight }, "Flight is a 'transport'"],
    ["with a breaker of nothing", { url, breaker: {} }, "give { failures, resetMs }"],
    ["with conversions by another name", { url, conversions: { bigInt: "number" } }, "'bigInt'"],
  ];
  test.each(GIVEN)("%s", async (_, given, sentence) => {
    const error = await thrown(() => createClient(loose(given)));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toContain(sentence);
  });

  test("of Flight without an address, or with what Flight has not", async () => {
    expect((await thrown(() => flight(loose(server.flight)))).message).toContain("give { url }");
    expect((await thrown(() => new FlightClient(loose(undefined)))).message).toContain("{ url }");
    const given = { url: server.flight, apiKey: key };
    expect((await thrown(() => flight(given))).message).toBe("'flight' has no option 'apiKey'.");
  });

  test("but where its URL has a slash, a question or blanks too many, or is a URL", async () => {
    for (const given of [`${url}/`, ` ${url}/?a=1#b\n`, `${url}/api/v1/`, new URL(url)]) {
      await using client = createClient({ url: loose(given), key });
      expect(await client.listNamespaces()).toBeDefined();
    }
  });
});

test("a server that speaks no TLS is told to be one", async () => {
  const secure = url.replace("http:", "https:");
  await using client = createClient({ url: secure, key, retry: false });
  const { message } = await thrown(() => client.listTables());
  expect(message).toBe(`No server answers at ${secure}: it does not speak TLS, but http://.`);
});

test("a page is told that the server may not allow it", async () => {
  const dark = "http://127.0.0.1:9";
  await using client = createClient({ url: dark, key, retry: false });
  try {
    vi.stubGlobal("location", { origin: "http://pages.test" });
    const { message } = await thrown(() => client.listTables());
    expect(message).toMatch(
      /^No server answers at .*, or its 'cors_origins' lack .*pages\.test\.$/,
    );
    vi.stubGlobal("location", { origin: dark });
    expect((await thrown(() => client.listTables())).message).not.toContain("cors_origins");
  } finally {
    vi.unstubAllGlobals();
  }
});

const TRANSPORTS = { HTTP: () => undefined, Flight: () => flight({ url: server.flight }) };

describe.each(Object.entries(TRANSPORTS))("over %s", (way, transport) => {
  const named = `mistakes_by_${way.toLowerCase()}`;
  const made = (shown: string | undefined) =>
    createClient({ url, key: shown, transport: transport(), retry: false });
  let client: Client;
  beforeAll(async () => {
    client = made(key);
    await client.put(named, [{ id: 1n, name: "a" }], { mode: "create" });
  });
  afterAll(() => client.close());

  test("blanks around a key are a file's, and those in it are told without the key", async () => {
    await using blank = made(` ${key}\n`);
    expect(await blank.get(named).toArray()).toHaveLength(1);
    await using broken = made(`${key.slice(0, 9)}\n${key.slice(9)}`);
    const error = await thrown(() => broken.get(named).toArray());
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toContain("line break");
    expect(error.message).not.toContain(key.slice(0, 9));
  });

  const READS: [object, string][] = [
    [{ where: "id = 1" }, "'get' has no option 'where'."],
    [{ columns: "name" }, `'columns' is "name": give a list of names.`],
    [{ columns: [["name"]] }, `'columns' is [["name"]]`],
    [{ limit: -1 }, "'limit' is -1: give a whole number, 0 or more."],
    [{ limit: "10" }, `'limit' is "10"`],
    [{ offset: 1.5 }, "'offset' is 1.5"],
    [{ version: -1 }, "'version' is -1"],
    [{ version: "" }, `'version' is ""`],
    [{ asOf: new Date("soon") }, "'asOf' is Invalid Date: give a moment."],
    [{ filter: { id: new Date("soon") } }, "Invalid Date"],
    [{ filter: [{ id: 1n }] }, `'filter' is [{"id":"1"}]: give an object`],
    [{ orderBy: [{ column: "id", direction: "down" }] }, `is {"column":"id","direction":"down"}`],
    [{ timeoutMs: Number.NaN }, "'timeoutMs' is NaN: give milliseconds, more than 0."],
    [{ timeoutMs: 0 }, "'timeoutMs' is 0"],
    [{ signal: new AbortController() }, "give an AbortSignal"],
    [{ conversions: { bigInt: "number" } }, "'conversions' has no option 'bigInt'."],
  ];
  test.each(READS)("a read with %o", async (options, sentence) => {
    const error = await thrown(() => client.get(named, loose<object>(options)).toArray());
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toContain(sentence);
  });

  test("names of tables that are none", async () => {
    for (const table of [undefined, null, "", 5, { name: named }]) {
      for (const work of [
        () => client.get(loose<string>(table)).toArray(),
        () => client.diff(loose<string>(table), 1).toArray(),
        () => client.changes(loose<string>(table), 1).toArray(),
        () => client.put(loose<string>(table), [{ id: 2n }], { createIfMissing: true }),
      ]) {
        expect((await thrown(work)).message).toMatch(/^'table' is .*: give its name\.$/);
      }
    }
  });

  test("what means the same everywhere is taken everywhere", async () => {
    const nothing = { limit: null, version: null, filter: null, orderBy: null, timeoutMs: null };
    expect(await client.get(named, loose<object>(nothing)).toArray()).toHaveLength(1);
    const order = loose<object>({ orderBy: { column: "id" }, timeoutMs: Number.POSITIVE_INFINITY });
    expect(await client.get(named, order).toArray()).toHaveLength(1);
    const { versions } = await client.listVersions(named);
    const version = String(versions[0]?.version);
    expect(await client.get(named, { version, timeoutMs: 2 ** 40 }).toArray()).toHaveLength(1);
  });

  const PUTS: [unknown, PutOptions | undefined, string][] = [
    [[{ id: 1n }], loose({ modus: "upsert" }), "'put' has no option 'modus'."],
    [[{ at: new Date("soon") }], undefined, "The column 'at' holds a Date of no moment."],
    [[{ n: 2n ** 53n + 1n }, { n: 0.5 }], undefined, "9007199254740993 is no double"],
  ];
  test.each(PUTS)("a put of %o with %o", async (rows, options, sentence) => {
    const error = await thrown(() => client.put(named, loose<[]>(rows), options));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toContain(sentence);
  });

  const STATEMENTS: [unknown, unknown, string][] = [
    [undefined, undefined, "'sql' is undefined: give a text or a template."],
    ["SELECT ?", 5, "'parameters' is 5: give a list or an object."],
    ["SELECT ?", "x", `'parameters' is "x"`],
    ["SELECT $a", { a: undefined }, "'parameter a' is undefined: give null, or a value."],
    ["SELECT ?", [new Date("soon")], "The parameter '1' holds a Date of no moment."],
    ["SELECT ?", [2n ** 63n], "The parameter '1' holds 9223372036854775808"],
    ["SELECT ?", [new Set([1])], "The parameter '1' holds a Set"],
    ["SELECT ?", [[1n, "a"]], "The parameter '1' holds values of different kinds"],
  ];
  test.each(STATEMENTS)("the statement %o with %o", async (text, parameters, sentence) => {
    const error = await thrown(() => client.sql(loose<string>(text), parameters).toArray());
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toContain(sentence);
  });

  test("parameters are lists, maps and structs of what JSON has no type for", async () => {
    const [row] = await client
      .sql("SELECT ? AS l, ? AS m, ? AS s, ? AS f", [
        [2n ** 62n, 1n],
        new Map([["a", 1n]]),
        { at: new Date(0) },
        1e300,
      ])
      .toArray();
    expect(row).toEqual({
      l: [2n ** 62n, 1n],
      m: new Map([["a", 1n]]),
      s: { at: new Date(0) },
      f: 1e300,
    });
  });

  test("a value that no parameter takes is told of", async () => {
    const error = await thrown(() => client.sql`FROM prices WHERE product = '${"apple"}'`.table());
    expect(error.message).toContain("There is no table 'prices'");
    const text = `SELECT id FROM ${named} WHERE name = '$1'`;
    expect((await thrown(() => client.sql(text, ["a"]).table())).message).toContain("parameter");
  });

  test("a statement is executed as a text or as a template, and one that reads is told of", async () => {
    const done = await client.execute(`UPDATE ${named} SET name = $name`, { name: "b" });
    expect(done).toMatchObject({ kind: "update", rows: 1 });
    const table = `statements_by_${way.toLowerCase()}`;
    await client.execute(`CREATE TABLE ${table} AS SELECT 1 AS n`);
    const written = Object.assign([`DELETE FROM ${table} WHERE n = `, ""], { raw: [] });
    expect(await client.execute(written, 1)).toMatchObject({ kind: "delete", rows: 1 });
    const error = await thrown(() => client.execute("SELECT 1"));
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect(error.message).toBe("This statement reads: sql() gives its rows.");
    expect((await thrown(() => client.execute(loose<string>(5)))).message).toContain("'sql' is 5");
  });

  test("a client that is closed", async () => {
    const closed = made(key);
    await closed.close();
    for (const work of [
      () => closed.get(named).toArray(),
      () => closed.put(named, [{ id: 3n }]),
      () => closed.listTables(),
    ]) {
      const error = await thrown(work);
      expect(error).toBeInstanceOf(ArgumentError);
      expect(error.message).toBe("This client is closed: make another.");
    }
  });
});

test("whoever prints a client does not print its key", async () => {
  const clients = [
    createClient({ url, key, transport: flight({ url: server.flight, key }) }),
    createClient({ url, token: key }),
    new FlightClient({ url: server.flight, key }),
  ];
  for (const client of clients) {
    expect(inspect(client, { depth: 9 })).not.toContain(key);
    await client.close();
  }
  expect(JSON.stringify(createClient({ url, key }))).not.toContain(key);
});

test("pages of what is no list", async () => {
  await using client = createFullClient({ url, key });
  const error = await thrown(() => client.pages(loose<"listTables">("listTable")).next());
  expect(error.message).toBe(`'pages()' is "listTable": give the name of a method that lists.`);
});

test("descriptors of flights that are none", async () => {
  await using client = new FlightClient({ url: server.flight, key });
  for (const descriptor of [undefined, "prices", { path: "prices" }, {}]) {
    const error = await thrown(() => client.getFlightInfo(loose(descriptor)));
    expect(error.message).toContain("give { path: [name] } or { command }");
  }
});
