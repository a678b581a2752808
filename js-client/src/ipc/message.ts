/**
 * What an Arrow stream is made of, on either transport.
 *
 * Arrow IPC over HTTP frames messages itself; Flight sends each as one `FlightData`. Both come to
 * the decoder in this form, and leave the encoder in it.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
 */
export interface IpcMessage {
  /** The flatbuffer `Message`. */
  readonly header: Uint8Array;
  /** Its buffers, each at a multiple of 8 bytes; empty for a schema. */
  readonly body: Uint8Array;
  /** What Flight sends beside a message. */
  readonly appMetadata?: Uint8Array;
}

/** What such a stream is called over HTTP. */
export const ARROW = "application/vnd.apache.arrow.stream";

/** The first four bytes of a message: what follows is a length, and not itself the length. */
export const CONTINUATION = 0xffffffff;

/** Buffers, and whole messages, stand at multiples of this. */
export const ALIGNMENT = 8;

/** The end of a stream: a message of no length. */
export const END_OF_STREAM = new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]);

/** The smallest multiple of {@link ALIGNMENT} that is not below the length. */
export function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/** The bytes of a message in a stream: its prefix and header in one piece, and its body. */
export function framed({ header, body }: IpcMessage): [Uint8Array, Uint8Array] {
  const padded = aligned(header.byteLength);
  const head = new Uint8Array(ALIGNMENT + padded);
  const view = new DataView(head.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setInt32(4, padded, true);
  head.set(header, ALIGNMENT);
  return [head, body];
}
