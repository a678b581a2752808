/** Families of calls, each against a real server. */
import { Field, Int64, Schema, Utf8 } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Client,
  col,
  createClient,
  ForbiddenError,
  type Job,
  NotFoundError,
  schemaIpc,
  UnauthenticatedError,
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

describe("rows", () => {
  test("come and go by the bodies that earlier users know", async () => {
    await client.createTable({
      table: "products",
      columns: [
        { name: "id", type: "int64", nullable: false },
        { name: "price", type: "decimal128(10, 2)" },
      ],
      key: ["id"],
    });
    const told = await client.insertRows(
      "products",
      [
        { id: 1, price: "1.50" },
        { id: 2n ** 60n, price: 2 },
        { id: "no", price: 3 },
      ],
      { on_error: "skip" },
    );
    expect(told).toMatchObject({ rows: 2, errors: [{ row: 3, column: "id" }] });
    await client.updateRows("products", { where: { id: 1 }, set: { price: col("price").plus(1) } });
    expect(await client.readRowOfKey("products", 1)).toEqual({ id: 1n, price: "2.50" });
    expect((await client.readRowOfKey("products", 2n ** 60n)).id).toBe(2n ** 60n);
    const batch = {
      operations: [
        { operation: "insert" as const, table: "products", data: [{ id: 3, price: 12.99 }] },
        { operation: "update" as const, table: "products", where: { id: 3 }, set: { price: 9 } },
      ],
      transaction: true,
    };
    const done = await client.executeBatchOperations(batch);
    expect(done).toMatchObject({ total_operations: 2, successful: 2, failed: 0 });
    const answer = await client.query({
      sql: "SELECT count(*) AS n FROM products WHERE id > $1",
      parameters: [1],
    });
    expect(answer).toMatchObject({ rows: [{ n: 2 }] });
    const count = await client.deleteRows("products", { where: { id: { gt: 3 } } });
    expect(count).toMatchObject({ rows: 1, rows_deleted: 1 });
  });

  test("keep what JSON has no numbers for", async () => {
    const columns = [
      { name: "n", type: "double" },
      { name: "at", type: "timestamp[us, UTC]" },
      { name: "bytes", type: "binary" },
    ];
    await client.createTable({ table: "odd", columns });
    const row = { n: Number.NaN, at: new Date("2026-01-31T12:00:00.250Z") };
    const rows = [{ ...row, bytes: Buffer.from([0, 255]) }, { n: Number.NEGATIVE_INFINITY }];
    await client.insertRows("odd", rows);
    expect(await client.from("odd").orderBy("n").toArray()).toEqual([
      { n: Number.NEGATIVE_INFINITY, at: null, bytes: null },
      { ...row, bytes: new Uint8Array([0, 255]) },
    ]);
  });

  test("are changed one by one, unless somebody came first", async () => {
    await client.put("single", [{ n: 1 }, { n: 2 }], { mode: "create" });
    const [row] = await client.from("single").where({ n: 1 }).withRowId().toArray();
    const id = row?._row_id as bigint;
    const { commit } = await client.updateRow("single", id, { n: 5 });
    expect(await client.readRow("single", id)).toEqual({ n: 5n });
    await client.replaceRow("single", id, { n: 6 }, { ifVersion: commit });
    await expect(
      client.updateRow("single", id, { n: 7 }, { ifVersion: commit }),
    ).rejects.toMatchObject({ code: "version_changed" });
    await client.deleteRow("single", id, { soft: true });
    await expect(client.readRow("single", id)).rejects.toThrow(NotFoundError);
    expect((await client.listDeletions("single")).deletions).toHaveLength(1);
    expect(await client.undeleteRows("single")).toMatchObject({ rows_inserted: 1 });
    expect(await client.from("single").orderBy("n").toArray()).toEqual([{ n: 2n }, { n: 6n }]);
  });

  test("are read page by page, of one moment", async () => {
    await client.put(
      "paged",
      Array.from({ length: 5 }, (_, n) => ({ n })),
      { mode: "create" },
    );
    const sizes: number[] = [];
    for await (const page of client.pages("readRows", "paged", { limit: 2, order_by: "n" })) {
      sizes.push(page.rows.length);
      if (sizes.length === 1) await client.put("paged", [{ n: 9 }]);
    }
    expect(sizes).toEqual([2, 2, 1]);
  });

  test("stream as lines and as bytes", async () => {
    await client.put(
      "lines",
      Array.from({ length: 2500 }, (_, n) => ({ n, t: "ü" })),
      {
        mode: "create",
      },
    );
    let sum = 0;
    const body = { chunk_size: 1000, compression: "gzip" as const, where: { n: { lt: 2000 } } };
    for await (const row of client.streamData<{ n: number; t: string }>("lines", body)) {
      sum += row.n;
      expect(row.t).toBe("ü");
    }
    expect(sum).toBe((1999 * 2000) / 2);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of client.streamBytes("lines", { format: "csv", limit: 2 })) {
      text += decoder.decode(chunk, { stream: true });
    }
    expect(text).toBe('"n","t"\n0,"ü"\n1,"ü"\n');
    await expect(client.streamData("lines", { format: "csv" } as never).next()).rejects.toThrow(
      "streamBytes()",
    );
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
    const snapshot = await client.createSnapshot({ name: "may", namespace: "shop" });
    expect((await client.listSnapshots()).snapshots.map(({ name }) => name)).toContain(
      snapshot.name,
    );
    await client.dropSnapshot(snapshot.name);
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
    const onProgress = (bytes: number) => sent.push(bytes);
    await client.upload(file, { uploadId: upload_id, partBytes: 50_000, onProgress });
    expect(sent).toEqual([50_000, 100_000, file.size]);
    const preview = await client.previewImport({ table_name: "people", upload_id });
    expect(preview.columns.map(({ name }) => name)).toEqual(["id", "name"]);
    const job = await client.importData({ table_name: "people", upload_id, format: "csv" });
    expect(await client.waitForJob(job.job_id)).toMatchObject({
      status: "completed",
      rows: 5_000,
    });
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

describe("administration", () => {
  test("keys open what their roles allow, until they are revoked", async () => {
    await client.createRole({ name: "clerk", description: "Reads." });
    await client.put("desk", [{ n: 1 }], { mode: "create" });
    const grant = await client.createGrant({ role: "clerk", table: "desk", actions: ["read"] });
    const made = await client.createKey({ name: "etl", roles: ["clerk"] });
    await using clerk = createClient({ url: server.url, key: made.key, retry: false });
    expect(await clerk.whoami()).toMatchObject({ name: "etl", roles: ["clerk"] });
    expect(await clerk.from("desk").toArray()).toEqual([{ n: 1n }]);
    await expect(clerk.put("desk", [{ n: 2 }])).rejects.toThrow(ForbiddenError);
    const { permissions } = await clerk.listPermissions({ table: "desk" });
    expect(permissions.read?.allowed).toBe(true);
    const rotated = await client.rotateKey(made.id);
    expect(rotated.key).not.toBe(made.key);
    expect((await client.listKeys()).api_keys.map(({ name }) => name)).toContain("etl");
    await client.revokeKey(made.id);
    await expect(clerk.whoami()).rejects.toThrow(UnauthenticatedError);
    await client.dropGrant(grant.id);
    await client.dropRole("clerk");
  });

  test("users log in, workspaces come and go, what was done is on record", async () => {
    await client.createRole({ name: "guest" });
    const password = "correct horse battery staple";
    await client.createUser({ name: "ada", password, roles: ["guest"] });
    const anonymous = createClient({ url: server.url });
    const tokens = await anonymous.takeToken({ grant_type: "password", username: "ada", password });
    const ada = createClient({ url: server.url, token: tokens.access_token });
    expect(await ada.whoami()).toMatchObject({ name: "ada" });
    await client.changeUser("ada", { disabled: true });
    await client.deleteUser("ada");
    await client.createWorkspace({ name: "sales" });
    await client.changeWorkspace("sales", { description: "Those who sell.", namespaces: [] });
    expect((await client.listWorkspaces()).workspaces.map(({ name }) => name)).toContain("sales");
    await client.dropWorkspace("sales");
    const entries = [];
    for await (const page of client.pages("listAuditEntries", {
      action: "create_user",
      limit: 1,
    })) {
      entries.push(...page.entries);
    }
    expect(entries.map(({ resource }) => resource)).toEqual(["user:ada"]);
    expect((await client.listUsage()).usage).toBeInstanceOf(Array);
    await expect(client.listProviders()).rejects.toThrow("There is no catalog 'pixeltable'.");
    expect(await client.healthLive()).toEqual({ status: "live" });
    expect(await client.healthReady()).toMatchObject({ status: "ready" });
    expect(await client.metrics()).toContain("# TYPE");
  });
});
