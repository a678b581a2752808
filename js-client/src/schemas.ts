/** Tables as types, so that their rows are typed: `createClient<{ planes: Plane }>(…)`. */
import type { Expression } from "./query/expressions.js";
import type { Row } from "./rows.js";

/** Types of rows by the names of their tables, where none are told. */
export type Schemas = Record<string, Row>;

/** The name of a table; those that the schemas tell are offered. */
export type TableNameOf<S> = (keyof S & string) | (string & {});

/** The rows of a table, as far as the schemas tell. */
export type RowOf<S, Name> = Name extends keyof S
  ? S[Name] extends infer Known extends object
    ? Known
    : Row
  : Row;

/** The name of a table whose rows are of a type that is told with it, and is not guessed. */
export type Told<T> = [T] extends [never] ? never : string;

/** The names of a row's columns. */
export type ColumnOf<T> = keyof T & string;

/** Some of a row's columns, and the row's id where it is asked for. */
export type Selected<T, Column extends ColumnOf<T>, WithRowId = false> = ([ColumnOf<T>] extends [
  Column,
]
  ? T
  : Pick<T, Column>) &
  (WithRowId extends true ? { _row_id: bigint } : unknown);

/** A row as it may be put: columns left out get their defaults. */
export type InputOf<T> = { readonly [Column in keyof T]?: Given<T[Column]> };

/** What columns are set to: a value, or an expression over the row's old ones. */
export type SetOf<T> = { readonly [Column in keyof T]?: Given<T[Column]> | Expression };

/** A filter as an object, over the columns of a row. */
export type FilterOf<T> = string extends keyof T
  ? { readonly [column: string]: unknown }
  : { readonly [Column in keyof T]?: Wanted<T[Column]> } & {
      readonly and?: readonly FilterOf<T>[];
      readonly or?: readonly FilterOf<T>[];
      readonly not?: FilterOf<T>;
    };

/** What is taken where a value of this type is given. */
type Given<Value> = Value extends bigint
  ? bigint | number
  : Value extends Date
    ? Date | string
    : Value;

type Operand<Value> = Given<NonNullable<Value>> | Expression;

type Wanted<Value> =
  | Operand<Value>
  | null
  | readonly (Operand<Value> | null)[]
  | ({
      readonly [Comparison in "gt" | "gte" | "lt" | "lte"]?: Operand<Value>;
    } & {
      readonly [Comparison in "eq" | "ne"]?: Operand<Value> | null;
    } & {
      readonly [Comparison in "in" | "not_in"]?: readonly (Operand<Value> | null)[];
    } & {
      readonly between?: readonly [Operand<Value>, Operand<Value>];
      readonly is_null?: boolean;
    } & {
      readonly [Comparison in
        | "like"
        | "ilike"
        | "not_like"
        | "starts_with"
        | "ends_with"
        | "contains"]?: string;
    });
