/** Tables, history, jobs and webhooks, against a real server. */
import { Field, Int64, Schema, Utf8 } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Client,
  createClient,
  type Job,
  NotFoundError,
  schemaIpc,
  UnsupportedError,
} from "../src/full.js";
import { startReceiver } from "./receiver.js";
import { type Server, startServer } from "./server.js";

let server: Server;
let client: Client;

beforeAll(async () => {
  server = await startServer({ outbound_networks: "127.0.0.1/32" });
  client = createClient({ url: server.url, key: server.key });
}, 60_000);
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

describe("tables", () => {
  test("are made, described, changed, dropped and brought back", async () => {
    await client.createNamespace({ namespace: "fleet" });
    const made = await client.createTable({
      table: "fleet.planes",
      columns: [
        { name: "tail", type: "string", nullable: false },
        { name: "seats", type: "int64" },
      ],
      key: ["tail"],
    });
    expect(made).toMatchObject({ table: "fleet.planes", key: ["tail"] });
    const schema = new Schema([new Field("id", new Int64()), new Field("name", new Utf8())]);
    await client.createTable({ table: "fleet.pilots", schema_ipc: schemaIpc(schema) });
    await client.createTable({ table: "fleet.sampled", rows: [{ a: 1, b: "x" }] });
    const listed = await client.listTables({ namespace: "fleet" });
    expect(listed.tables.map(({ table }) => table).sort()).toEqual([
      "fleet.pilots",
      "fleet.planes",
      "fleet.sampled",
    ]);
    await client.changeTable("fleet.pilots", {
      changes: [{ add_column: { name: "since", type: "date32" } }],
    });
    const { columns } = await client.describeTable("fleet.pilots");
    const told = columns.map(({ name, type }) => `${name} ${type}`);
    expect(told).toEqual(["id int64", "name string", "since date32[day]"]);
    const { history } = await client.schemaHistory("fleet.pilots", { limit: 1 });
    expect(history).toHaveLength(1);
    await client.changeTable("fleet.sampled", { rename_to: "fleet.samples" });
    await expect(client.describeTable("fleet.sampled")).rejects.toThrow(NotFoundError);
    await client.changeTable("fleet.samples", { rename_to: "fleet.sampled" });
    await client.dropTable("fleet.sampled");
    await expect(client.describeTable("fleet.sampled")).rejects.toThrow(NotFoundError);
    await client.undropTable("fleet.sampled");
    expect((await client.describeTable("fleet.sampled")).columns).toHaveLength(2);
    const { namespaces } = await client.listNamespaces();
    expect(namespaces).toContain("fleet");
    const inside = await client.describeNamespace("fleet");
    expect(inside.tables).toEqual(["fleet.pilots", "fleet.planes", "fleet.sampled"]);
    await client.createNamespace({ namespace: "fleet/old" });
    await client.dropNamespace("fleet/old");
    await expect(client.describeNamespace("fleet/old")).rejects.toThrow(NotFoundError);
  });

  test("are listed page by page", async () => {
    const columns = [{ name: "n", type: "int64" }];
    for (const table of ["p1", "p2", "p3"]) await client.createTable({ table, columns });
    const names: string[] = [];
    let count = 0;
    for await (const { tables } of client.pages("listTables", {
      pattern: "p?",
      limit: 2,
    })) {
      names.push(...tables.map(({ table }) => table));
      count++;
    }
    expect(names).toEqual(["p1", "p2", "p3"]);
    expect(count).toBe(2);
  });
});

