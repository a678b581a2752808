/** The command `pixelflight-typegen`. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { ArgumentError, PixelflightError } from "../errors.js";
import { type Client, createClient } from "../full.js";
import { declarations, type TableToDeclare } from "./declarations.js";

/** Where `make serve` answers. */
const HERE = "http://127.0.0.1:8816";
const HELP = `Writes the tables of a Pixelflight server as types of TypeScript.

  npx pixelflight-typegen [options] [tables…] > tables.ts

Without tables it writes all that the key may read.

  --url URL           where HTTP answers: PIXELFLIGHT_HTTP_URL without it, or ${HERE}
  --key KEY           an API key; PIXELFLIGHT_KEY without it
  -o, --output FILE   writes into a file, in place of standard output
  -h, --help          says this
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
    const url = values.url ?? (environment.PIXELFLIGHT_HTTP_URL || HERE);
    const key = values.key ?? environment.PIXELFLIGHT_KEY;
    await using client = createClient({ url, key: key || undefined });
    const written = declarations(await described(client, positionals));
    if (values.output === undefined) return { exitCode: 0, stdout: written, stderr: "" };
    await mkdir(dirname(values.output), { recursive: true });
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
      // As the package's only command it answers to `npx pixelflight typegen` as well.
      args: args.slice(args[0] === "typegen" ? 1 : 0),
      allowPositionals: true,
      options: {
        url: text,
        key: text,
        output: { ...text, short: "o" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (cause) {
    // Behind its first sentence Node tells how to give a name that begins with a dash.
    const [why] = (cause instanceof Error ? cause.message : String(cause)).split(". ");
    throw new ArgumentError(`${why?.replace(/\.$/, "")}. See --help.`, { cause });
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
