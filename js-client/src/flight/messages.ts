/**
 * The messages of Arrow Flight, written and read by hand: there are few of them, and they are
 * small.
 *
 * Source: https://github.com/apache/arrow/blob/main/format/Flight.proto
 */
import { check } from "../checks.js";
import { ProtocolError } from "../errors.js";
import { ALIGNMENT, type IpcMessage } from "../ipc/message.js";
import { bytesOf, fields, message, numberOf, textOf } from "./protobuf.js";

const NOTHING: Uint8Array = new Uint8Array(0);
const NANOSECONDS_PER_MS = 1e6;
const SECOND_MS = 1000;
const PATH = 1;
const COMMAND = 2;

/** What a stream is called: by a path, or by a command that the server understands. */
export type FlightDescriptor =
  | { readonly path: readonly string[] }
  | { readonly command: Uint8Array | string };

/** What a stream is fetched with; opaque but to its server. */
export type Ticket = Uint8Array | string;

/** A part of a flight, and where it is fetched. */
export interface FlightEndpoint {
  readonly ticket: Uint8Array;
  /** URLs of servers that have it; none: the one that was asked. */
  readonly locations: readonly string[];
  readonly expiresAt: Date | undefined;
  readonly appMetadata: Uint8Array;
}

/** What a server says of a stream that can be fetched. */
export interface FlightInfo {
  /** An Arrow IPC message; `schemaOf` of it gives the schema. */
  readonly schema: Uint8Array;
  readonly descriptor: FlightDescriptor | undefined;
  readonly endpoints: readonly FlightEndpoint[];
  /** About how many rows there are; -1 where nobody knows. */
  readonly totalRecords: number;
  /** About how many bytes there are; -1 where nobody knows. */
  readonly totalBytes: number;
  /** Whether the order of the endpoints is that of the rows. */
  readonly ordered: boolean;
  readonly appMetadata: Uint8Array;
}

/** Something that a server can do. */
export interface ActionType {
  readonly type: string;
  readonly description: string;
}

/** The bytes of a descriptor. */
export function descriptorBytes(descriptor: FlightDescriptor): Buffer {
  const { command, path } = Object(descriptor) as { command?: string; path: readonly string[] };
  if (command !== undefined) return message([1, COMMAND], [2, command]);
  check(Array.isArray(path), "descriptor", descriptor, "{ path: [name] } or { command }");
  const parts = path.map((part) => [3, part] as const);
  return message([1, PATH], ...parts);
}

/** The bytes of a ticket. */
export function ticketBytes(ticket: Ticket): Buffer {
  return message([1, ticket]);
}

/** The bytes of criteria for a listing. */
export function criteriaBytes(expression: Uint8Array | string): Buffer {
  return message([1, expression]);
}

/** The bytes of an action. */
export function actionBytes(type: string, body: Uint8Array | string): Buffer {
  return message([1, type], [2, body]);
}

/** The bytes of a handshake by name and password, for servers that read those from its payload. */
export function handshakeBytes(user: string, password: string): Buffer {
  return message([2, message([2, user], [3, password])]);
}

/** What a handshake was answered with: a token, in a server's own form. */
export function handshakePayload(bytes: Uint8Array): Uint8Array {
  return only(bytes, 2);
}

/** The body of an action's result, and the metadata of a put's: both are a first field alone. */
export function resultBody(bytes: Uint8Array): Uint8Array {
  return only(bytes, 1);
}

/** Something that a server can do. */
export function actionType(bytes: Uint8Array): ActionType {
  let [type, description] = ["", ""];
  for (const [number, value] of fields(bytes)) {
    if (number === 1) type = textOf(value);
    if (number === 2) description = textOf(value);
  }
  return { type, description };
}

/** A message of Arrow as Flight sends it, with what the stream is called before the first. */
export function flightData(
  { header, body, appMetadata }: IpcMessage,
  descriptor?: Uint8Array,
): Buffer {
  const given = body.byteLength === 0 ? undefined : body;
  return message([1, descriptor], [2, header], [3, appMetadata], [1000, given]);
}