describe("history", () => {
  test("is listed, tagged and gone back to", async () => {
    const first = await client.put("past", [{ n: 1 }], { mode: "create" });
    await client.put("past", [{ n: 2 }]);
    await client.createTag("past", { name: "before", version: first.commit });
    expect((await client.listTags("past")).tags.map(({ name }) => name)).toEqual(["before"]);
    expect((await client.listVersions("past")).versions.length).toBeGreaterThanOrEqual(2);
    expect(await client.from("past").version("before").toArray()).toEqual([{ n: 1n }]);
    const changed = await client.diff("past", "before").toArray();
    expect(changed).toMatchObject([{ _change: "insert", n: 2n }]);
    await client.restore("past", { version: "before" });
    expect(await client.from("past").toArray()).toEqual([{ n: 1n }]);
    await client.dropTag("past", "before");
    expect((await client.listTags("past")).tags).toEqual([]);
  });

  test("snapshots hold a namespace, views follow tables", async () => {
    await client.createNamespace({ namespace: "shop" });
    await client.put("shop.orders", [{ n: 1 }, { n: 20 }], { mode: "create" });
    const sql = "SELECT n FROM shop.orders WHERE n > 10";
    await client.createView({ view: "shop.large", sql, materialized: true });
    await client.put("shop.orders", [{ n: 30 }]);
    await client.refreshView("shop.large");
    expect(await client.from("shop.large").orderBy("n").toArray()).toEqual([
      { n: 20n },
      { n: 30n },
    ]);
    expect((await client.listViews({ namespace: "shop" })).views).toHaveLength(1);
    expect(await client.describeView("shop.large")).toMatchObject({ view: "shop.large" });
    await client.dropView("shop.large");
    const { name } = await client.createSnapshot({ name: "may", namespace: "shop" });
    expect((await client.listSnapshots()).snapshots.map((one) => one.name)).toContain(name);
    expect(await client.describeSnapshot(name)).toMatchObject({ name, tables: ["shop.orders"] });
    await client.delete("shop.orders", { all: true });
    expect(await client.restoreSnapshot(name)).toMatchObject({ tables: ["shop.orders"] });
    expect(await client.from("shop.orders").toArray()).toHaveLength(3);
    await client.dropSnapshot(name);
    await expect(client.describeSnapshot(name)).rejects.toThrow(NotFoundError);
  });
});

test("what an engine does not do is told as such", async () => {
  await client.put("goods", [{ price: 2, quantity: 3 }], { mode: "create" });
  const column = { name: "total", column_type: "expression" as const, expression: "price * 2" };
  await expect(client.addComputedColumn("goods", column)).rejects.toThrow(UnsupportedError);
  const near = client.search("goods", "price", { vector: [1, 0] });
  await expect(near.toArray()).rejects.toThrow(UnsupportedError);
});

