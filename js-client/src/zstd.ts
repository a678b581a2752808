/**
 * Streams whose buffers are compressed with Zstandard: importing this is enough.
 *
 * Source: https://www.rfc-editor.org/rfc/rfc8878#name-frame-header
 */
import { CompressionType } from "apache-arrow";
import { Decompress, decompress } from "fzstd";
import { codecOf } from "./ipc/codec.js";
import { registerCodec } from "./ipc/compression.js";

const DESCRIPTOR = 4;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_BYTES = [0, 1, 2, 4];
/** What is added to a content size of two bytes. */
const TWO_BYTES_MORE = 256;

const codec = codecOf((bytes, length) => {
  const size = contentSize(bytes);
  if (size === undefined) return inSteps(bytes, length);
  if (size !== length) throw new RangeError(`The frame says that it holds ${size} bytes.`);
  return decompress(bytes, new Uint8Array(length));
});
registerCodec(CompressionType.ZSTD, codec);

/** How many bytes the frame says that it holds; nothing if it was written before that was known. */
function contentSize(frame: Uint8Array): number | undefined {
  const descriptor = frame[DESCRIPTOR] ?? 0;
  const isWhole = (descriptor & 0x20) !== 0;
  const bytes = CONTENT_SIZE_BYTES[descriptor >> 6] || Number(isWhole);
  if (bytes === 0) return undefined;
  const at = DESCRIPTOR + (isWhole ? 1 : 2) + (DICTIONARY_BYTES[descriptor & 3] ?? 0);
  let size = 0;
  for (let n = bytes - 1; n >= 0; n--) size = size * 256 + (frame[at + n] ?? 0);
  return bytes === 2 ? size + TWO_BYTES_MORE : size;
}

/** Stops where more comes than was announced. */
function inSteps(frame: Uint8Array, length: number): Uint8Array {
  const plain = new Uint8Array(length);
  let filled = 0;
  const stream = new Decompress((chunk) => {
    plain.set(chunk, filled);
    filled += chunk.byteLength;
  });
  stream.push(frame, true);
  return plain.subarray(0, filled);
}
