// Writes src/generated/ from what the server documents: its types, its routes and its error codes.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
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
  const members = rows.map(
    ([, code, http, , , meaning]) => `  /** ${meaning} */\n  ${code.replaceAll("`", "")}: ${http},`,
  );
  const retryable = rows.filter(([, , , , retry]) => retry === "yes").map(([, code]) => code);
  return [
    "/** Every code of the server's errors, with its status over HTTP. Generated. */",
    "export const CODES = {",
    ...members,
    "} as const;",
    "",
    "/** Those of requests that may succeed if they are sent again unchanged. */",
    `export const RETRYABLE: readonly string[] = [${retryable.map((one) => one.replaceAll("`", '"')).join(", ")}];`,
    "",
    "/** A code of the server's errors. */",
    "export type ErrorCode = keyof typeof CODES;",
    "",
  ].join("\n");
}

/** Operations that have methods of their own, written by hand. */
const BY_HAND = new Set([
  "changes",
  "diff",
  "download_result",
  "metrics",
  "read_row",
  "read_row_of_key",
  "search_rows",
  "stream_rows",
  "write_part",
]);
/** Methods whose names say more than their operations' own, and those that have several. */
const NAMES = {
  add_computed_column: ["addComputedColumn", "createComputedColumn"],
  batch_operations: ["batch", "executeBatchOperations"],
  create_webhook: ["createWebhook", "registerWebhook"],
  describe_job: ["getJob"],
  export_rows: ["exportData"],
  list_entries: ["listAuditEntries"],
  live: ["healthLive"],
  my_permissions: ["listPermissions"],
  ready: ["healthReady"],
  submit_job: ["createJob"],
  try_webhook: ["testWebhook"],
  undrop: ["undropTable"],
  who_am_i: ["whoami"],
};
/** What has to be known beside what the server tells. */
const NOTES = {
  query: "Whole numbers beyond 2⁵³ lose digits in JSON: `sql` reads them, and is faster.",
  read_rows: "Whole numbers beyond 2⁵³ lose digits in JSON: `get` reads them, and is faster.",
};
/** Those that every client has; the others are in `pixelflight/full`, so that pages stay small. */
const CORE = new Set([
  "add_computed_column",
  "batch_operations",
  "change_table",
  "create_namespace",
  "create_table",
  "create_tag",
  "create_view",
  "create_webhook",
  "delete_rows",
  "describe_job",
  "describe_table",
  "drop_namespace",
  "drop_table",
  "drop_tag",
  "drop_view",
  "export_rows",
  "import_data",
  "insert_rows",
  "list_namespaces",
  "list_tables",
  "list_tags",
  "list_versions",
  "list_views",
  "query",
  "refresh_view",
  "restore",
  "submit_job",
  "undrop",
  "update_rows",
  "who_am_i",
]);
/** Of those that take a query as well, the body says it all. */
const BODY_ALONE = new Set(["delete_rows"]);
const VERBS = { get: "G", post: "P", put: "U", patch: "A", delete: "D" };
const QUERY = 1;
const BODY = 2;
const ONCE = 4;

/** A method for each operation: a line for each path, and an interface with what they take. */
function calls({ paths }) {
  const core = family(paths, (id) => CORE.has(id));
  const more = family(paths, (id) => !CORE.has(id) && !BY_HAND.has(id));
  return [
    "/* Generated. */",
    'import type { Answer, Body, PathValue, Query, RowCallOptions } from "../answers.js";',
    'import type { CallOptions } from "../client/options.js";',
    "",
    "/** A line for each path: the path, and its methods, each with a letter for HTTP's verb and a",
    ` * number that says what it takes (${QUERY} a query, ${BODY} a body) and that it is not tried again (${ONCE}). */`,
    `export const CORE_PATHS = \`${core.lines.join("\n")}\`;`,
    "",
    "/** Those of `pixelflight/full`. */",
    `export const MORE_PATHS = \`${more.lines.join("\n")}\`;`,
    "",
    "/** Operations that every client has. Answers are JSON, in the server's own names. */",
    `export interface CoreCalls {\n${core.methods.join("\n")}\n}`,
    "",
    "/** Operations that the clients of `pixelflight/full` have as well. */",
    `export interface MoreCalls {\n${more.methods.join("\n")}\n}`,
    "",
  ].join("\n");
}

