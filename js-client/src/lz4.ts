/** Streams whose buffers are compressed with LZ4: importing this is enough. */
import { CompressionType } from "apache-arrow";
import { decompress } from "lz4js";
import { registerCodec } from "./ipc/compression.js";

registerCodec(CompressionType.LZ4_FRAME, (bytes, length) => decompress(bytes, length));
