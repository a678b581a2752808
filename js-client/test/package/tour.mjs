// What the built package has to do in every runtime.

/**
 * Writes, reads and fails as it should, and reads compressed streams; gives what came of it, as
 * JSON can hold it.
 *
 * `load` loads an entry of the package; without those for compressed streams there is an error.
 */
export async function tour(pixelflight, arrow, load, given) {
  const { url, key, table, compressed, transport } = given;
  const client = pixelflight.createClient({ url, key, transport });
  const people = arrow.tableFromArrays({ id: [1, 2, 3], name: ["Ann", "Bob", "Eve"] });
  const told = {};
  const { rows } = await client.put(table, people, { mode: "create", token: table });
  const { duplicate } = await client.put(table, people, { mode: "create", token: table });
  told.put = { rows, duplicate };
  told.names = [];
  for await (const { name } of client.get(table, { orderBy: "id desc" }).rows()) {
    told.names.push(name);
  }
  const [first] = await client.sql`SELECT ${"O'Hara"} AS name, ${2n ** 62n} AS n`.toArray();
  told.first = { name: first.name, n: String(first.n) };
  told.left = await leave(client.sql("SELECT i FROM range(3000000) r(i)"));
  told.foreign = (await client.get(table).table()) instanceof arrow.Table;
  told.errors = [
    await failed(client.get(`${table}_that_is_not_there`).table()),
    await failed(pixelflight.createClient({ url, key: "wrong" }).get(table).table()),
    await failed(client.put(table, [])),
    await failed(decoded(pixelflight, compressed.zstd)),
    await failed(slowly(client.sql(BROKEN))),
  ];
  await Promise.all([load("zstd"), load("lz4")]);
  told.zstd = await decoded(pixelflight, compressed.zstd);
  told.lz4 = await decoded(pixelflight, compressed.lz4);
  const { createClient: createFullClient } = await load("full");
  told.jobs = (await createFullClient({ url, key }).listJobs()).jobs.length;
  await client.close();
  return told;
}

/** Its last rows cannot be cast, long after its first ones are on their way, which hardly compress. */
const BROKEN = `
  SELECT CAST(CASE WHEN i < 300000 THEN hash(i)::VARCHAR ELSE 'x' END AS UBIGINT) AS n
  FROM range(400000) r(i)`;

/** Reads so that the server has told all before the second batch is asked for. */
async function slowly(result) {
  for await (const _ of result) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Leaves the stream after its first batch: whether there was more to come. */
async function leave(result) {
  for await (const batch of result) return batch.numRows > 0 && batch.numRows < 3_000_000;
  return false;
}

async function failed(promise) {
  try {
    return await promise;
  } catch (error) {
    return `${error.name}: ${error.code}`;
  }
}

/** The sum of the first column of a stream in base64. */
async function decoded({ Framer, Decoder }, base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const decoder = new Decoder();
  let sum = 0;
  for (const message of new Framer().push(bytes)) {
    for (const value of decoder.decode(message)?.getChildAt(0) ?? []) sum += Number(value);
  }
  return sum;
}