/**
 * The message of Arrow that a piece of a stream holds; its header is empty where there is none.
 *
 * The header and the body share the memory of the piece, unless the body stands in it at no
 * multiple of 8 bytes.
 */
export function ipcMessage(bytes: Uint8Array): IpcMessage {
  let [header, body] = [NOTHING, NOTHING];
  let appMetadata: Uint8Array | undefined;
  for (const [number, value] of fields(bytes)) {
    if (number === 2) header = bytesOf(value);
    if (number === 3) appMetadata = bytesOf(value);
    if (number === 1000) body = bytesOf(value);
  }
  if (body.byteOffset % ALIGNMENT !== 0) body = new Uint8Array(body);
  return appMetadata ? { header, body, appMetadata } : { header, body };
}

/** What a server says of a stream. */
export function flightInfo(bytes: Uint8Array): FlightInfo {
  let [schema, appMetadata] = [NOTHING, NOTHING];
  let descriptor: FlightDescriptor | undefined;
  const endpoints: FlightEndpoint[] = [];
  let [totalRecords, totalBytes, ordered] = [0, 0, false];
  for (const [number, value] of fields(bytes)) {
    if (number === 1) schema = bytesOf(value);
    if (number === 2) descriptor = descriptorOf(bytesOf(value));
    if (number === 3) endpoints.push(endpointOf(bytesOf(value)));
    if (number === 4) totalRecords = numberOf(value);
    if (number === 5) totalBytes = numberOf(value);
    if (number === 6) ordered = numberOf(value) !== 0;
    if (number === 7) appMetadata = bytesOf(value);
  }
  return { schema, descriptor, endpoints, totalRecords, totalBytes, ordered, appMetadata };
}

function descriptorOf(bytes: Uint8Array): FlightDescriptor | undefined {
  let type = 0;
  let command = NOTHING;
  const path: string[] = [];
  for (const [number, value] of fields(bytes)) {
    if (number === 1) type = numberOf(value);
    if (number === 2) command = bytesOf(value);
    if (number === 3) path.push(textOf(value));
  }
  if (type === COMMAND) return { command };
  return type === PATH ? { path } : undefined;
}

function endpointOf(bytes: Uint8Array): FlightEndpoint {
  let [ticket, appMetadata] = [NOTHING, NOTHING];
  const locations: string[] = [];
  let expiresAt: Date | undefined;
  for (const [number, value] of fields(bytes)) {
    if (number === 1) ticket = only(bytesOf(value), 1);
    if (number === 2) locations.push(new TextDecoder().decode(only(bytesOf(value), 1)));
    if (number === 3) expiresAt = momentOf(bytesOf(value));
    if (number === 4) appMetadata = bytesOf(value);
  }
  return { ticket, locations, expiresAt, appMetadata };
}

function momentOf(bytes: Uint8Array): Date {
  let [seconds, nanoseconds] = [0, 0];
  for (const [number, value] of fields(bytes)) {
    if (number === 1) seconds = numberOf(value);
    if (number === 2) nanoseconds = numberOf(value);
  }
  return new Date(seconds * SECOND_MS + Math.floor(nanoseconds / NANOSECONDS_PER_MS));
}

/** The bytes of the one field of a message that is wanted. */
function only(bytes: Uint8Array, wanted: number): Uint8Array {
  let found = NOTHING;
  for (const [number, value] of fields(bytes)) if (number === wanted) found = bytesOf(value);
  return found;
}

/** The JSON that a server of ours puts into the details of an error's status, if it is there. */
export function toldInStatus(status: Uint8Array): unknown {
  try {
    for (const [number, value] of fields(status)) {
      if (number !== 3) continue;
      const url = new TextDecoder().decode(only(bytesOf(value), 1));
      if (!url.endsWith("/google.protobuf.StringValue")) continue;
      const text = only(only(bytesOf(value), 2), 1);
      return JSON.parse(new TextDecoder().decode(text));
    }
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof SyntaxError)) throw error;
  }
  return undefined;
}
