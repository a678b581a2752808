/** Types that are written from schemas. */
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  Int64,
  IntervalMonthDayNano,
  List,
  Map_,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../src/full.js";
import { typegen } from "../src/typegen/command.js";
import { declarations, typeText } from "../src/typegen/declarations.js";
import { type Server, startServer } from "./server.js";

/** A type of Arrow, the metadata of its column, and the type of its values. */
const CASES: readonly [Field, string][] = [
  [new Field("a", new Int64()), "bigint"],
  [new Field("a", new Int32(), true), "number | null"],
  [new Field("a", new Float32()), "number"],
  [new Field("a", new Bool()), "boolean"],
  [new Field("a", new Utf8()), "string"],
  [new Field("a", new Binary()), "Uint8Array"],
  [new Field("a", new Decimal(2, 10)), "string"],
  [new Field("a", new DateDay()), "Date"],
  [new Field("a", new TimeMicrosecond()), "string"],
  [new Field("a", new TimestampMicrosecond("UTC"), true), "Date | null"],
  [new Field("a", new Dictionary(new Utf8(), new Int32())), "string"],
  [
    new Field("a", new IntervalMonthDayNano()),
    "{ months: number; days: number; nanoseconds: bigint }",
  ],
  [new Field("a", new List(new Field("item", new Int64(), true))), "(bigint | null)[]"],
  [new Field("a", new FixedSizeList(2, new Field("item", new Float32()))), "number[]"],
  [
    new Field("a", new Struct([new Field("b c", new Utf8(), true), new Field("d", new Bool())])),
    '{ "b c": string | null; d: boolean }',
  ],
  [
    new Field(
      "a",
      new Map_(
        new Field(
          "entries",
          new Struct([new Field("key", new Utf8()), new Field("value", new Int64(), true)]),
        ) as never,
      ),
    ),
    "Map<string, bigint | null>",
  ],
  [extension("arrow.uuid"), "string"],
  [extension("arrow.json"), "unknown"],
];

function extension(name: string): Field {
  const isNullable = name === "arrow.json";
  return new Field("a", new Utf8(), isNullable, new Map([["ARROW:extension:name", name]]));
}

test.each(CASES)("%s", (field, type) => {
  expect(typeText(field)).toBe(type);
});

test("names that are none in TypeScript are written so that they are", () => {
  const schema = new Schema([new Field("a-b", new Utf8()), new Field("class", new Utf8())]);
  const comments = { class: "First */ class.\nOr second." };
  const text = declarations([
    { table: "a.b", schema, comments },
    { table: "a_b", schema, comment: "Two." },
    { table: "3d", schema },
  ]);
  expect(text).toContain("export interface AB {");
  expect(text).toContain("export interface AB2 {");
  expect(text).toContain("export interface Table3d {");
  expect(text).toContain('  "a.b": AB;');
  const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true });
  expect(diagnostics).toEqual([]);
});

describe("the command", () => {
  let server: Server;

  beforeAll(async () => {
    server = await startServer();
    await using client = createClient({ url: server.url, key: server.key });
    await client.createNamespace({ namespace: "fleet" });
    await client.createTable({
      table: "fleet.planes",
      comment: "Every plane that was seen.",
      columns: [
        { name: "tail", type: "string", nullable: false },
        { name: "seats", type: "int64", comment: "How many it carries." },
        { name: "price", type: "decimal128(10, 2)" },
        { name: "seen", type: "timestamp[us, UTC]" },
      ],
    });
    await client.createTable({ table: "days", columns: [{ name: "day", type: "date32" }] });
  }, 60_000);
  afterAll(() => server?.stop());

  const PLANES = [
    "/** Every plane that was seen. */",
    "export interface FleetPlanes {",
    "  tail: string;",
    "  /** How many it carries. */",
    "  seats: bigint | null;",
    "  price: string | null;",
    "  seen: Date | null;",
    "}",
  ].join("\n");

  test("writes all tables, or those that are named", async () => {
    const environment = { PIXELFLIGHT_HTTP_URL: server.url, PIXELFLIGHT_KEY: server.key };
    const all = await typegen([], environment);
    expect(all).toMatchObject({ exitCode: 0, stderr: "" });
    expect(all.stdout).toContain(PLANES);
    expect(all.stdout).toContain(
      'export interface Tables {\n  days: Days;\n  "fleet.planes": FleetPlanes;\n}\n',
    );
    const folder = join(tmpdir(), `tables-${process.pid}`);
    const output = join(folder, "made/tables.ts");
    const args = ["--url", server.url, "--key", server.key, "-o", output, "fleet.planes"];
    expect(await typegen(args, {})).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    const written = await readFile(output, "utf8");
    await rm(folder, { recursive: true });
    expect(written).toContain(PLANES);
    expect(written).not.toContain("Days");
  });

  test("answers to 'npx pixelflight typegen' as well", async () => {
    const named = { PIXELFLIGHT_HTTP_URL: server.url, PIXELFLIGHT_KEY: server.key };
    expect(await typegen(["typegen", "days"], named)).toEqual(await typegen(["days"], named));
  });

  test("says what is wrong, and how to mend it", async () => {
    expect(await typegen(["--help"], {})).toMatchObject({ exitCode: 0 });
    expect(await typegen(["--colour"], {})).toMatchObject({
      exitCode: 2,
      stderr: "pixelflight-typegen: Unknown option '--colour'. See --help.\n",
    });
    const dark = await typegen(["--url", "http://127.0.0.1:9"], {});
    expect(dark.stderr).toContain("http://127.0.0.1:9");
    expect((await typegen(["--url", server.url], {})).stderr).toContain("--key or PIXELFLIGHT_KEY");
    const missing = await typegen(["--url", server.url, "--key", server.key, "nothing"], {});
    expect(missing).toMatchObject({ exitCode: 1 });
    expect(missing.stderr).toContain("nothing");
  });
});
