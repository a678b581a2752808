import { type ClientReadableStream, type Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { TruncatedError } from "../errors.js";
import { errorOfStatus } from "./status.js";

/** What comes of a call. It is read once, by a loop. */
type Call = Pick<ClientReadableStream<Buffer>, "cancel" | "on" | "read"> & AsyncIterable<Buffer>;

/**
 * The messages of one call, as bytes.
 *
 * They end only where the server has said that all is well. Whoever leaves the loop cancels the
 * call, and so does the signal. From the first look on, gRPC runs up to 16 messages ahead of the
 * reader, and no further.
 */
export class Incoming implements AsyncIterable<Buffer> {
  private status: StatusObject | undefined;
  private metadata: Metadata | undefined;
  private wake: () => void = () => undefined;

  constructor(
    private readonly call: Call,
    private readonly signal: AbortSignal,
    private readonly url: string,
  ) {
    // An error that nobody listens for would end the process; the status says the same.
    call.on("error", () => undefined);
    // Streams tell of their errors once: what comes before somebody reads would be lost.
    call.on("status", (ended) => {
      this.status = ended;
      signal.removeEventListener("abort", this.cancel);
      this.wake();
    });
    call.on("metadata", (metadata) => {
      this.metadata = metadata;
    });
    signal.addEventListener("abort", this.cancel, { once: true });
  }

  /** Whether the server has ended the call: it takes no more. */
  get ended(): boolean {
    return this.status !== undefined;
  }

  /** The promise's value, or nothing where the call ends before. One is waited for at a time. */
  async during<T>(promise: Promise<T>): Promise<T | undefined> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      const settled = () => resolve();
      promise.then(settled, settled);
      if (this.ended) resolve();
    });
    if (!this.ended) return await promise;
    promise.catch(() => undefined);
    return undefined;
  }

  /** A header, or a trailer, that has come by now. */
  header(name: string): string | undefined {
    const values = [
      ...(this.metadata?.get(name) ?? []),
      ...(this.status?.metadata.get(name) ?? []),
    ];
    return values.find((value) => typeof value === "string");
  }

  /** Begins to fetch. */
  readAhead(): void {
    this.call.read(0);
  }

  /** Ends the call, if it goes on still. */
  readonly cancel = (): void => {
    if (!this.status) this.call.cancel();
  };

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    let begun = false;
    try {
      for await (const message of this.call) {
        this.signal.throwIfAborted();
        yield message;
        begun = true;
      }
    } catch (error) {
      this.signal.throwIfAborted();
      if (!this.status) throw error;
    } finally {
      this.cancel();
    }
    if (!this.status) throw new TruncatedError(`The call to ${this.url} ended without a status.`);
    if (this.status.code !== status.OK) throw errorOfStatus(this.status, this.url, begun);
  }
}
