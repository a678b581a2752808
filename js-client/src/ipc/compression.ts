/**
 * Buffers that the stream carries compressed.
 *
 * A codec is a few kilobytes that most programs do not need, so each is a module of its own:
 * `import "pixelflight/zstd"`, `import "pixelflight/lz4"`. Over HTTP the whole body is better
 * compressed by `Content-Encoding`, which every `fetch` undoes by itself.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#compression
 */
import { CompressionType } from "apache-arrow";
import { ProtocolError, UnsupportedTypeError } from "../errors.js";
import type { BatchHeader } from "./header.js";
import type { Body } from "./loader.js";
import { ALIGNMENT } from "./message.js";

/** Undoes the compression of one buffer: what was compressed, and how long it was before. */
export type Decompress = (bytes: Uint8Array, length: number) => Uint8Array;

const codecs = new Map<CompressionType, Decompress>();
const NAMES = new Map([
  [CompressionType.LZ4_FRAME, "lz4"],
  [CompressionType.ZSTD, "zstd"],
]);
const LENGTH_BYTES = 8;
const NOT_COMPRESSED = -1;
/** The most that one batch may become: a small one can be made to announce any size. */
const PLAIN_BYTES_MAX = 2 ** 31 - 1;

/** Registers a codec for all streams of the program. */
export function registerCodec(type: CompressionType, decompress: Decompress): void {
  codecs.set(type, decompress);
}

/** The buffers of a batch, as they were before they were compressed. */
export function bodyOf({ compression, buffers }: BatchHeader, body: Uint8Array): Body {
  const sent: Body = (index) => part(body, buffers[index]);
  if (compression === undefined) return sent;
  const name = NAMES.get(compression) ?? `codec ${compression}`;
  const decompress = codecs.get(compression);
  if (!decompress) {
    throw new UnsupportedTypeError(
      `The stream is compressed with ${name}: import "pixelflight/${name}" first.`,
    );
  }
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

function part(
  body: Uint8Array,
  buffer: { offset: number; length: number } | undefined,
): Uint8Array {
  if (!buffer) throw new ProtocolError("A batch has fewer buffers than its columns need.");
  const end = buffer.offset + buffer.length;
  if (!(buffer.offset >= 0 && buffer.length >= 0 && end <= body.byteLength)) {
    throw new ProtocolError("A buffer of a batch lies outside of its body.");
  }
  const bytes = body.subarray(buffer.offset, end);
  // Numbers are read where they stand, which needs this.
  return bytes.byteOffset % ALIGNMENT === 0 ? bytes : new Uint8Array(bytes);
}
