import { ProtocolError, TruncatedError } from "../errors.js";
import { bodyLength } from "./header.js";
import { CONTINUATION, type IpcMessage } from "./message.js";

/** Limits on what a stream may announce, in bytes: what is above is refused before it is fetched. */
export interface FrameLimits {
  /** Of the description of one batch. */
  readonly headerBytesMax: number;
  /** Of the buffers of one batch. */
  readonly bodyBytesMax: number;
}

export const FRAME_LIMITS: FrameLimits = {
  headerBytesMax: 64 * 2 ** 20,
  bodyBytesMax: 2 ** 31 - 1,
};

const PREFIX_BYTES = 4;
/** What is taken of memory before the bytes for it have come: a header can announce any size. */
const AHEAD_BYTES = 16 * 2 ** 20;
const NOTHING = new Uint8Array(0);

type Part = "prefix" | "length" | "header" | "body";

/**
 * Cuts chunks of an Arrow IPC stream, whatever their sizes, into messages.
 *
 * A message comes out as soon as its last byte is in. Each header and each body has memory of its
 * own, so that buffers stand at multiples of 8 bytes and no message keeps another one's memory.
 */
export class Framer {
  /** Whether the mark of the end was seen: without it the stream was cut. */
  ended = false;
  private part: Part = "prefix";
  private wanted = PREFIX_BYTES;
  private room = new Uint8Array(PREFIX_BYTES);
  private filled = 0;
  private header: Uint8Array = NOTHING;

  constructor(private readonly limits: FrameLimits = FRAME_LIMITS) {}

  /** The messages that end in this chunk. What follows the mark of the end is not looked at. */
  *push(chunk: Uint8Array): Generator<IpcMessage, void, undefined> {
    let at = 0;
    while (!this.ended && at < chunk.byteLength) {
      const count = Math.min(this.free(), chunk.byteLength - at);
      this.room.set(chunk.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      while (!this.ended && this.filled === this.wanted) {
        const message = this.advance();
        if (message) yield message;
      }
    }
  }

  /**
   * Says that no chunk follows.
   *
   * @throws {@link TruncatedError} if the mark of the end was not among them.
   */
  finish(): void {
    if (!this.ended) throw new TruncatedError("The stream broke off before its end.");
  }

  private advance(): IpcMessage | undefined {
    const got = this.room;
    switch (this.part) {
      case "prefix": {
        // Streams older than Arrow 0.15 have no mark before the length.
        const first = new DataView(got.buffer).getUint32(0, true);
        if (first === CONTINUATION) this.want("length", PREFIX_BYTES);
        else this.measure(first);
        return undefined;
      }
      case "length":
        this.measure(new DataView(got.buffer).getUint32(0, true));
        return undefined;
      case "header": {
        const length = bodyLength(got);
        if (!(length >= 0 && length <= this.limits.bodyBytesMax)) {
          throw new ProtocolError(tooLarge("batch", length, this.limits.bodyBytesMax));
        }
        this.header = got;
        this.want("body", length);
        return undefined;
      }
      case "body": {
        const message = { header: this.header, body: got };
        this.want("prefix", PREFIX_BYTES);
        return message;
      }
    }
  }

  private measure(length: number): void {
    if (length === 0) {
      this.ended = true;
      return;
    }
    if (length > this.limits.headerBytesMax) {
      throw new ProtocolError(tooLarge("header", length, this.limits.headerBytesMax));
    }
    this.want("header", length);
  }

  private want(part: Part, bytes: number): void {
    this.part = part;
    this.wanted = bytes;
    this.room = new Uint8Array(Math.min(bytes, AHEAD_BYTES));
    this.filled = 0;
  }

  /** How many bytes there is room for, which grows with what has come. */
  private free(): number {
    if (this.filled === this.room.byteLength) {
      const larger = new Uint8Array(Math.min(this.wanted, 2 * this.filled));
      larger.set(this.room);
      this.room = larger;
    }
    return this.room.byteLength - this.filled;
  }
}

function tooLarge(what: string, length: number, max: number): string {
  return `This is no Arrow stream, or its next ${what} is too large: ${length} bytes, at most ${max} are taken.`;
}
