import { readFileSync } from "node:fs";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import {
  AlreadyExistsError,
  CancelledError,
  ConflictError,
  ConnectionError,
  ForbiddenError,
  InternalError,
  InvalidRequestError,
  LimitExceededError,
  NotFoundError,
  ProtocolError,
  TimeoutError,
  TruncatedError,
  UnauthenticatedError,
  UnsupportedError,
} from "../src/errors.js";
import { schemaOf } from "../src/flight/client.js";
import * as messages from "../src/flight/messages.js";
import { fields, message, numberOf } from "../src/flight/protobuf.js";
import { errorOfStatus } from "../src/flight/status.js";

// Made by pyarrow and protobuf: see make_flight_bytes.py.
const HEX: Record<string, string> = JSON.parse(
  readFileSync(new URL("flight_bytes.json", import.meta.url), "utf8"),
);
const bytes = (name: string) => Buffer.from(HEX[name] as string, "hex");
const text = (given: Uint8Array | undefined) => Buffer.from(given ?? []).toString();

describe("messages are written as others write them", () => {
  const command = '{"sql": "select 1"}';
  const data = { header: bytes("header"), body: bytes("body") };
  test.each([
    ["path", messages.descriptorBytes({ path: ["a/b", "t", "ü"] })],
    ["command", messages.descriptorBytes({ command })],
    ["ticket", messages.ticketBytes("one")],
    ["action", messages.actionBytes("drop", "{}")],
    ["data", messages.flightData({ ...data, appMetadata: Buffer.from("beside") })],
    ["data with a descriptor", messages.flightData(data, messages.descriptorBytes({ command }))],
    ["data without a body", messages.flightData({ ...data, body: new Uint8Array(0) })],
  ])("%s", (name, made) => {
    expect(Buffer.from(made).toString("hex")).toBe(HEX[name]);
  });

  test("a handshake's payload", () => {
    const made = messages.handshakePayload(messages.handshakeBytes("ann", "secret"));
    expect(Buffer.from(made).toString("hex")).toBe(HEX.basic);
  });
});

describe("messages of others are read", () => {
  test("an info with its endpoints", () => {
    const info = messages.flightInfo(bytes("info"));
    expect(info).toMatchObject({ totalRecords: -1, totalBytes: 2 ** 40, ordered: true });
    expect(info.descriptor).toEqual({ path: ["a/b", "t", "ü"] });
    expect(text(info.appMetadata)).toBe('{"snapshot": 3}');
    const [one, two] = info.endpoints;
    expect(text(one?.ticket)).toBe("one");
    expect(one?.locations).toEqual(["grpc://host:1", "grpc+tls://host:2"]);
    expect(one?.expiresAt).toEqual(new Date("2026-01-31T12:00:00.250Z"));
    expect(text(one?.appMetadata)).toBe("beside");
    expect(text(two?.ticket)).toBe("two".repeat(100));
    expect(two).toMatchObject({ locations: [], expiresAt: undefined });
    const schema = schemaOf(info.schema);
    expect(schema.fields.map(String)).toEqual(["id: Int64", "name: Utf8"]);
    expect(String(schemaOf(bytes("schema")))).toBe(String(schema));
  });

  test("a result", () => {
    expect(messages.resultBody(bytes("result"))).toEqual(Buffer.alloc(200));
  });

  test("the error in a status", () => {
    expect(messages.toldInStatus(bytes("status"))).toMatchObject({
      code: "table_not_found",
      request_id: "r1",
    });
    expect(messages.toldInStatus(Buffer.from("no status"))).toBeUndefined();
  });

  test("a batch, whose body is copied only where it stands badly", () => {
    const data = bytes("data");
    const lacking = data.byteLength - bytes("body").byteLength;
    for (let at = 0; at < 8; at++) {
      const memory = new Uint8Array(at + data.byteLength);
      memory.set(data, at);
      const read = messages.ipcMessage(memory.subarray(at));
      expect(Buffer.from(read.header)).toEqual(bytes("header"));
      expect(Buffer.from(read.body)).toEqual(bytes("body"));
      expect(text(read.appMetadata)).toBe("beside");
      expect(read.body.byteOffset % 8).toBe(0);
      expect(read.body.buffer === memory.buffer).toBe((at + lacking) % 8 === 0);
    }
  });

  test("metadata alone", () => {
    const read = messages.ipcMessage(bytes("data of metadata alone"));
    expect(read.header.byteLength).toBe(0);
    expect(text(read.appMetadata)).toBe("beside");
  });
});

