/** Rows out of tables and statements. */

import {
  check,
  checkedColumns,
  checkedCount,
  checkedTable,
  checkedVersion,
  refuse,
} from "../checks.js";
import { headerOf } from "../ipc/header.js";
import type { IpcMessage } from "../ipc/message.js";
import { type OrderBy, orderText, type Where, whereText } from "../query/filters.js";
import { isMoment } from "../query/literals.js";
import { sqlOf } from "../query/template.js";
import { type Progress, Result } from "../result.js";
import { type Conversions, chosen, type Row } from "../rows.js";
import type { ColumnOf, RowOf, Schemas, Selected, TableNameOf, Told } from "../schemas.js";
import type { CallSettings, Parameters, ReadRequest, ScanRequest } from "../transport.js";
import { OperationCalls } from "./operations.js";
import type { CallOptions } from "./options.js";

/** Opens a stream for a result. */
type Opening = (settings: CallSettings) => AsyncGenerator<IpcMessage, void>;

/** What any read takes. */
export interface ReadOptions extends CallOptions {
  /** Told after each batch how far the read has come. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** In place of the client's. */
  readonly conversions?: Partial<Conversions> | undefined;
}

/** Which rows of a table are wanted. */
export interface GetOptions<T = Row, Column extends string = string, WithRowId = boolean>
  extends ReadOptions {
  readonly columns?: readonly Column[] | undefined;
  /** A predicate of SQL, or an object: `{ price: { gt: 10 } }`. */
  readonly filter?: Where<T> | undefined;
  /** As in SQL, or a list: `[{ column: "price", direction: "desc" }]`. */
  readonly orderBy?: OrderBy<ColumnOf<T>> | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  /** A snapshot's number or a tag's name. */
  readonly version?: number | string | undefined;
  /** A moment: a `Date`, or RFC 3339. */
  readonly asOf?: Date | string | undefined;
  /** Adds the column `_row_id`. */
  readonly withRowId?: WithRowId | undefined;
}

/** How a statement is read. */
export interface SqlOptions extends ReadOptions {
  /** The snapshot at which all tables are read. */
  readonly version?: number | undefined;
  readonly asOf?: Date | string | undefined;
}

/** Families of calls that read. */
export class ReadCalls<S extends object = Schemas> extends OperationCalls {
  /** Rows of a table, or of a view. Nothing is asked before the result is read. */
  get<
    Name extends TableNameOf<S>,
    Column extends ColumnOf<RowOf<S, Name>> = ColumnOf<RowOf<S, Name>>,
    WithRowId extends boolean = false,
  >(
    table: Name,
    options?: GetOptions<RowOf<S, Name>, Column, WithRowId>,
  ): Result<Selected<RowOf<S, Name>, Column, WithRowId>>;
  /** Rows of a type that is told here: `get<{ seats: number }>("planes")`. */
  get<T extends object = never>(table: Told<T>, options?: GetOptions): Result<T>;
  get(table: string, given: object = {}): object {
    const options: GetOptions = given;
    const { columns, filter, orderBy, limit, offset, withRowId, ...rest } = options;
    const scan: ScanRequest = {
      table: checkedTable(table),
      columns: checkedColumns(columns),
      filter: whereText(filter),
      orderBy: orderText(orderBy),
      limit: checkedCount("limit", limit),
      offset: checkedCount("offset", offset),
      withRowId,
      ...taken("get", rest),
    };
    return this.read({ kind: "scan", scan }, options);
  }

  /**
   * Rows of a SELECT: a text with its parameters, or a template, whose values are parameters.
   *
   * @example
   * client.sql`SELECT * FROM planes WHERE seats > ${least}`
   */
  sql<T extends object = Row>(text: string | TemplateStringsArray, ...given: unknown[]): Result<T> {
    if (typeof text !== "string") return this.read<T>({ kind: "sql", sql: sqlOf(text, given) }, {});
    const [parameters, options = {}] = given as [Parameters | undefined, SqlOptions | undefined];
    const sql = { sql: text, parameters, ...taken("sql", options) };
    return this.read<T>({ kind: "sql", sql }, options);
  }

  /** The net difference between two versions of a table; `_change` says what became of a row. */
  diff<T extends object = Row>(
    table: string,
    older: number | string,
    newer?: number | string,
    options: ReadOptions = {},
  ): Result<T> {
    return this.read<T>(
      { kind: "diff", diff: { table: checkedTable(table), older, newer } },
      options,
    );
  }

  /** The rows of a table that changed after a snapshot, in the order of the commits. */
  changes<T extends object = Row>(
    table: string,
    after: number,
    options: ReadOptions & { until?: number; images?: "after" | "both" } = {},
  ): Result<T> {
    const { until, images } = options;
    const changes = { table: checkedTable(table), after, until, images };
    return this.read<T>({ kind: "changes", changes }, options);
  }

  /** The result of a stream that is opened when it is read. */
  protected result<T extends object>(what: string, open: Opening, options: ReadOptions): Result<T> {
    const conversions = chosen(this.conversions, options.conversions);
    const stream = (onBytes: (bytes: number) => void) => this.stream(what, open, options, onBytes);
    return new Result<T>(stream, conversions, options.onProgress);
  }

  private read<T extends object>(request: ReadRequest, options: ReadOptions): Result<T> {
    const open: Opening = (settings) => this.transport.read(request, settings);
    return this.result<T>(`${request.kind} over ${this.transport.name}`, open, options);
  }

  /** The messages of a read, begun again while none of its batches has come. */
  private async *stream(
    what: string,
    open: Opening,
    options: CallOptions,
    onBytes: (bytes: number) => void,
  ): AsyncGenerator<IpcMessage, void> {
    const call = this.callSignal(options);
    const settings = { signal: call.signal, onBytes, credential: this.credential };
    let messages: AsyncGenerator<IpcMessage, void> | undefined;
    try {
      // The first batch is waited for here, so that what failed before can be tried again.
      const begun = await this.again(what, call.signal, async () => {
        messages = open(settings);
        return await beginning(messages);
      });
      yield* begun;
      yield* messages as AsyncGenerator<IpcMessage, void>;
    } finally {
      await messages?.return();
      call.abort();
      call.close();
    }
  }
}

/** The messages up to the first batch. That one may say that the stream failed, which is thrown. */
async function beginning(messages: AsyncGenerator<IpcMessage, void>): Promise<IpcMessage[]> {
  const begun: IpcMessage[] = [];
  try {
    for (;;) {
      const { done, value } = await messages.next();
      if (done) return begun;
      begun.push(value);
      if (headerOf(value.header).kind === "batch") return begun;
    }
  } catch (error) {
    await messages.return();
    throw error;
  }
}

/** Which version is asked for, once it is known that nothing else is. */
function taken(
  of: string,
  options: Pick<GetOptions, keyof ReadOptions | "version" | "asOf">,
): {
  version: number | string | undefined;
  asOf: string | undefined;
} {
  const { version, asOf, onProgress: _, conversions: __, signal: ___, ...rest } = options;
  const { timeoutMs: ____, ...others } = rest;
  refuse(of, others);
  return { version: checkedVersion(version), asOf: moment(asOf) };
}

/** A moment as the server reads it. */
export function moment(given: Date | string | undefined): string | undefined {
  if (!(given instanceof Date)) return given;
  check(isMoment(given), "asOf", given, "a moment");
  return given.toISOString();
}
