/** Lists that come page by page. */
import { check } from "../checks.js";
import type { Schemas } from "../schemas.js";
import { MoreOperationCalls } from "./more.js";

/** Methods whose answers are pages. */
export type Paged = "listAuditEntries" | "listDeliveries" | "listJobs" | "listTables" | "readRows";

/** Those that are about something which is named. */
const NAMED: ReadonlySet<string> = new Set(["listDeliveries", "readRows"]);

type Method = (...given: unknown[]) => Promise<Page>;

interface Page {
  readonly cursor?: unknown;
  readonly next_cursor?: unknown;
}

/** Families of calls whose answers are pages. */
export class PageCalls<S extends object = Schemas> extends MoreOperationCalls<S> {
  /**
   * All pages of a list, one after the other, each asked for when it is wanted.
   *
   * @example
   * for await (const { jobs } of client.pages("listJobs", { status: "failed" })) { … }
   */
  async *pages<Name extends Paged>(
    name: Name,
    ...given: Parameters<this[Name]>
  ): AsyncGenerator<Awaited<ReturnType<this[Name]>>, void, undefined> {
    check(this[name], "pages()", name, "the name of a method that lists");
    const inPath = given.slice(0, NAMED.has(name) ? 1 : 0);
    const [query = {}, options] = given.slice(inPath.length);
    // An empty cursor asks for the first page of rows, which are no pages without one.
    let next: object = name === "readRows" ? { cursor: "" } : {};
    for (;;) {
      const ask = this[name] as unknown as Method;
      const page = await ask.call(this, ...inPath, { ...(query as object), ...next }, options);
      yield page as Awaited<ReturnType<this[Name]>>;
      const cursor = page.next_cursor ?? page.cursor ?? undefined;
      if (cursor === undefined) return;
      next = { cursor };
    }
  }
}
