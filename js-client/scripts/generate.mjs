// Writes src/generated/ from what the server documents: its types and its error codes.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const docs = new URL("../../docs/", import.meta.url);
const generated = new URL("../src/generated/", import.meta.url);

/** The rows of the table of errors: code, HTTP status, whether to try again, meaning. */
function codes(markdown) {
  const [, table] = markdown.match(/<!-- generated: errors -->\n([\s\S]*?)<!-- end -->/);
  const rows = table
    .trim()
    .split("\n")
    .slice(2)
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const members = rows.map(([, code, http, grpc, retry, meaning]) => {
    const name = code.replaceAll("`", "");
    const fields = `http: ${http}, grpc: ${grpc.split(" ")[0]}, retryable: ${retry === "yes"}`;
    return `  /** ${meaning} */\n  ${name}: { ${fields} },`;
  });
  return [
    "/** Every code of the server's errors, with what it is on each protocol. Generated. */",
    "export const CODES = {",
    ...members,
    "} as const;",
    "",
    "/** A code of the server's errors. */",
    "export type ErrorCode = keyof typeof CODES;",
    "",
  ].join("\n");
}

await mkdir(generated, { recursive: true });
const errors = await readFile(new URL("errors.md", docs), "utf8");
await writeFile(new URL("codes.ts", generated), codes(errors));
const types = await openapiTS(new URL("openapi.json", docs));
await writeFile(new URL("openapi.ts", generated), `/* Generated. */\n${astToString(types)}`);