function family(paths, isOfIt) {
  const lines = [];
  const methods = [];
  for (const [path, operations] of Object.entries(paths)) {
    const own = Object.entries(operations).filter(([, { operationId }]) => isOfIt(operationId));
    const words = own.flatMap(([verb, operation]) => {
      const names = NAMES[operation.operationId] ?? [camel(operation.operationId)];
      const flags = flagsOf(verb, operation);
      const route = `${verb.toUpperCase()} ${path}`;
      methods.push(...names.map((name) => method(name, route, operation, flags)));
      return names.map((name) => `${VERBS[verb]}${flags}${name}`);
    });
    const short = path.replace(/^\/api\/v1/, "").replace(/^\/(health|metrics)/, "//$1");
    if (words.length > 0) lines.push([short.replaceAll(/\{\w+\}/g, "{}"), ...words].join(" "));
  }
  return { lines, methods };
}

function flagsOf(verb, operation) {
  const parameters = operation.parameters ?? [];
  const hasQuery = parameters.some((one) => one.in === "query");
  const isAlone = BODY_ALONE.has(operation.operationId);
  // What the server does not know again by a key is not sent twice.
  const isKnown = verb !== "post" || parameters.some(({ name }) => name === "idempotency-key");
  const body = operation.requestBody ? BODY : 0;
  return (hasQuery && !isAlone ? QUERY : 0) + body + (isKnown ? 0 : ONCE);
}

function method(name, route, operation, flags) {
  const { operationId: id, parameters = [], requestBody, description, summary } = operation;
  const isRequired = requestBody?.required || BODY_ALONE.has(id);
  const inPath = [...route.matchAll(/\{(\w+)\}/g)].map(([, one]) => one);
  const needsQuery = parameters.some((one) => one.in === "query" && one.required);
  const hasVersion = parameters.some((one) => one.name === "if-match");
  const given = [
    ...inPath.map(
      (one) =>
        `${camel(one)}: ${one === "values" ? "PathValue | readonly PathValue[]" : "PathValue"}`,
    ),
    ...(flags & BODY ? [`body${isRequired ? "" : "?"}: Body<"${id}">`] : []),
    ...(flags & QUERY ? [`query${needsQuery ? "" : "?"}: Query<"${id}">`] : []),
    `options?: ${hasVersion ? "RowCallOptions" : "CallOptions"}`,
  ];
  const [first] = (description ?? `${summary}.`).split("\n\n");
  const told = first.replaceAll(/\s+/g, " ").replaceAll("*/", "");
  return [
    "  /**",
    `   * ${told}`,
    ...(NOTES[id] ? ["   *", `   * ${NOTES[id]}`] : []),
    "   *",
    `   * \`${route}\``,
    "   */",
    `  ${name}(${given.join(", ")}): Promise<Answer<"${id}">>;`,
  ].join("\n");
}

function camel(name) {
  return name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

/** A file that is there as a whole or not at all: checks and a build may run at once. */
async function written(name, text) {
  const file = new URL(name, generated);
  const unfinished = new URL(`${name}.${process.pid}`, generated);
  await writeFile(unfinished, text);
  await rename(unfinished, file);
}

await mkdir(generated, { recursive: true });
const errors = await readFile(new URL("errors.md", docs), "utf8");
await written("codes.ts", codes(errors));
const described = new URL("openapi.json", docs);
const types = await openapiTS(described, { defaultNonNullable: false });
// typedoc knows neither of these tags.
const told = astToString(types)
  .replaceAll("@description ", "")
  .replaceAll(/ *\/\*\* @constant \*\/\n/g, "");
await written("openapi.ts", `/* Generated. */\n${told}`);
await written("calls.ts", calls(JSON.parse(await readFile(described, "utf8"))));
