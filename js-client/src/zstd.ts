/** Streams whose buffers are compressed with Zstandard: importing this is enough. */
import { CompressionType } from "apache-arrow";
import { decompress } from "fzstd";
import { registerCodec } from "./ipc/compression.js";

registerCodec(CompressionType.ZSTD, (bytes, length) => decompress(bytes, new Uint8Array(length)));
