/**
 * As much of protobuf's wire format as the messages of Flight need.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import { ProtocolError } from "../errors.js";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const PAYLOAD_BITS = 7n;
const PAYLOAD_MASK = 0x7fn;
const MORE = 0x80;
const VARINT_BYTES_MAX = 10;
const TEXT = new TextDecoder();

/** A field's value: bytes of what has a length, and a whole number of what has none. */
export type FieldValue = Uint8Array | bigint;

/**
 * The fields of a message in their order, each by its number. Bytes share the message's memory.
 *
 * @throws `ProtocolError` for what is no message, or breaks off.
 */
export function* fields(message: Uint8Array): Generator<[number, FieldValue], void, undefined> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = message[at++];
      if (byte === undefined) throw cut();
      value |= (BigInt(byte) & PAYLOAD_MASK) << (PAYLOAD_BITS * BigInt(count));
      if (byte < MORE) return BigInt.asUintN(64, value);
    }
    throw new ProtocolError("A message of Flight holds a number that does not end.");
  };
  const bytes = (length: number) => {
    const end = at + length;
    if (!(end <= message.byteLength)) throw cut();
    const part = message.subarray(at, end);
    at = end;
    return part;
  };
  while (at < message.byteLength) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT:
        yield [number, varint()];
        break;
      case BYTES:
        yield [number, bytes(Number(varint()))];
        break;
      case FIXED64:
        yield [number, bytes(8)];
        break;
      case FIXED32:
        yield [number, bytes(4)];
        break;
      default:
        throw new ProtocolError("A message of Flight has a field of no kind that is known.");
    }
  }
}

/** The value as bytes; those of a field that has another kind are none. */
export function bytesOf(value: FieldValue): Uint8Array {
  if (typeof value === "bigint") throw new ProtocolError("A message of Flight has a wrong field.");
  return value;
}

/** The value as text. */
export function textOf(value: FieldValue): string {
  return TEXT.decode(bytesOf(value));
}

/** The value as a number that may be below zero: 64 bits in the two's complement. */
export function numberOf(value: FieldValue): number {
  if (typeof value !== "bigint") throw new ProtocolError("A message of Flight has a wrong field.");
  return Number(BigInt.asIntN(64, value));
}

/** What a field is made of; one that has its default, or is not there, is left out. */
export type Given = string | Uint8Array | number | undefined;

/** A message of these fields, each its number and its value, in the order in which they are given. */
export function message(...given: readonly (readonly [number, Given])[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [number, value] of given) {
    if (value === undefined || value === 0) continue;
    if (typeof value === "number") {
      parts.push(varintOf(number * 8 + VARINT), varintOf(value));
      continue;
    }
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    parts.push(varintOf(number * 8 + BYTES), varintOf(bytes.byteLength), bytes);
  }
  return Buffer.concat(parts);
}

function varintOf(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (;;) {
    const low = Number(rest & PAYLOAD_MASK);
    rest >>= PAYLOAD_BITS;
    bytes.push(rest === 0n ? low : low | MORE);
    if (rest === 0n) return Uint8Array.from(bytes);
  }
}

function cut(): ProtocolError {
  return new ProtocolError("A message of Flight breaks off.");
}
