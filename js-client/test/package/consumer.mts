// A program in TypeScript, which is compiled and not run.
import type { RecordBatch } from "apache-arrow";
import { type Client, createClient, NotFoundError } from "pixelflight";
import { flight } from "pixelflight/flight";
import { createClient as createFullClient } from "pixelflight/full";

interface Tables {
  planes: { tail: string; seats: number };
}

const client: Client<Tables> = createClient<Tables>({
  url: "http://127.0.0.1:8816",
  transport: flight({ url: "grpc://127.0.0.1:8815" }),
});

export async function seats(): Promise<number> {
  let sum = 0;
  for await (const row of client.get("planes").rows()) sum += row.seats;
  // @ts-expect-error: the mode is none of put's.
  await client.put("planes", [], { mode: "sideways" });
  return sum;
}

export async function jobs(): Promise<number> {
  const full = createFullClient({ url: "http://127.0.0.1:8816" });
  return (await full.listJobs()).jobs.length;
}

export async function batches(): Promise<RecordBatch[]> {
  const all: RecordBatch[] = [];
  try {
    for await (const batch of client.sql`SELECT ${1} AS n`) all.push(batch);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
  return all;
}
