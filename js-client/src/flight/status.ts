/** How calls end that do not end well, as errors of this package. */
import { type StatusObject, status } from "@grpc/grpc-js";
import {
  ConnectionError,
  type ErrorCode,
  errorOfJson,
  type PixelflightError,
  TruncatedError,
} from "../errors.js";
import { toldInStatus } from "./messages.js";

const DETAILS = "grpc-status-details-bin";

/** What a status says where no server of ours has put more into it. */
const CODES: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.CANCELLED]: "cancelled",
  [status.INVALID_ARGUMENT]: "invalid_request",
  [status.DEADLINE_EXCEEDED]: "timed_out",
  [status.NOT_FOUND]: "not_found",
  [status.ALREADY_EXISTS]: "already_exists",
  [status.PERMISSION_DENIED]: "forbidden",
  [status.RESOURCE_EXHAUSTED]: "limit_exceeded",
  [status.FAILED_PRECONDITION]: "invalid_request",
  [status.ABORTED]: "conflict",
  [status.OUT_OF_RANGE]: "invalid_request",
  [status.UNIMPLEMENTED]: "unsupported",
  [status.UNAUTHENTICATED]: "unauthenticated",
};

/** The error of a call that ended with this status; `begun` says whether anything had come of it. */
export function errorOfStatus(
  { code, details, metadata }: Pick<StatusObject, "code" | "details" | "metadata">,
  url: string,
  begun: boolean,
): PixelflightError {
  const [bytes] = metadata.get(DETAILS);
  const told = bytes instanceof Uint8Array ? toldInStatus(bytes) : undefined;
  if (told !== undefined) return errorOfJson(told);
  if (code === status.UNAVAILABLE || (code === status.INTERNAL && isReset(details))) {
    if (wasNeverThere(details)) return new ConnectionError(unreachable(url, details));
    const Broken = begun ? TruncatedError : ConnectionError;
    return new Broken(`The call to ${url} broke off: ${details.replace(/\.$/, "")}.`);
  }
  return errorOfJson({
    code: CODES[code] ?? "internal",
    message: `The server at ${url} answered: ${details}`,
  });
}

/** Whether gRPC says that there was no connection at all. */
function wasNeverThere(details: string): boolean {
  return /^(No connection established|Name resolution failed)/.test(details);
}

/** Whether the other side ended the stream without a status. */
function isReset(details: string): boolean {
  return details.includes("RST_STREAM");
}

/** Why nobody answered, as far as it can be told, and what to do. */
function unreachable(url: string, details: string): string {
  const secure = url.startsWith("grpc+tls://");
  // gRPC adds the time and notes of its own to what the system said.
  const [said = ""] = details.split(/\.? Resolution note:/);
  const why = said.replace(/^.*Last error: (Error: )?/s, "").replace(/ \(\d{4}-[^)]*\).*$/s, "");
  if (/certificate|altname/i.test(why)) {
    return `No secure connection to ${url}: ${why}. 'tls.roots' names the authority that the server's certificate is of.`;
  }
  if (/SSL/.test(why)) {
    return `No secure connection to ${url}: the server does not speak TLS. Use grpc:// for it.`;
  }
  // All that is known of a connection that the other side closed before it said anything.
  if (/Failed to connect|ECONNRESET/.test(why)) {
    const hint = secure
      ? "It may ask for a certificate: give 'tls.certificate' and 'tls.privateKey'"
      : "If it speaks TLS, use grpc+tls://";
    return `The server at ${url} closed the connection. ${hint}.`;
  }
  return `No Flight server answers at ${url}: ${why}. A server tells the address of its Flight when it starts.`;
}
