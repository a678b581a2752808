/**
 * The two fields of a flatbuffer `Message` that framing needs, read in place.
 *
 * apache-arrow decodes messages whole; to cut a stream, only the length of the body is needed.
 * Source: https://github.com/apache/arrow/blob/main/format/Message.fbs
 */
import { ProtocolError } from "../errors.js";

// A table's vtable has a slot of 2 bytes for each field, after two of its own.
const SLOT_BYTES = 2;
const SLOTS_BEFORE = 2;
const HEADER_TYPE = 1;
const BODY_LENGTH = 3;

/** The bytes of the body that follows the header. */
export function bodyLength(header: Uint8Array): number {
  return read(header, BODY_LENGTH, (view, at) => Number(view.getBigInt64(at, true)));
}

/** What the message is: a number of apache-arrow's `MessageHeader`. */
export function headerType(header: Uint8Array): number {
  return read(header, HEADER_TYPE, (view, at) => view.getUint8(at));
}

function read(
  header: Uint8Array,
  field: number,
  value: (view: DataView, at: number) => number,
): number {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const slot = SLOT_BYTES * (SLOTS_BEFORE + field);
  try {
    const table = view.getUint32(0, true);
    const vtable = table - view.getInt32(table, true);
    if (slot >= view.getUint16(vtable, true)) return 0;
    const offset = view.getUint16(vtable + slot, true);
    // A field that is not there has its default.
    return offset === 0 ? 0 : value(view, table + offset);
  } catch (cause) {
    throw new ProtocolError("This is no Arrow stream: a message has no header.", { cause });
  }
}
