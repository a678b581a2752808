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

/** Gives the buffers of one batch as they were, of those that were sent. */
export type Codec = (sent: Body) => Body;

const codecs = new Map<CompressionType, Codec>();
const NAMES = new Map([
  [CompressionType.LZ4_FRAME, "lz4"],
  [CompressionType.ZSTD, "zstd"],
]);

/** Registers a codec for all streams of the program. */
export function registerCodec(type: CompressionType, codec: Codec): void {
  codecs.set(type, codec);
}

/** The buffers of a batch, as they were before they were compressed. */
export function bodyOf({ compression, buffers }: BatchHeader, body: Uint8Array): Body {
  const sent: Body = (index) => part(body, buffers[index]);
  if (compression === undefined) return sent;
  const codec = codecs.get(compression);
  if (codec) return codec(sent);
  const name = NAMES.get(compression) ?? `codec ${compression}`;
  throw new UnsupportedTypeError(
    `The stream is compressed with ${name}: import "pixelflight/${name}" first.`,
  );
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
