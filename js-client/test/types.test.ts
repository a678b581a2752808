/** Rows are typed where tables are told as types: tsc holds these tests, and no server is asked. */
import type { Table } from "apache-arrow";
import { describe, expectTypeOf, test } from "vitest";
import { col, createClient, type Result, type TaggedRow } from "../src/full.js";

interface Plane {
  tail: string;
  seats: bigint | null;
  seen: Date | null;
  price: string;
}

interface Tables {
  planes: Plane;
  "sales.daily": { day: Date; total: number };
}

const typed = createClient<Tables>({ url: "http://127.0.0.1" });
const untyped = createClient({ url: "http://127.0.0.1" });

describe("rows that are read", () => {
  test("have the columns that are selected", () => {
    expectTypeOf(typed.get("planes").toArray()).resolves.toEqualTypeOf<Plane[]>();
    expectTypeOf(
      typed.get("planes", { columns: ["tail", "seats"] }).first(),
    ).resolves.toEqualTypeOf<Pick<Plane, "tail" | "seats"> | undefined>();
    expectTypeOf(typed.get("planes", { withRowId: true }).toArray())
      .resolves.items.toHaveProperty("_row_id")
      .toEqualTypeOf<bigint>();
    expectTypeOf(typed.from("sales.daily").select("total").toArray()).resolves.toEqualTypeOf<
      { total: number }[]
    >();
    expectTypeOf(typed.from("planes").where("seats > 3").limit(1).rows()).toEqualTypeOf<
      AsyncGenerator<Plane, void, undefined>
    >();
    expectTypeOf(typed.from("planes").select("tail").withRowId().toArray()).resolves.toEqualTypeOf<
      (Pick<Plane, "tail"> & { _row_id: bigint })[]
    >();
    expectTypeOf(typed.from("planes").table()).resolves.toEqualTypeOf<Table>();
    expectTypeOf(typed.readRow("planes", 3)).resolves.toEqualTypeOf<Plane>();
    expectTypeOf(typed.readRowWithEtag("planes", 3)).resolves.toEqualTypeOf<TaggedRow<Plane>>();
  });

  test("are of any columns where nothing is told", () => {
    type Any = Record<string, unknown>;
    expectTypeOf(untyped.get("planes").toArray()).resolves.toEqualTypeOf<Any[]>();
    expectTypeOf(untyped.get("planes")).toExtend<Result<Any>>();
    expectTypeOf(typed.get("others").toArray()).resolves.toEqualTypeOf<Any[]>();
    expectTypeOf(untyped.from("planes").select("a").toArray()).resolves.toEqualTypeOf<
      { a: unknown }[]
    >();
    expectTypeOf(typed.get<{ n: bigint }>("others").toArray()).resolves.toEqualTypeOf<
      { n: bigint }[]
    >();
    expectTypeOf(untyped.from<Plane>("planes").select("tail").first()).resolves.toEqualTypeOf<
      Pick<Plane, "tail"> | undefined
    >();
    expectTypeOf(typed.sql<{ n: bigint }>("SELECT 1 AS n").toArray()).resolves.toEqualTypeOf<
      { n: bigint }[]
    >();
  });
});

test("columns and values that are not the table's are refused", () => {
  // Never called: only its types matter.
  const _refused = () => {
    // @ts-expect-error there is no such column
    typed.get("planes", { columns: ["wings"] });
    // @ts-expect-error there is no such column
    typed.from("planes").select("wings");
    // @ts-expect-error a type is told, or is the table's
    typed.get("others", { columns: [1] });
    // @ts-expect-error a tail is a text
    typed.from("planes").where({ tail: 3 });
    // @ts-expect-error there is no such column
    typed.from("planes").orderBy({ column: "wings" });
    // @ts-expect-error seats are a number
    typed.put("planes", [{ tail: "N1", seats: "many" }]);
    // @ts-expect-error there is no such column
    typed.update("planes", { wings: 2 }, { all: true });
    // @ts-expect-error a table's name is needed
    typed.describeTable();
    // @ts-expect-error there is no such type of jobs
    typed.createJob({ job_type: "nothing" });
  };
});

test("filters, rows and values that are the table's are taken", () => {
  const _taken = () => {
    typed
      .from("planes")
      .where({ seats: { gt: 3, lte: 10n }, or: [{ tail: "N1" }, { tail: null }] });
    typed.from("planes").where({ seen: { between: ["2026-01-01", new Date()] } });
    typed
      .from("planes")
      .where({ tail: ["N1", "N2"], price: { is_null: true }, seats: col("price") });
    typed.from("planes").where(col("seats").gt(3)).orderBy("tail", col("seats").desc());
    typed.put("planes", [
      { tail: "N1", seats: 3 },
      { tail: "N2", seats: 4n, seen: new Date() },
    ]);
    typed.update("planes", { seats: col("seats").plus(1), price: "3.50" }, { tail: "N1" });
    typed.listTables({ limit: undefined, namespace: "sales" });
    typed.pages("listDeliveries", "wh_1", { limit: 1 });
  };
  expectTypeOf(typed.pages("listJobs")).toExtend<AsyncGenerator<{ jobs: { job_id: string }[] }>>();
  expectTypeOf(typed.getJob("j")).resolves.toHaveProperty("status");
  expectTypeOf(typed.dropUpload("u")).resolves.toEqualTypeOf<undefined>();
});
