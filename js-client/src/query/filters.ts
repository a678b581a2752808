/** Filters and orders as objects, in the server's own shape, written as SQL. */
import { ArgumentError } from "../errors.js";
import type { Row } from "../rows.js";
import type { FilterOf } from "../schemas.js";
import { allOf, anyOf, Condition, col, type Expression, Order } from "./expressions.js";
import { shown } from "./literals.js";

/** A predicate of SQL, a condition, or an object such as `{ price: { gt: 10, lte: 20 } }`. */
export type Where<T = Row> = string | Condition | FilterOf<T>;

/**
 * Conditions by column; all of them have to hold. A value alone is compared for being equal, null
 * asks for nulls, a list for one of it. `and`, `or` and `not` join others.
 */
export interface WhereObject {
  readonly [column: string]: unknown;
}

/** As in SQL, orders of columns, or a list: `[{ column: "price", direction: "desc" }]`. */
export type OrderBy<Column extends string = string> =
  | string
  | Order
  | readonly (Column | Order | OrderObject<Column>)[];

/** By one column. */
export interface OrderObject<Column extends string = string> {
  readonly column: Column;
  readonly direction?: "asc" | "desc";
  readonly nulls?: "first" | "last";
}

type Comparison = (column: Expression, operand: unknown) => Condition;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  eq: (column, operand) => column.eq(operand),
  ne: (column, operand) => column.ne(operand),
  gt: (column, operand) => column.gt(operand),
  gte: (column, operand) => column.gte(operand),
  lt: (column, operand) => column.lt(operand),
  lte: (column, operand) => column.lte(operand),
  in: (column, operand) => column.in(listed(operand, "in")),
  not_in: (column, operand) => column.in(listed(operand, "not_in")).not(),
  between: (column, operand) => column.between(...pair(operand)),
  is_null: (column, operand) => (operand === false ? column.isNull().not() : column.isNull()),
  like: (column, operand) => column.like(String(operand)),
  ilike: (column, operand) => column.ilike(String(operand)),
  not_like: (column, operand) => column.like(String(operand)).not(),
  starts_with: (column, operand) => column.startsWith(String(operand)),
  ends_with: (column, operand) => column.endsWith(String(operand)),
  contains: (column, operand) => column.contains(String(operand)),
};

/**
 * The predicate as SQL; nothing where there is none.
 *
 * @throws {@link ArgumentError} that says what in the filter is wrong.
 */
export function whereText(where: Where | undefined): string | undefined {
  if (where === undefined || where === null) return undefined;
  if (typeof where === "string") return where;
  return (where instanceof Condition ? where : allMembers(where)).sql;
}

/** The order as SQL; nothing where there is none. */
export function orderText(order: OrderBy | undefined): string | undefined {
  if (order === undefined || typeof order === "string") return order;
  const parts = order instanceof Order ? [order] : order;
  return parts.length === 0 ? undefined : parts.map(ordered).join(", ");
}

function allMembers(where: WhereObject): Condition {
  if (typeof where !== "object" || where === null || Array.isArray(where)) {
    throw new ArgumentError(
      `A filter is an object such as { price: { gt: 10 } }, and not ${shown(where)}.`,
    );
  }
  return allOf(Object.entries(where).map(([name, value]) => member(name, value)));
}

function member(name: string, value: unknown): Condition {
  if ((name === "and" || name === "or") && Array.isArray(value)) {
    return (name === "and" ? allOf : anyOf)(value.map(allMembers));
  }
  if (name === "not" && isPlain(value)) return allMembers(value).not();
  const column = col(name);
  if (Array.isArray(value)) return column.in(value);
  if (!isPlain(value)) return column.eq(defined(name, value));
  return allOf(Object.entries(value).map(([verb, operand]) => compared(name, verb, operand)));
}

function compared(name: string, verb: string, operand: unknown): Condition {
  const comparison = COMPARISONS[verb];
  if (!comparison) {
    const known = Object.keys(COMPARISONS).join(", ");
    throw new ArgumentError(
      `There is no comparison '${verb}' (of the column '${name}'). Known are ${known}.`,
    );
  }
  const isOrdering = /^[gl]te?$/.test(verb);
  if (isOrdering && operand === null) {
    throw new ArgumentError(
      `The column '${name}' is compared with null, which is never true: ask for { is_null: true }.`,
    );
  }
  return comparison(col(name), defined(name, operand));
}

function defined(name: string, value: unknown): unknown {
  if (value !== undefined) return value;
  throw new ArgumentError(
    `The filter of the column '${name}' is undefined: ask for null, or leave it out.`,
  );
}

function ordered(one: string | Order | OrderObject): string {
  if (one instanceof Order) return one.sql;
  const {
    column,
    direction = "asc",
    nulls = "last",
  } = typeof one === "string" ? { column: one } : one;
  const known = ["asc", "desc"].includes(direction) && ["first", "last"].includes(nulls);
  if (typeof column !== "string" || !known) {
    throw new ArgumentError(
      `An order is { column, direction: "asc" or "desc", nulls: "first" or "last" }, and not ${JSON.stringify(one)}.`,
    );
  }
  const order = direction === "asc" ? col(column).asc() : col(column).desc();
  return (nulls === "first" ? order.nullsFirst() : order.nullsLast()).sql;
}

function listed(operand: unknown, verb: string): readonly unknown[] {
  if (Array.isArray(operand)) return operand;
  throw new ArgumentError(`'${verb}' takes a list, and not ${shown(operand)}.`);
}

function pair(operand: unknown): [unknown, unknown] {
  const values = listed(operand, "between");
  if (values.length === 2 && !values.includes(null)) return [values[0], values[1]];
  throw new ArgumentError("'between' takes the least and the largest value.");
}

function isPlain(value: unknown): value is WhereObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