describe("jobs", () => {
  test("run, tell how far they are, and are looked through", async () => {
    await client.put("worked", [{ n: 1 }], { mode: "create" });
    const operation = { operation: "insert", table: "worked", data: [{ n: 2 }] };
    const { job_id } = await client.createJob({
      job_type: "batch_operation",
      parameters: { operations: [operation] },
      priority: 5,
    });
    const states: string[] = [];
    const onProgress = ({ status }: Job) => states.push(status);
    const job = await client.waitForJob(job_id, { onProgress });
    expect(job).toMatchObject({ status: "completed", progress: 100 });
    expect(states.at(-1)).toBe("completed");
    expect(await client.from("worked").toArray()).toHaveLength(2);
    expect((await client.jobLogs(job_id)).after).toBeGreaterThanOrEqual(0);
    const ids: string[] = [];
    for await (const { jobs } of client.pages("listJobs", { limit: 1 })) {
      ids.push(...jobs.map((one) => one.job_id));
    }
    expect(ids).toContain(job_id);
    await expect(client.cancelJob(job_id)).rejects.toMatchObject({ code: "job_over" });
    await expect(client.getJob("nothing")).rejects.toThrow(NotFoundError);
  });

  test("that fail can be run again", async () => {
    const operation = { operation: "insert", table: "late", data: [{ n: 1 }] };
    const parameters = { operations: [operation] };
    const { job_id } = await client.createJob({ job_type: "batch_operation", parameters });
    const failed = await client.waitForJob(job_id);
    expect(failed).toMatchObject({ status: "failed", error: { code: "table_not_found" } });
    await client.createTable({ table: "late", columns: [{ name: "n", type: "int64" }] });
    expect(await client.retryJob(job_id)).toMatchObject({ job_id, status: "pending" });
    expect(await client.waitForJob(job_id)).toMatchObject({ status: "completed", error: null });
    expect(await client.from("late").toArray()).toEqual([{ n: 1n }]);
    await expect(client.retryJob(job_id)).rejects.toMatchObject({ code: "job_over" });
  });

  test("that run are cancelled", async () => {
    await client.createView({ view: "endless", sql: "SELECT i FROM range(1000000000000) r(i)" });
    const { job_id } = await client.exportData({ table_name: "endless", format: "csv" });
    const states: string[] = [];
    const onProgress = ({ status }: Job) => {
      if (status === "running" && !states.includes(status)) void client.cancelJob(job_id);
      states.push(status);
    };
    const ended = await client.waitForJob(job_id, { onProgress, pauseMs: 50 });
    expect(states).toContain("running");
    expect(ended).toMatchObject({ status: "cancelled", completed_at: expect.any(String) });
    await expect(client.download(job_id).next()).rejects.toThrow(NotFoundError);
  });

  test("files are sent in parts, imported, exported and fetched", async () => {
    const lines = Array.from({ length: 5_000 }, (_, id) => `${id},somebody called ${id}`);
    const file = new File([`id,name\n${lines.join("\n")}\n`], "people.csv");
    const { upload_id } = await client.createUpload({ name: file.name, bytes: file.size });
    const sent: number[] = [];
    const stop = new AbortController();
    const first = client.upload(file, {
      uploadId: upload_id,
      partBytes: 50_000,
      signal: stop.signal,
      onProgress: (bytes) => {
        sent.push(bytes);
        stop.abort(new Error("enough"));
      },
    });
    await expect(first).rejects.toThrow("enough");
    expect(sent).toEqual([50_000]);
    expect(await client.describeUpload(upload_id)).toMatchObject({ offset: 50_000 });
    const onProgress = (bytes: number) => sent.push(bytes);
    await client.upload(file, { uploadId: upload_id, partBytes: 50_000, onProgress });
    expect(sent).toEqual([50_000, 100_000, file.size]);
    const { uploads } = await client.listUploads();
    expect(uploads).toMatchObject([{ upload_id, name: "people.csv", offset: file.size }]);
    const preview = await client.previewImport({ table_name: "people", upload_id });
    expect(preview.columns.map(({ name }) => name)).toEqual(["id", "name"]);
    const job = await client.importData({ table_name: "people", upload_id, format: "csv" });
    expect(await client.waitForJob(job.job_id)).toMatchObject({ status: "completed", rows: 5_000 });
    const out = await client.exportData({
      table_name: "people",
      format: "jsonl",
      where: { id: { lt: 3 } },
      order_by: [{ column: "id" }],
      columns: ["id"],
    });
    expect(await client.waitForJob(out.job_id)).toMatchObject({ status: "completed" });
    const parts: Uint8Array[] = [];
    for await (const chunk of client.download(out.job_id)) parts.push(chunk);
    const fetched = await new Blob(parts as BlobPart[]).text();
    expect(fetched).toBe('{"id":0}\n{"id":1}\n{"id":2}\n');
    const rest: Uint8Array[] = [];
    for await (const chunk of client.download(out.job_id, { offset: 9 })) rest.push(chunk);
    expect(await new Blob(rest as BlobPart[]).text()).toBe(fetched.slice(9));
    await client.dropUpload(upload_id);
    await expect(client.describeUpload(upload_id)).rejects.toThrow(NotFoundError);
  });

  test("schedules are kept and dropped", async () => {
    const operations = [{ operation: "delete", table: "worked", where: { n: 0 } }];
    const job = { job_type: "batch_operation" as const, parameters: { operations } };
    const made = await client.createSchedule({ cron: "30 3 * * *", name: "nightly", job });
    await client.changeSchedule(made.schedule_id, { active: false });
    expect(await client.describeSchedule(made.schedule_id)).toMatchObject({ active: false });
    await client.dropSchedule(made.schedule_id);
    expect((await client.listSchedules()).schedules).toEqual([]);
  });
});

test("webhooks are registered, tried, replayed, rotated and ended", async () => {
  await using receiver = await startReceiver();
  const hook = await client.registerWebhook({
    url: receiver.url,
    events: ["data.inserted"],
    retry_config: { max_retries: 1, retry_delay_seconds: 1 },
  });
  expect(hook.secret).toMatch(/^whsec_/);
  expect(await client.testWebhook(hook.id)).toMatchObject({ status: "delivered" });
  expect(receiver.received.map(({ event }) => event)).toEqual(["webhook.test"]);
  const all = [];
  for await (const page of client.pages("listDeliveries", hook.id, { limit: 1 })) {
    all.push(...page.deliveries);
  }
  expect(all).toHaveLength(1);
  await client.replayDelivery(hook.id, all[0]?.id ?? "");
  const rotated = await client.rotateWebhook(hook.id);
  expect(rotated.secret).not.toBe(hook.secret);
  await client.changeWebhook(hook.id, { active: false });
  expect(await client.describeWebhook(hook.id)).toMatchObject({ active: false });
  await client.deleteWebhook(hook.id);
  expect((await client.listWebhooks()).webhooks).toEqual([]);
});
