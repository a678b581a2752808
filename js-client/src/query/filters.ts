/** Filters and orders as objects, in the server's own shape, written as SQL. */
import { check } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Row } from "../rows.js";
import type { FilterOf } from "../schemas.js";
import { allOf, anyOf, Condition, col, type Expression, Order } from "./expressions.js";
import { isPlain } from "./literals.js";

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

const ORDER = '{ column, direction: "asc" or "desc", nulls: "first" or "last" }';
const COMPARISONS =
  "eq ne gt gte lt lte in not_in between is_null like ilike not_like starts_with ends_with contains";

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
  if (typeof order === "string") return order;
  const parts = Array.isArray(order) ? order : [order ?? []].flat();
  return parts.length === 0 ? undefined : parts.map(ordered).join(", ");
}

function allMembers(where: WhereObject): Condition {
  const isRight = typeof where === "object" && where && !Array.isArray(where);
  check(isRight, "filter", where, "an object such as { price: { gt: 10 } }");
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
  const known = COMPARISONS.split(" ");
  if (!known.includes(verb)) {
    throw new ArgumentError(
      `There is no comparison '${verb}' (of the column '${name}'). Known are ${known.join(", ")}.`,
    );
  }
  const isOrdering = /^[gl]te?$/.test(verb);
  if (isOrdering && operand === null) {
    throw new ArgumentError(
      `The column '${name}' is compared with null, which is never true: ask for { is_null: true }.`,
    );
  }
  return comparison(col(name), verb, defined(name, operand));
}

/** What a comparison that is known means: most are methods of expressions. */
function comparison(column: Expression, verb: string, operand: unknown): Condition {
  if (verb.startsWith("not_")) return comparison(column, verb.slice(4), operand).not();
  if (verb === "is_null") return operand === false ? column.isNull().not() : column.isNull();
  if (verb === "in") return column.in(listed(operand, verb));
  if (verb === "between") return column.between(...pair(operand));
  const isOfText = /like|with|contains/.test(verb);
  return column[verb.replace("_w", "W") as "eq"](isOfText ? String(operand) : operand);
}

function defined(name: string, value: unknown): unknown {
  check(value !== undefined, name, value, "null, or leave it out of the filter");
  return value;
}

function ordered(one: string | Order | OrderObject): string {
  if (one instanceof Order) return one.sql;
  const {
    column,
    direction = "asc",
    nulls = "last",
  } = typeof one === "string" ? { column: one } : one;
  const isRight =
    typeof column === "string" &&
    ["asc", "desc"].includes(direction) &&
    ["first", "last"].includes(nulls);
  check(isRight, "orderBy", one, ORDER);
  const order = direction === "asc" ? col(column).asc() : col(column).desc();
  return (nulls === "first" ? order.nullsFirst() : order.nullsLast()).sql;
}

function listed(operand: unknown, verb: string): readonly unknown[] {
  check(Array.isArray(operand), verb, operand, "a list");
  return operand as readonly unknown[];
}

function pair(operand: unknown): [unknown, unknown] {
  const values = listed(operand, "between");
  const isRight = values.length === 2 && !values.includes(null);
  check(isRight, "between", operand, "a list of the least and the largest value");
  return values as [unknown, unknown];
}
