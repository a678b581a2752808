/** Rows into tables. */
import type { Body } from "../answers.js";
import { checkedTable, refuse } from "../checks.js";
import { commitOfJson } from "../commits.js";
import { ArgumentError, InvalidRequestError } from "../errors.js";
import type { Input } from "../inputs.js";
import { encodedParameters } from "../parameters.js";
import { type Where, whereText } from "../query/filters.js";
import { sqlOf } from "../query/template.js";
import type { InputOf, RowOf, Schemas, SetOf, TableNameOf } from "../schemas.js";
import type { Commit, IngestRequest, Parameters, PutMode } from "../transport.js";
import type { CallOptions } from "./options.js";
import { ReadCalls } from "./reads.js";

/** How rows are put. */
export interface PutOptions extends CallOptions {
  /** `append` without it. */
  readonly mode?: PutMode | undefined;
  /** The columns to match by, for `upsert` and `merge`; the table's own key without it. */
  readonly key?: string | readonly string[] | undefined;
  /** A name of yours for this put: sent again, it counts once. One is made up without it. */
  readonly token?: string | undefined;
  readonly createIfMissing?: boolean | undefined;
  /** Commit as soon as one of these is reached, in place of once at the end. Flight alone. */
  readonly commitEvery?: IngestRequest["commitEvery"];
  /** Told of each commit. */
  readonly onAck?: ((commit: Commit) => void) | undefined;
}

/** What a statement that writes did. */
export interface Executed {
  readonly kind: string;
  readonly rows: number | null;
  readonly commit: number | null;
}

/** Families of calls that write. */
export class WriteCalls<S extends object = Schemas> extends ReadCalls<S> {
  /**
   * Puts rows into a table, in one commit or none of them.
   *
   * Each put has a token, so that one whose answer was lost is tried again and counts once. What
   * can be read once only (an async iterable) is not tried again.
   */
  async put<Name extends TableNameOf<S>>(
    table: Name,
    data: Input<InputOf<RowOf<S, Name>>>,
    options: PutOptions = {},
  ): Promise<Commit> {
    const { mode = "append", key, token, createIfMissing, commitEvery, onAck, ...rest } = options;
    const { signal: _, timeoutMs: __, ...others } = rest;
    refuse("put", others);
    const request: IngestRequest = {
      table: checkedTable(table),
      mode,
      key: typeof key === "string" ? [key] : key,
      createIfMissing,
      commitEvery,
      token: token ?? crypto.randomUUID(),
    };
    // Whoever reads alone does not load this.
    const { sourceOf } = await import("../inputs.js");
    const source = sourceOf(data);
    const { credential } = this;
    const write = async (signal: AbortSignal) =>
      this.transport.write(request, await source.messages(), { signal, onAck, credential });
    const isOver = () => !source.isReplayable;
    return await this.attempted(`put into ${table}`, options, write, isOver);
  }

  /** Runs a statement that writes: INSERT, UPDATE, CREATE and the others. */
  execute(sql: string, parameters?: Parameters, options?: CallOptions): Promise<Executed>;
  /** The same of a template, whose values are parameters. */
  execute(template: TemplateStringsArray, ...values: unknown[]): Promise<Executed>;
  async execute(text: string | TemplateStringsArray, ...given: unknown[]): Promise<Executed> {
    const isText = typeof text === "string";
    const { sql, parameters } = isText ? { sql: text, parameters: given[0] } : sqlOf(text, given);
    const body = { sql, ...(await encodedParameters(parameters as Parameters)) } as Body<"query">;
    const done = (await this.query(body, isText ? (given[1] as CallOptions) : {})) as Executed;
    if (!Array.isArray(done.rows)) return done;
    throw new InvalidRequestError("This statement reads: sql() gives its rows.", {
      code: "invalid_request",
    });
  }

  /** Sets columns where a filter holds; `{ all: true }` for all rows. */
  async update<Name extends TableNameOf<S>>(
    table: Name,
    set: SetOf<RowOf<S, Name>>,
    where: Where<RowOf<S, Name>> | { readonly all: true },
    options: CallOptions = {},
  ): Promise<Commit> {
    const body = { set: set as Record<string, unknown>, ...chosen(where as Where) };
    return commitOfJson(await this.updateRows(table, body, options));
  }

  /** Deletes rows where a filter holds; `{ all: true }` for all rows. */
  async delete<Name extends TableNameOf<S>>(
    table: Name,
    where: Where<RowOf<S, Name>> | { readonly all: true },
    options: CallOptions & { readonly soft?: boolean } = {},
  ): Promise<Commit> {
    const { soft, ...rest } = options;
    return commitOfJson(await this.deleteRows(table, { ...chosen(where as Where), soft }, rest));
  }
}

function chosen(where: Where | { readonly all: true }): { where?: string | undefined; all?: true } {
  if (where === undefined || Object.keys(where).length === 0) {
    throw new ArgumentError("Say which rows: a filter, or { all: true }.");
  }
  const isAll = typeof where === "object" && "all" in where && where.all === true;
  return isAll ? { all: true } : { where: whereText(where as Where) };
}
