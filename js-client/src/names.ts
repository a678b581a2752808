/** Names of tables as one text, `[catalog:][namespace.]name`, and as parts. */
import { ArgumentError } from "./errors.js";

/** A table's name in its parts. */
export interface TableName {
  readonly catalog?: string;
  readonly namespace?: string;
  readonly name: string;
}

const PART = /"((?:[^"]|"")*)"|([^".:]+)/y;

/**
 * The text of a name: parts that hold `.`, `:` or `"` stand in double quotes.
 *
 * @throws {@link ArgumentError} for a catalog without a namespace, which no text can say.
 */
export function tableText({ catalog, namespace, name }: TableName): string {
  if (catalog !== undefined && namespace === undefined) {
    throw new ArgumentError(
      "A table of a catalog is named with its namespace; the root is 'main'.",
    );
  }
  const front = catalog === undefined ? "" : `${quoted(catalog)}:`;
  return front + (namespace === undefined ? "" : `${quoted(namespace)}.`) + quoted(name);
}

/** The parts of a name, as a Flight path has them. */
export function tablePath(text: string): string[] {
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    PART.lastIndex = at;
    const found = PART.exec(text);
    if (!found) throw unreadable(text);
    parts.push(found[1] === undefined ? (found[2] as string) : found[1].replaceAll('""', '"'));
    at = PART.lastIndex;
    if (at === text.length) return parts;
    const separator = text[at++];
    if (separator !== "." && !(separator === ":" && parts.length === 1)) throw unreadable(text);
  }
}

/** The name as a segment of a URL's path. */
export function tableSegment(text: string): string {
  if (text === "") throw new ArgumentError("A table's name is empty.");
  return encodeURIComponent(text);
}

/** An identifier of SQL, in double quotes. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function quoted(part: string): string {
  return /[.:"]/.test(part) ? sqlName(part) : part;
}

function unreadable(text: string): ArgumentError {
  return new ArgumentError(
    `${JSON.stringify(text)} names no table: write [catalog:][namespace.]name, parts with dots in double quotes.`,
  );
}
