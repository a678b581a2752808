/** Expressions over columns, written as SQL. */
import { sqlName } from "../names.js";
import { literal } from "./literals.js";

/** A value of a row: a column, or what is made of columns. */
export class Expression {
  constructor(readonly sql: string) {}

  eq(value: unknown): Condition {
    return value === null ? this.isNull() : this.compared("=", value);
  }
  ne(value: unknown): Condition {
    return value === null ? this.isNull().not() : this.compared("<>", value);
  }
  gt(value: unknown): Condition {
    return this.compared(">", value);
  }
  gte(value: unknown): Condition {
    return this.compared(">=", value);
  }
  lt(value: unknown): Condition {
    return this.compared("<", value);
  }
  lte(value: unknown): Condition {
    return this.compared("<=", value);
  }
  between(low: unknown, high: unknown): Condition {
    return new Condition(`${this.sql} BETWEEN ${operand(low)} AND ${operand(high)}`);
  }
  /** One of the values; null stands for rows that have none. */
  in(values: readonly unknown[]): Condition {
    const known = values.filter((value) => value !== null).map(operand);
    const found = known.length === 0 ? "false" : `${this.sql} IN (${known.join(", ")})`;
    const condition = new Condition(found);
    return known.length === values.length ? condition : condition.or(this.isNull());
  }
  isNull(): Condition {
    return new Condition(`${this.sql} IS NULL`);
  }
  like(pattern: string): Condition {
    return this.compared("LIKE", pattern);
  }
  ilike(pattern: string): Condition {
    return this.compared("ILIKE", pattern);
  }
  startsWith(text: string): Condition {
    return new Condition(`starts_with(${this.sql}, ${operand(text)})`);
  }
  endsWith(text: string): Condition {
    return new Condition(`ends_with(${this.sql}, ${operand(text)})`);
  }
  contains(text: string): Condition {
    return new Condition(`contains(${this.sql}, ${operand(text)})`);
  }
  plus(value: unknown): Expression {
    return this.with("+", value);
  }
  minus(value: unknown): Expression {
    return this.with("-", value);
  }
  times(value: unknown): Expression {
    return this.with("*", value);
  }
  dividedBy(value: unknown): Expression {
    return this.with("/", value);
  }
  /** The value in another type of SQL: `col("seats").cast("BIGINT")`. */
  cast(type: string): Expression {
    return new Expression(`CAST(${this.sql} AS ${type})`);
  }
  asc(): Order {
    return new Order(`${this.sql} ASC`);
  }
  desc(): Order {
    return new Order(`${this.sql} DESC`);
  }
  toString(): string {
    return this.sql;
  }
  /** What a column is set to, in the server's JSON. */
  toJSON(): { expr: string } {
    return { expr: this.sql };
  }

  private compared(sign: string, value: unknown): Condition {
    return new Condition(`${this.sql} ${sign} ${operand(value)}`);
  }
  private with(sign: string, value: unknown): Expression {
    return new Expression(`(${this.sql} ${sign} ${operand(value)})`);
  }
}

/** What holds for a row or does not. */
export class Condition extends Expression {
  and(...others: Condition[]): Condition {
    return allOf([this, ...others]);
  }
  or(...others: Condition[]): Condition {
    return anyOf([this, ...others]);
  }
  not(): Condition {
    return new Condition(`NOT (${this.sql})`);
  }
}

/** By what rows are ordered. */
export class Order {
  constructor(readonly sql: string) {}
  nullsFirst(): Order {
    return new Order(`${this.sql} NULLS FIRST`);
  }
  nullsLast(): Order {
    return new Order(`${this.sql} NULLS LAST`);
  }
}

/** A column, by its name. */
export function col(name: string): Expression {
  return new Expression(sqlName(name));
}

/** A call of a function of SQL: `fn("lower", col("name"))`. */
export function fn(name: string, ...given: unknown[]): Expression {
  return new Expression(`${sqlName(name)}(${given.map(operand).join(", ")})`);
}

/** A part of SQL, as it is written. */
export function sql(text: string): Condition {
  return new Condition(`(${text})`);
}

/** What holds where all of them hold. */
export function allOf(conditions: readonly Condition[]): Condition {
  return combined(conditions, "AND", "true");
}

/** What holds where one of them holds. */
export function anyOf(conditions: readonly Condition[]): Condition {
  return combined(conditions, "OR", "false");
}

function combined(conditions: readonly Condition[], word: string, nothing: string): Condition {
  const [first, ...others] = conditions;
  if (!first) return new Condition(nothing);
  if (others.length === 0) return first;
  return new Condition(conditions.map((condition) => `(${condition.sql})`).join(` ${word} `));
}

function operand(value: unknown): string {
  return value instanceof Expression ? value.sql : literal(value);
}
