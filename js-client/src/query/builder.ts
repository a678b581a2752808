/** Rows of a table, asked for step by step. */
import type { RecordBatch, Table } from "apache-arrow";
import type { GetOptions, ReadOptions } from "../client/reads.js";
import type { Result } from "../result.js";
import type { Conversions, Row } from "../rows.js";
import type { ColumnOf } from "../schemas.js";
import type { Order } from "./expressions.js";
import { type OrderObject, type Where, whereText } from "./filters.js";

type Options = GetOptions<Row, string>;

/**
 * A question to one table: rows of type `R` out of rows of type `T`.
 *
 * Each step gives a new question, so that one can be kept and asked again. It is read as a
 * {@link Result} is.
 */
export class Query<T extends object = Row, R extends object = T>
  implements AsyncIterable<RecordBatch>
{
  constructor(
    private readonly get: (options: Options) => Result<object>,
    private readonly options: Options = {},
  ) {}

  /** The columns that are wanted; all of them without it. */
  select<Column extends ColumnOf<T>>(...columns: Column[]): Query<T, Pick<T, Column>> {
    return this.with({ columns });
  }

  /** What has to hold for a row; beside what was asked before. */
  where(filter: Where<T>): Query<T, R> {
    const given = whereText(filter as Where);
    const before = this.options.filter;
    return this.with({ filter: before === undefined ? given : `(${before}) AND (${given})` });
  }

  /** By which columns rows are ordered: names, `col("price").desc()`, or objects. */
  orderBy(...orders: (ColumnOf<T> | Order | OrderObject<ColumnOf<T>>)[]): Query<T, R> {
    return this.with({ orderBy: orders });
  }

  /** How many rows at most. */
  limit(limit: number): Query<T, R> {
    return this.with({ limit });
  }

  /** How many rows are left out first. */
  offset(offset: number): Query<T, R> {
    return this.with({ offset });
  }

  /** The table as it was: a snapshot's number, or a tag's name. */
  version(version: number | string): Query<T, R> {
    return this.with({ version });
  }

  /** The table as it was at a moment. */
  asOf(asOf: Date | string): Query<T, R> {
    return this.with({ asOf });
  }

  /** With the column `_row_id`, which names a row for as long as it is there. */
  withRowId(): Query<T, R & { _row_id: bigint }> {
    return this.with({ withRowId: true });
  }

  /** Asks. */
  result(options: ReadOptions = {}): Result<R> {
    return this.get({ ...this.options, ...options }) as Result<R>;
  }

  [Symbol.asyncIterator](): AsyncGenerator<RecordBatch, void, undefined> {
    return this.result()[Symbol.asyncIterator]();
  }

  /** As {@link Result.rows}. */
  rows(conversions?: Partial<Conversions>): AsyncGenerator<R, void, undefined> {
    return this.result().rows(conversions);
  }

  /** As {@link Result.toArray}. */
  toArray(conversions?: Partial<Conversions>): Promise<R[]> {
    return this.result().toArray(conversions);
  }

  /** As {@link Result.first}. */
  first(conversions?: Partial<Conversions>): Promise<R | undefined> {
    return this.result().first(conversions);
  }

  /** As {@link Result.table}. */
  table(): Promise<Table> {
    return this.result().table();
  }

  /** As {@link Result.ipc}. */
  ipc(): Promise<Uint8Array<ArrayBuffer>> {
    return this.result().ipc();
  }

  private with<Next extends object>(step: Options): Query<T, Next> {
    return new Query<T, Next>(this.get, { ...this.options, ...step });
  }
}
