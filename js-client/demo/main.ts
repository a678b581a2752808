/** The page of the server's /demo: rows of a statement, plotted while they arrive. */
import { createClient, PixelflightError, type Progress, type Result } from "pixelflight";
import { Plot } from "./plot.js";

// A galaxy, from its middle outwards, so that its rows show how far the stream has come.
const STATEMENT = `SELECT distance * cos(angle) AS x, distance * sin(angle) AS y
FROM (
  SELECT sqrt(i / $rows) + (random() - 0.5) * 0.05 AS distance,
         (i % 3) * 2.0944 + 6 * sqrt(i / $rows) + (random() + random() - 1) * 0.9 AS angle
  FROM range($rows) t(i)
)`;
const REACH = 1.1;
const MEGABYTE = 1e6;
const SECOND_MS = 1000;

/** The element of the page with this id. */
function element<E extends HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no ${id}.`);
  return found as E;
}

const key = element<HTMLInputElement>("key");
const wanted = element<HTMLSelectElement>("wanted");
const start = element<HTMLButtonElement>("start");
const stop = element<HTMLButtonElement>("stop");
const progress = element<HTMLProgressElement>("progress");
const plot = new Plot(element<HTMLCanvasElement>("plot"), REACH);
let current: AbortController | undefined;

takeKey();
element("statement").textContent = STATEMENT;
element("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});
stop.addEventListener("click", () => current?.abort());

/** The key that the URL brought, which is not left standing there. */
function takeKey(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given === null) return;
  key.value = given;
  history.replaceState(null, "", location.pathname);
}

async function run(): Promise<void> {
  const rows = Number(wanted.value);
  const controller = new AbortController();
  current = controller;
  plot.clear();
  tell(0, 0, 0, rows);
  say("Asking …");
  enable(false);
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / SECOND_MS;
  const client = createClient({ url: location.origin, key: key.value });
  try {
    const result = client.sql(
      STATEMENT,
      { rows },
      {
        signal: controller.signal,
        onProgress: (so: Progress) => tell(so.rows, so.bytes, seconds(), rows),
      },
    );
    const count = await plotted(result);
    say(`All ${count.toLocaleString("en")} rows have come.`);
  } catch (error) {
    if (controller.signal.aborted) say("Stopped: the server was told, and sends no more.");
    else say(sentence(error), true);
  } finally {
    await client.close();
    enable(true);
  }
}

/** Plots each batch as it comes; gives how many rows there were. */
async function plotted(result: Result): Promise<number> {
  let count = 0;
  for await (const batch of result) {
    const [x, y] = [batch.getChild("x"), batch.getChild("y")];
    plot.add(x?.toArray() as Float64Array, y?.toArray() as Float64Array);
    count += batch.numRows;
    say("Rows are arriving …");
  }
  return count;
}

function tell(rows: number, bytes: number, seconds: number, wantedRows: number): void {
  progress.value = rows / wantedRows;
  element("rows").textContent = rows.toLocaleString("en");
  element("rate").textContent = Math.round(rows / (seconds || 1)).toLocaleString("en");
  element("megabytes").textContent = (bytes / MEGABYTE).toFixed(1);
  element("seconds").textContent = seconds.toFixed(2);
}

function say(text: string, isFailure = false): void {
  const state = element("state");
  state.textContent = text;
  state.classList.toggle("failed", isFailure);
}

function enable(isIdle: boolean): void {
  start.disabled = !isIdle;
  stop.disabled = isIdle;
}

function sentence(error: unknown): string {
  if (error instanceof PixelflightError) return error.message;
  return `The page failed: ${error instanceof Error ? error.message : error}.`;
}