describe("the end of a call", () => {
  const url = "grpc://host:1";
  const ended = (code: status, details: string, metadata = new Metadata()) => ({
    code,
    details,
    metadata,
  });

  test("as the server's JSON tells it, whatever its status", () => {
    const error = errorOfStatus(ended(status.UNKNOWN, "", told({ code: "conflict" })), url, true);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ code: "conflict", retryable: true, retryAfterMs: undefined });
  });

  test("says how long to wait", () => {
    const details = { retry_after_seconds: 2.5 };
    const metadata = told({ code: "limit_exceeded", details, request_id: "r1" });
    const error = errorOfStatus(ended(status.UNKNOWN, "", metadata), url, false);
    expect(error).toBeInstanceOf(LimitExceededError);
    expect(error).toMatchObject({ retryAfterMs: 2500, details, requestId: "r1" });
  });

  test.each([
    [status.CANCELLED, "cancelled", CancelledError],
    [status.UNKNOWN, "internal", InternalError],
    [status.INVALID_ARGUMENT, "invalid_request", InvalidRequestError],
    [status.DEADLINE_EXCEEDED, "timed_out", TimeoutError],
    [status.NOT_FOUND, "not_found", NotFoundError],
    [status.ALREADY_EXISTS, "already_exists", AlreadyExistsError],
    [status.PERMISSION_DENIED, "forbidden", ForbiddenError],
    [status.RESOURCE_EXHAUSTED, "limit_exceeded", LimitExceededError],
    [status.FAILED_PRECONDITION, "invalid_request", InvalidRequestError],
    [status.ABORTED, "conflict", ConflictError],
    [status.OUT_OF_RANGE, "invalid_request", InvalidRequestError],
    [status.UNIMPLEMENTED, "unsupported", UnsupportedError],
    [status.INTERNAL, "internal", InternalError],
    [status.UNAVAILABLE, "unavailable", ConnectionError],
    [status.DATA_LOSS, "internal", InternalError],
    [status.UNAUTHENTICATED, "unauthenticated", UnauthenticatedError],
  ])("with the status %i of others is %s", (code, expected, kind) => {
    const error = errorOfStatus(ended(code, "Words of theirs."), url, false);
    expect(error).toBeInstanceOf(kind);
    expect(error.code).toBe(expected);
    expect(error.message).toContain(url);
    expect(error.message).toContain("Words of theirs.");
  });

  test("without a status is a stream that broke off", () => {
    const reset = ended(status.INTERNAL, "Received RST_STREAM with code 2");
    expect(errorOfStatus(reset, url, true)).toBeInstanceOf(TruncatedError);
  });
});

/** Trailers as a server of ours sends them. */
function told(error: object): Metadata {
  const json = message([1, JSON.stringify(error)]);
  const detail = message([1, "type.googleapis.com/google.protobuf.StringValue"], [2, json]);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", message([3, detail]));
  return metadata;
}

test("numbers below zero, and beyond 32 bits", () => {
  for (const number of [1, 127, 128, 300, 2 ** 31, 2 ** 53 - 1, -1, -(2 ** 40)]) {
    const [[field, value] = []] = fields(message([7, number]));
    expect(field).toBe(7);
    expect(numberOf(value as bigint)).toBe(number);
  }
});

test("what breaks off, or is nothing of the kind, is an error", () => {
  const info = bytes("info");
  expect(() => messages.flightInfo(info.subarray(0, info.byteLength - 1))).toThrow(ProtocolError);
  expect(() => messages.flightInfo(Buffer.alloc(20, 0xff))).toThrow(ProtocolError);
  expect(() => messages.flightInfo(Buffer.from([0x0f]))).toThrow(ProtocolError);
  expect(() => messages.flightInfo(message([1, 5]))).toThrow(ProtocolError);
  expect(() => messages.flightInfo(message([4, "text"]))).toThrow(ProtocolError);
  expect(() => schemaOf(Buffer.alloc(0))).toThrow(ProtocolError);
});
