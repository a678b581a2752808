/** Schemas of Arrow as types of TypeScript, as rows have them by the default conversions. */
import { DataType, type Field, IntervalUnit, type Schema } from "apache-arrow";

/** A table as it is to be declared. */
export interface TableToDeclare {
  readonly table: string;
  readonly schema: Schema;
  readonly comment?: string | undefined;
  /** Comments of columns, by their names. */
  readonly comments?: Readonly<Record<string, string>> | undefined;
}

const EXTENSION = "ARROW:extension:name";
const EXTENSIONS: Readonly<Record<string, string>> = {
  "arrow.bool8": "boolean",
  "arrow.json": "unknown",
  "arrow.uuid": "string",
};

/** A module with an interface for each table's rows, and one of all the tables by their names. */
export function declarations(tables: readonly TableToDeclare[]): string {
  const names = new Set(["Tables"]);
  const named = tables.map((one) => ({ ...one, type: fresh(pascal(one.table), names) }));
  const rows = named.map(({ type, schema, comment, comments }) =>
    [
      ...doc(comment, ""),
      `export interface ${type} {`,
      ...schema.fields.flatMap((field) => [
        ...doc(comments?.[field.name], "  "),
        `  ${property(field.name)}: ${typeText(field)};`,
      ]),
      "}",
      "",
    ].join("\n"),
  );
  return [
    "/** Rows of tables, written by pixelflight-typegen: `createClient<Tables>({ … })`. */",
    ...rows,
    "/** The rows of each table. */",
    "export interface Tables {",
    ...named.map(({ table, type }) => `  ${property(table)}: ${type};`),
    "}",
    "",
  ].join("\n");
}

/** The type of a column's values. */
export function typeText(field: Field): string {
  const type = EXTENSIONS[field.metadata.get(EXTENSION) ?? ""] ?? valueText(field.type);
  return field.nullable && type !== "null" && type !== "unknown" ? `${type} | null` : type;
}

function valueText(type: DataType): string {
  if (DataType.isNull(type)) return "null";
  if (DataType.isInt(type)) return type.bitWidth === 64 ? "bigint" : "number";
  if (DataType.isDuration(type)) return "bigint";
  if (DataType.isFloat(type)) return "number";
  if (DataType.isBool(type)) return "boolean";
  if (DataType.isDate(type) || DataType.isTimestamp(type)) return "Date";
  if (DataType.isDictionary(type)) return valueText(type.dictionary);
  if (DataType.isInterval(type)) return INTERVALS[type.unit];
  if (DataType.isStruct(type)) return structText(type.children);
  if (DataType.isMap(type)) {
    const [key, value] = (type.children[0]?.type.children ?? []) as Field[];
    return `Map<${key ? typeText(key) : "unknown"}, ${value ? typeText(value) : "unknown"}>`;
  }
  if (DataType.isUnion(type)) return joined(type.children.map(typeText));
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    const item = type.children.map(typeText).join();
    return /[|]/.test(item) ? `(${item})[]` : `${item}[]`;
  }
  const isText =
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isUtf8View(type) ||
    DataType.isTime(type) ||
    DataType.isDecimal(type);
  return isText ? "string" : "Uint8Array";
}

const INTERVALS: Readonly<Record<IntervalUnit, string>> = {
  [IntervalUnit.YEAR_MONTH]: "{ months: number }",
  [IntervalUnit.DAY_TIME]: "{ days: number; milliseconds: number }",
  [IntervalUnit.MONTH_DAY_NANO]: "{ months: number; days: number; nanoseconds: bigint }",
};

function structText(members: readonly Field[]): string {
  if (members.length === 0) return "Record<string, never>";
  return `{ ${members.map((one) => `${property(one.name)}: ${typeText(one)}`).join("; ")} }`;
}

function joined(types: readonly string[]): string {
  return [...new Set(types.flatMap((one) => one.split(" | ")))].join(" | ");
}

function property(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function doc(comment: string | undefined, indent: string): string[] {
  const told = comment?.replaceAll("*/", "*\\/").trim();
  if (!told) return [];
  const [first, ...rest] = told.split(/\r?\n/);
  if (rest.length === 0) return [`${indent}/** ${first} */`];
  return [`${indent}/**`, ...[first, ...rest].map((line) => `${indent} * ${line}`), `${indent} */`];
}

/** `sales.daily` as `SalesDaily`. */
function pascal(table: string): string {
  const words = table.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "");
  const name = words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
  return /^\p{L}/u.test(name) ? name : `Table${name}`;
}

function fresh(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let n = 2; taken.has(name); n++) name = `${wanted}${n}`;
  taken.add(name);
  return name;
}
