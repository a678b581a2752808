/** The command `pixelflight-typegen`. */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ArgumentError, PixelflightError } from "../errors.js";
import { type Client, createClient } from "../full.js";
import { declarations, type TableToDeclare } from "./declarations.js";

const HELP = `Writes the tables of a Pixelflight server as types of TypeScript.

  npx pixelflight-typegen [options] [tables…] > tables.ts

Without tables it writes all that the key may read.

  --url URL       where HTTP answers; PIXELFLIGHT_URL without it
  --key KEY       an API key; PIXELFLIGHT_KEY without it
  --output FILE   writes into a file, in place of standard output
  --help          says this
`;

/** What a run of the command leaves behind. */
export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs the command. What goes wrong is told in a sentence; the exit code is 1 then, 2 for usage. */
export async function typegen(args: readonly string[], environment: Environment): Promise<Ran> {
  try {
    const { values, positionals } = parsed(args);
    if (values.help) return { exitCode: 0, stdout: HELP, stderr: "" };
    const url = values.url ?? environment.PIXELFLIGHT_URL;
    const key = values.key ?? environment.PIXELFLIGHT_KEY;
    if (!url) throw new ArgumentError("Say where the server is: --url, or PIXELFLIGHT_URL.");
    await using client = createClient({ url, key: key || undefined });
    const written = declarations(await described(client, positionals));
    if (values.output === undefined) return { exitCode: 0, stdout: written, stderr: "" };
    await writeFile(values.output, written);
    return { exitCode: 0, stdout: "", stderr: "" };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const exitCode = error instanceof ArgumentError ? 2 : 1;
    return { exitCode, stdout: "", stderr: `pixelflight-typegen: ${told(error)}\n` };
  }
}

function parsed(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { url: text, key: text, output: text, help: { type: "boolean", short: "h" } },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ArgumentError(`${why}. See --help.`, { cause });
  }
}

async function described(client: Client, wanted: readonly string[]): Promise<TableToDeclare[]> {
  const names = [...wanted];
  if (names.length === 0) {
    for await (const { tables } of client.pages("listTables")) {
      names.push(...tables.map(({ table }) => table));
    }
  }
  const all: TableToDeclare[] = [];
  for (const table of names.sort()) {
    const about = await client.describeTable(table);
    // The schema is that of a read: it has the columns that the key may read, as they are read.
    const { schema } = await client.get(table, { limit: 0 }).table();
    const columns = "columns" in about ? (about.columns as readonly Column[]) : [];
    const comments = Object.fromEntries(columns.map(({ name, comment }) => [name, comment]));
    const comment = "comment" in about ? String(about.comment) : undefined;
    all.push({ table, schema, comment, comments });
  }
  return all;
}

interface Column {
  readonly name: string;
  readonly comment: string;
}

function told(error: Error): string {
  if (error instanceof PixelflightError && error.code === "unauthenticated") {
    return `${error.message} Give an API key by --key or PIXELFLIGHT_KEY.`;
  }
  return error.message;
}
