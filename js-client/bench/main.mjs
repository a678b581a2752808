/** Measures the built client and prints the figures: node bench/main.mjs [--quick]. */
import { cpus } from "node:os";
import { measure } from "./questions.mjs";
import { startServer } from "./server.mjs";

const FULL = { rows: 1e6, rounds: 5, batches: 200, farBytes: 40 * 2 ** 20, longBytes: 2 ** 31 };
/** Enough to see that it works; the figures mean nothing. */
const QUICK = { rows: 1e4, rounds: 1, batches: 5, farBytes: 2 ** 20, longBytes: 2 ** 24 };

const sizes = process.argv.includes("--quick") ? QUICK : FULL;
console.log(`cores ${cpus().length}, node ${process.version}, ${process.platform} ${process.arch}`);
const server = await startServer();
try {
  const rows = await measure(server, sizes);
  for (const { question, value, low, high, unit, detail, atLeast, atMost } of rows) {
    const asked = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    const isShort = atLeast === undefined ? value > atMost : value < atLeast;
    const spread = low === high ? "" : ` (${shown(low)} to ${shown(high)})`;
    const note = isShort ? "  SHORT" : "";
    console.log(`${question}: ${shown(value)} ${unit}${spread}, asked ${asked}${note}; ${detail}`);
  }
} finally {
  await server.stop();
}

function shown(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
