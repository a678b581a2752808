/**
 * Streams whose buffers are compressed with LZ4: importing this is enough.
 *
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
import { CompressionType } from "apache-arrow";
import { decompressFrame } from "lz4js";
import { codecOf } from "./ipc/codec.js";
import { registerCodec } from "./ipc/compression.js";

const FLAGS = 4;
const HAS_CONTENT_SIZE = 0x08;
const HAS_BLOCK_CHECKSUMS = 0x10;
/** Magic number, flags, block size and checksum of the header. */
const HEADER_BYTES = 7;
const SIZE_BYTES = 8;
const WORD_BYTES = 4;
const NOT_COMPRESSED = 0x8000_0000;

const codec = codecOf((bytes, length) => {
  checkBlocks(bytes);
  const plain = new Uint8Array(length);
  // It counts on where its room ends, and so tells how long the frame is in truth.
  const size = decompressFrame(bytes, plain);
  if (size !== length) throw new RangeError(`The frame holds ${size} bytes.`);
  return plain;
});
registerCodec(CompressionType.LZ4_FRAME, codec);

/** Blocks have to lie within the frame: the decoder would go on behind its end. */
function checkBlocks(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const flags = view.getUint8(FLAGS);
  const checksum = flags & HAS_BLOCK_CHECKSUMS ? WORD_BYTES : 0;
  let at = HEADER_BYTES + (flags & HAS_CONTENT_SIZE ? SIZE_BYTES : 0);
  for (;;) {
    const size = view.getUint32(at, true) % NOT_COMPRESSED;
    at += WORD_BYTES;
    if (size === 0) return;
    at += size + checksum;
  }
}
