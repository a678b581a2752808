// Opens a page in a real browser, calls one of its functions, prints what came of it as JSON.
// node drive.mjs CHROMIUM PAGE FUNCTION [ARGUMENT…]
import { chromium } from "playwright-core";

const [executablePath, page, name, ...given] = process.argv.slice(2);
const quiet = ["quic", "background-networking", "component-update", "sync", "gpu"];
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--no-first-run", ...quiet.map((what) => `--disable-${what}`)],
});
try {
  const tab = await browser.newPage();
  const complaints = [];
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(String(error)));
  tab.on("requestfailed", (request) => {
    // A reader of Arrow that has seen the end of the stream lets go of the rest of the answer.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}: ${why}`);
  });
  const hosts = new Set();
  tab.on("request", (request) => hosts.add(new URL(request.url()).host));
  await tab.goto(page);
  const answer = await tab.evaluate(
    async ([name, given]) => {
      try {
        const value = await window[name](...given);
        return { value: value instanceof Response ? value.status : value };
      } catch (error) {
        return { error: String(error) };
      }
    },
    [name, given],
  );
  await tab.waitForLoadState("networkidle");
  const text = await tab.evaluate(() => document.body.innerText);
  const title = await tab.title();
  console.log(JSON.stringify({ ...answer, complaints, title, text, hosts: [...hosts] }));
} finally {
  await browser.close();
}
