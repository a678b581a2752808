/**
 * Buffers that are compressed one by one, behind the length that they had: what all codecs share.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#compression
 */
import { ProtocolError } from "../errors.js";
import type { Codec } from "./compression.js";

/** Undoes the compression of one buffer: what was compressed, and how long it was before. */
export type Decompress = (bytes: Uint8Array, length: number) => Uint8Array;

const LENGTH_BYTES = 8;
const NOT_COMPRESSED = -1;
/** The most that one batch may become: a small one can be made to announce any size. */
const PLAIN_BYTES_MAX = 2 ** 31 - 1;

/** What reads buffers of which each was compressed so. */
export function codecOf(decompress: Decompress): Codec {
  return (sent) => {
    let left = PLAIN_BYTES_MAX;
    return (index) => {
      const bytes = sent(index);
      if (bytes.byteLength === 0) return bytes;
      if (bytes.byteLength < LENGTH_BYTES) throw new ProtocolError("A compressed buffer is cut.");
      const view = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES);
      const length = Number(view.getBigInt64(0, true));
      const rest = bytes.subarray(LENGTH_BYTES);
      if (length === NOT_COMPRESSED) return rest;
      if (!(length >= 0 && length <= left)) {
        throw new ProtocolError(`A compressed buffer says that it is ${length} bytes long.`);
      }
      left -= length;
      return decompressed(decompress, rest, length);
    };
  };
}

function decompressed(decompress: Decompress, bytes: Uint8Array, length: number): Uint8Array {
  let plain: Uint8Array;
  try {
    plain = decompress(bytes, length);
  } catch (cause) {
    throw new ProtocolError("A compressed buffer cannot be read.", { cause });
  }
  if (plain.byteLength === length) return plain;
  throw new ProtocolError("A compressed buffer is not as long as it says.");
}
