/** Reads so many bytes and tells how its memory grew: node long_read.mjs URL FLIGHT KEY WAY BYTES. */

import { flight } from "../dist/flight.js";
import { createClient } from "../dist/index.js";

const [url, grpc, key, way, wanted] = process.argv.slice(2);
const transport = way === "Flight" ? flight({ url: grpc }) : undefined;
const client = createClient({ url, key, transport });
const rows = Math.ceil(Number(wanted) / 16);
let bytes = 0;
let settled = 0;
let peak = 0;
for await (const batch of client.sql(`SELECT i, i * 0.5 AS half FROM range(${rows}) r(i)`)) {
  bytes += batch.data.byteLength;
  peak = Math.max(peak, process.memoryUsage.rss());
  if (bytes < Number(wanted) / 10) settled = peak;
}
await client.close();
console.log(JSON.stringify({ bytes, growth: Math.max(0, peak - settled) }));
