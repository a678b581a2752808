import { ProtocolError } from "./errors.js";
import type { Commit } from "./transport.js";

/** What the server's JSON says of a commit. */
export function commitOfJson(told: unknown): Commit {
  const given = (typeof told === "object" && told !== null ? told : {}) as Record<string, unknown>;
  if (typeof given.commit !== "number") {
    throw new ProtocolError("The server's answer to a write names no commit.");
  }
  return {
    commit: given.commit,
    rows: whole(given.rows),
    rowsInserted: whole(given.rows_inserted),
    rowsUpdated: whole(given.rows_updated),
    offset: whole(given.offset),
    duplicate: given.duplicate === true,
  };
}

function whole(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
