/** The page of the server's /demo, looked at in Chromium. */
import { execFileSync } from "node:child_process";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";

// Slow enough for the page to be looked at in the middle: 16 MB take some three seconds.
const BYTES_PER_SECOND = 5_000_000;

const server = inject("server");
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  page = await browser.newPage();
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${server.url}/demo#key=${server.key}`);
}, 60_000);
afterAll(() => browser?.close());

test("a million rows are plotted while they arrive", async () => {
  expect(page.url()).not.toContain(server.key);
  await throttle();
  const empty = await lit();
  await page.click("#start");
  await expect.poll(progress, { interval: 20, timeout: 20_000 }).toBeGreaterThan(0.3);
  const middle = await lit();
  const said = await state();
  await page.locator("#start:enabled").waitFor();
  const full = await lit();

  expect(said).toBe("Rows are arriving …");
  expect(await state()).toBe("All 1,000,000 rows have come.");
  expect(await page.textContent("#rows")).toBe("1,000,000");
  expect(Number(await page.textContent("#megabytes"))).toBeGreaterThan(15);
  expect(complaints).toEqual([]);
  expect(empty).toBe(0);
  expect(middle).toBeGreaterThan(5_000);
  expect(full).toBeGreaterThan(1.3 * middle);
});

test("the stop button ends the stream", async () => {
  await page.click("#start");
  await expect.poll(progress, { interval: 20, timeout: 20_000 }).toBeGreaterThan(0.1);
  await page.click("#stop");
  await page.locator("#start:enabled").waitFor();
  expect(await state()).toContain("Stopped");
  expect(Number((await page.textContent("#rows"))?.replaceAll(",", ""))).toBeLessThan(1_000_000);
});

test("a narrow screen shows all of it, without a bar to scroll aside", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const [width, shown] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];
  });
  expect(width).toBe(shown);
  expect(await page.textContent("#about")).toContain("admin.key");
});

test("what goes wrong is told in a sentence", async () => {
  await page.fill("#key", "pf_wrong");
  await page.click("#start");
  await page.waitForSelector("#state.failed");
  expect(await state()).toMatch(/^[A-Z].*key.*\.$/);
});

/** Holds the network to what a slow one carries. */
async function throttle(): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const downloadThroughput = BYTES_PER_SECOND;
  const conditions = { offline: false, latency: 0, downloadThroughput, uploadThroughput: -1 };
  await devtools.send("Network.emulateNetworkConditions", conditions);
}

/** What part of the rows has come. */
async function progress(): Promise<number> {
  return await page.locator("progress").evaluate((bar) => (bar as HTMLProgressElement).value);
}

async function state(): Promise<string> {
  return (await page.textContent("#state")) ?? "";
}

/** How many pixels of the plot are bright, by a screenshot of it. */
async function lit(): Promise<number> {
  const png = (await page.locator("canvas").screenshot()).toString("base64");
  return await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let bright = 0;
    for (let at = 0; at < data.length; at += 4) if ((data[at + 2] as number) > 100) bright++;
    return bright;
  }, png);
}
