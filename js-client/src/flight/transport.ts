/** Arrow Flight as a way for the client's batches to travel. */

import { check } from "../checks.js";
import { commitOfJson } from "../commits.js";
import { ArgumentError, errorOfJson, ProtocolError } from "../errors.js";
import type { IpcMessage } from "../ipc/message.js";
import { jsonText } from "../json.js";
import { encodedParameters } from "../parameters.js";
import type {
  CallSettings,
  Commit,
  IngestRequest,
  ReadRequest,
  ScanRequest,
  Transport,
} from "../transport.js";
import { Connection, type FlightOptions } from "./connection.js";
import { descriptorBytes, flightInfo } from "./messages.js";
import { messagesInOrder, messagesOf, sent } from "./streams.js";

/** How rows travel by Flight. */
export interface FlightTransportOptions extends FlightOptions {
  /**
   * In how many streams at once a large table is read, where the server offers several.
   *
   * One without it: a stream is asked for by the read itself, which saves the round trip that asks
   * for endpoints, and a server reads ahead for it with all of its processors. More help where the
   * server waits for its files.
   */
  readonly parallel?: number | undefined;
}

/** Reads and puts over Flight. */
export class FlightTransport implements Transport {
  readonly name = "Flight";
  private readonly connection: Connection;

  private readonly parallel: number;

  constructor(given: FlightTransportOptions) {
    check(typeof given === "object", "options", given, "{ url }");
    const { parallel = 1, ...options } = given;
    if (!(Number.isInteger(parallel) && parallel > 0)) {
      throw new ArgumentError(`'parallel' is ${parallel}: give the number of streams, 1 or more.`);
    }
    this.parallel = parallel;
    this.connection = new Connection(options);
  }

  async *read(request: ReadRequest, settings: CallSettings): AsyncGenerator<IpcMessage, void> {
    const command = jsonText(await commandOf(request));
    if (this.parallel === 1 || !isWhole(request)) {
      return yield* messagesOf(this.connection, command, settings);
    }
    const asked = descriptorBytes({ command });
    const info = flightInfo(await this.connection.unary("GetFlightInfo", asked, settings));
    const tickets = info.endpoints.map(({ ticket }) => ticket);
    if (tickets.length === 0) throw new ProtocolError("The server's flight has no endpoint.");
    yield* messagesInOrder(this.connection, tickets, this.parallel, settings);
  }

  async write(
    request: IngestRequest,
    messages: AsyncIterable<IpcMessage>,
    settings: CallSettings,
  ): Promise<Commit> {
    const { table, mode, key, createIfMissing, token, commitEvery } = request;
    const commit_every = commitEvery;
    const ingest = { table, mode, key, create_if_missing: createIfMissing, token, commit_every };
    const commits: Commit[] = [];
    const onAnswer = (metadata: Uint8Array) => {
      const commit = commitOfJson(answerOf(metadata));
      commits.push(commit);
      settings.onAck?.(commit);
    };
    const descriptor = { command: jsonText({ ingest }) };
    await sent(this.connection, descriptor, messages, settings, onAnswer);
    return sumOf(commits);
  }

  async close(): Promise<void> {
    this.connection.close();
  }
}

/** Whether a read is of a whole table: what is likely small, or in one order, is one stream. */
function isWhole(request: ReadRequest): boolean {
  if (request.kind !== "scan") return false;
  const { filter, limit, offset, orderBy } = request.scan;
  return [filter, limit, offset, orderBy].every((given) => given === undefined);
}

async function commandOf(request: ReadRequest): Promise<Readonly<Record<string, unknown>>> {
  switch (request.kind) {
    case "scan":
      return { scan: scanOf(request.scan) };
    case "sql": {
      const { sql, parameters, version, asOf, limit } = request.sql;
      if (limit !== undefined) {
        throw new ArgumentError("Over Flight a statement's LIMIT stands in its text.");
      }
      return { sql, ...(await encodedParameters(parameters)), version, as_of: asOf };
    }
    case "diff":
      return { diff: request.diff };
    case "changes":
      return { changes: request.changes };
  }
}

function scanOf(scan: ScanRequest): Readonly<Record<string, unknown>> {
  const { orderBy, asOf, withRowId, ...rest } = scan;
  return { ...rest, order_by: orderBy, as_of: asOf, with_row_id: withRowId };
}

/** What an acknowledgement says; that the put has failed is thrown. */
function answerOf(metadata: Uint8Array): unknown {
  let told: { error?: unknown } | null;
  try {
    told = JSON.parse(new TextDecoder().decode(metadata)) as { error?: unknown } | null;
  } catch (cause) {
    throw new ProtocolError("The server's acknowledgement is no JSON.", { cause });
  }
  if (told?.error !== undefined) throw errorOfJson(told.error);
  return told;
}

/** All commits of a put as one: where it ended, and how many rows it was. */
function sumOf(commits: readonly Commit[]): Commit {
  const last = commits.at(-1);
  if (!last) throw new ProtocolError("The server acknowledged nothing of what was put.");
  const sum = (name: "rows" | "rowsInserted" | "rowsUpdated") =>
    commits.reduce((total, commit) => total + commit[name], 0);
  return {
    ...last,
    rows: sum("rows"),
    rowsInserted: sum("rowsInserted"),
    rowsUpdated: sum("rowsUpdated"),
  };
}
