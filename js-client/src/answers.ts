/** What operations of the server take and answer, as its OpenAPI document says it. */
import type { CallOptions } from "./client/options.js";
import type { operations } from "./generated/openapi.js";

/** The name of an operation in the server's OpenAPI document. */
export type OperationId = keyof operations;

/** The JSON that an operation answers with; nothing for those whose answer has no body. */
export type Answer<Id extends OperationId> = Json<
  operations[Id]["responses"][keyof operations[Id]["responses"] & (200 | 201 | 202 | 204)]
>;

/** The JSON that an operation takes. */
export type Body<Id extends OperationId> = operations[Id] extends {
  requestBody?: { content: { "application/json": infer Taken } };
}
  ? Loose<Taken>
  : never;

/** What an operation takes in its URL behind the question mark. */
export type Query<Id extends OperationId> = Structured<
  Loose<NonNullable<operations[Id]["parameters"]["query"]>>
>;

/** A part of a URL's path: a name, an id, a value of a key. */
export type PathValue = string | number | bigint | boolean;

/** What calls of one row take. */
export interface RowCallOptions extends CallOptions {
  /** The change is refused where the table has another version by now. */
  readonly ifVersion?: number | undefined;
  /**
   * The same by the ETag that `readRowWithEtag` gave: `ConflictError` with the code
   * `version_changed` where the table was changed after that.
   */
  readonly ifMatch?: string | undefined;
}

/** What may be left out may be undefined as well. */
type Loose<T> = {
  [Name in keyof T]: object extends Pick<T, Name> ? T[Name] | undefined : T[Name];
};

/** Filters, orders and lists of columns may be as they are: they are written as JSON. */
type Structured<T> = {
  [Name in keyof T]: Name extends "where" | "order_by" | "select" ? T[Name] | object : T[Name];
};

type Json<Response> = Response extends { content: { "application/json": infer Given } }
  ? Given
  : undefined;
