/** Files that go to the server and come from it. */
import type { Answer } from "../answers.js";
import { TruncatedError } from "../errors.js";
import type { Schemas } from "../schemas.js";
import { pathText } from "./operations.js";
import type { CallOptions } from "./options.js";
import { RowCalls } from "./rows.js";

/** How a file is sent. */
export interface UploadOptions extends CallOptions {
  /** What the file is called, for the ending that tells its format; a `File` has a name. */
  readonly name?: string | undefined;
  /** An upload that was begun: it is gone on with. */
  readonly uploadId?: string | undefined;
  /** How many bytes are sent at once; 8 MiB without it. */
  readonly partBytes?: number | undefined;
  /** Told how many bytes of the file are there. */
  readonly onProgress?: ((bytes: number, bytesTotal: number) => void) | undefined;
}

/** How a file is fetched. */
export interface DownloadOptions extends CallOptions {
  /** Where in the file to begin, in bytes. */
  readonly offset?: number | undefined;
}

const PART_BYTES = 8 * 1024 * 1024;

/** Families of calls about files. */
export class FileCalls<S extends object = Schemas> extends RowCalls<S> {
  /**
   * Sends a file in parts, for `importData({ upload_id, … })`: the upload's id. A part whose
   * answer was lost is asked for, and gone on behind. Each is compared by its SHA-256, where the
   * page may compute one.
   */
  async upload(data: Blob | BufferSource | string, options: UploadOptions = {}): Promise<string> {
    const { uploadId, onProgress, partBytes = PART_BYTES, ...rest } = options;
    const blob = data instanceof Blob ? data : new Blob([data]);
    const name = options.name ?? ("name" in blob ? String(blob.name) : "upload");
    const begun = await (uploadId === undefined
      ? this.createUpload({ name, bytes: blob.size }, rest)
      : this.describeUpload(uploadId, rest));
    const id = begun.upload_id;
    let { offset } = begun;
    const wanted = (from: number) => blob.slice(from, from + partBytes).arrayBuffer();
    while (offset < blob.size) {
      offset = await this.part(id, wanted, offset, rest);
      onProgress?.(offset, blob.size);
    }
    await this.completeUpload(id, {}, rest);
    return id;
  }

  /** What an export has written, in chunks. Where the connection breaks it is gone on with. */
  async *download(
    jobId: string,
    options: DownloadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const path = `/batch/jobs/${pathText(jobId, "download")}/download`;
    let { offset = 0 } = options;
    for (;;) {
      const before = offset;
      const headers = offset === 0 ? {} : { range: `bytes=${offset}-` };
      try {
        for await (const chunk of this.bytes({ method: "GET", path, headers }, options)) {
          offset += chunk.byteLength;
          yield chunk;
        }
        return;
      } catch (error) {
        if (!(error instanceof TruncatedError) || offset === before) throw error;
      }
    }
  }

  /** Sends the part that begins there: the offset of the next one. */
  private async part(
    id: string,
    wanted: (from: number) => Promise<ArrayBuffer>,
    begin: number,
    options: CallOptions,
  ): Promise<number> {
    const path = `/batch/uploads/${pathText(id, "upload")}`;
    let offset = begin;
    let isFirst = true;
    return await this.attempted(`upload ${id}`, options, async (signal) => {
      if (!isFirst) ({ offset } = await this.describeUpload(id, { signal }));
      isFirst = false;
      const body = await wanted(offset);
      if (body.byteLength === 0) return offset;
      const query = { offset, sha256: await sha256(body) };
      const headers = { "content-type": "application/octet-stream" };
      const sent = await this.connection.send({
        method: "PUT",
        path,
        query,
        headers,
        body,
        signal,
      });
      return ((await sent.json()) as Answer<"describe_upload">).offset;
    });
  }
}

/** The digest in hex; nothing on pages that are not secure, where there is none to be had. */
async function sha256(bytes: ArrayBuffer): Promise<string | undefined> {
  if (!globalThis.crypto.subtle) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
