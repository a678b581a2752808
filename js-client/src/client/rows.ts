/**
 * Single rows, and rows that are near to something. They are asked for over HTTP, whatever the
 * transport of the client is.
 */
import type { PathValue } from "../answers.js";
import { ProtocolError } from "../errors.js";
import { type HttpRequest, textOf } from "../http/connection.js";
import { arrowOf } from "../http/transport.js";
import { jsonText } from "../json.js";
import type { Where } from "../query/filters.js";
import { whereText } from "../query/filters.js";
import type { Result } from "../result.js";
import type { Row } from "../rows.js";
import type { ColumnOf, RowOf, Schemas, TableNameOf } from "../schemas.js";
import { pathText, queryTexts } from "./operations.js";
import type { CallOptions } from "./options.js";
import { PageCalls } from "./pages.js";
import { moment, type ReadOptions } from "./reads.js";

/** How one row is read. */
export interface ReadRowOptions<T = Row> extends ReadOptions {
  readonly columns?: readonly ColumnOf<T>[] | undefined;
  readonly version?: number | string | undefined;
  readonly asOf?: Date | string | undefined;
}

/** A row, and what tells whether it was changed since it was read. */
export interface TaggedRow<T = Row> {
  readonly row: T;
  /** As HTTP gives it, for `ifMatch`. It is of the table: a change of other rows ends it as well. */
  readonly etag: string;
}

/** What rows are to be near to: a text, an embedding, or a file; exactly one of these. */
export interface SearchOptions<T = Row> extends ReadOptions {
  readonly text?: string | undefined;
  readonly vector?: readonly number[] | undefined;
  readonly image?: Uint8Array | undefined;
  readonly audio?: Uint8Array | undefined;
  readonly video?: Uint8Array | undefined;
  readonly document?: Uint8Array | undefined;
  /** The index, where the column has several. */
  readonly index?: string | undefined;
  readonly columns?: readonly ColumnOf<T>[] | undefined;
  /** Leaves rows out beforehand. */
  readonly filter?: Where<T> | undefined;
  /** 10 without it. */
  readonly limit?: number | undefined;
}

type Asked = Omit<HttpRequest, "signal">;

/** Families of calls about rows. */
export class RowCalls<S extends object = Schemas> extends PageCalls<S> {
  /** The row whose `_row_id` this is. It comes over HTTP, with the transport of Flight as well. */
  async readRow<Name extends TableNameOf<S>>(
    table: Name,
    rowId: number | bigint,
    options: ReadRowOptions<RowOf<S, Name>> = {},
  ): Promise<RowOf<S, Name>> {
    return (await this.one(table, pathText(rowId, "readRow"), options)).row;
  }

  /**
   * As `readRow`, with the row's ETag: a change with it as `ifMatch` is refused where somebody else
   * came first.
   *
   * @example
   * const { row, etag } = await client.readRowWithEtag("planes", 17);
   * await client.updateRow("planes", 17, { seats: row.seats + 1n }, { ifMatch: etag });
   */
  async readRowWithEtag<Name extends TableNameOf<S>>(
    table: Name,
    rowId: number | bigint,
    options: ReadRowOptions<RowOf<S, Name>> = {},
  ): Promise<TaggedRow<RowOf<S, Name>>> {
    return tagged(await this.one(table, pathText(rowId, "readRowWithEtag"), options));
  }

  /**
   * The row of a key: a value, or one for each of the key's columns. It comes over HTTP, with the
   * transport of Flight as well.
   */
  async readRowOfKey<Name extends TableNameOf<S>>(
    table: Name,
    key: PathValue | readonly PathValue[],
    options: ReadRowOptions<RowOf<S, Name>> = {},
  ): Promise<RowOf<S, Name>> {
    return (await this.one(table, `key/${pathText(key, "readRowOfKey")}`, options)).row;
  }

  /** As `readRowOfKey`, with the row's ETag for `ifMatch`. */
  async readRowOfKeyWithEtag<Name extends TableNameOf<S>>(
    table: Name,
    key: PathValue | readonly PathValue[],
    options: ReadRowOptions<RowOf<S, Name>> = {},
  ): Promise<TaggedRow<RowOf<S, Name>>> {
    return tagged(await this.one(table, `key/${pathText(key, "readRowOfKeyWithEtag")}`, options));
  }

  /**
   * The rows that are nearest by an index, the nearest first; `_score` tells how near. They come
   * over HTTP, with the transport of Flight as well.
   */
  search<Name extends TableNameOf<S>>(
    table: Name,
    column: ColumnOf<RowOf<S, Name>>,
    options: SearchOptions<RowOf<S, Name>>,
  ): Result<RowOf<S, Name> & { _score: number }> {
    const { conversions: _, onProgress: __, signal: ___, timeoutMs: ____, ...given } = options;
    const { filter, ...near } = given;
    const body = jsonText({ ...near, column, where: whereText(filter as Where | undefined) });
    const headers = { "content-type": "application/json" };
    const path = `${this.tablePath(table)}/search`;
    return this.arrow({ method: "POST", path, headers, body }, options);
  }

  /** The server's counters, in the text form of Prometheus. */
  async metrics(options: CallOptions = {}): Promise<string> {
    return await this.attempted("metrics", options, async (signal) => {
      const response = await this.connection.send({ method: "GET", path: "//metrics", signal });
      return await textOf(response, signal);
    });
  }

  private arrow<T extends object>(asked: Asked, options: ReadOptions): Result<T> {
    return this.result(
      `${asked.method} ${asked.path}`,
      (settings) => arrowOf(this.connection, asked, settings),
      options,
    );
  }

  private async one<Name extends TableNameOf<S>>(
    table: Name,
    which: string,
    options: ReadRowOptions<RowOf<S, Name>>,
  ): Promise<Found<RowOf<S, Name>>> {
    const { columns: select, version, asOf } = options;
    const query = queryTexts({ select, version, as_of: moment(asOf) });
    const path = `${this.tablePath(table)}/rows/${which}`;
    let etag: string | null = null;
    const onHeaders = (headers: Headers) => {
      etag = headers.get("etag");
    };
    const asked = { method: "GET", path, query, onHeaders };
    const row = await this.arrow<RowOf<S, Name>>(asked, options).first();
    if (!row) throw new ProtocolError("The server answered without the row.");
    return { row, etag };
  }
}

/** A row as it came; what stands between may have kept its tag. */
type Found<T> = Omit<TaggedRow<T>, "etag"> & { readonly etag: string | null };

function tagged<T>({ row, etag }: Found<T>): TaggedRow<T> {
  if (etag === null) throw new ProtocolError("The row came without an ETag.");
  return { row, etag };
}
