/**
 * One tree of errors. Those that the server tells have its code, from the table in
 * `generated/codes.ts`; those that it cannot tell (it was not reached, it broke off) have classes
 * of their own.
 */
import { CODES, type ErrorCode, RETRYABLE } from "./generated/codes.js";

export type { ErrorCode } from "./generated/codes.js";

/** What an error carries beside its sentence. */
export interface ErrorFields extends ErrorOptions {
  code?: ErrorCode;
  retryable?: boolean;
  requestId?: string;
  details?: Readonly<Record<string, unknown>>;
  status?: number;
  retryAfterMs?: number;
}

/** The base of all errors of this package. `message` is a sentence for a person. */
export class PixelflightError extends Error {
  override readonly name: string = "PixelflightError";
  /** Programs decide by this one. */
  readonly code: ErrorCode;
  /** Whether the same request, sent again unchanged, may succeed. */
  readonly retryable: boolean;
  /** By which the server's log knows the request. */
  readonly requestId: string | undefined;
  /** What the server says for programs. */
  readonly details: Readonly<Record<string, unknown>>;
  /** The HTTP status, where it came over HTTP. */
  readonly status: number | undefined;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code ?? "internal";
    this.retryable = fields.retryable ?? RETRYABLE.includes(this.code);
    this.requestId = fields.requestId;
    this.details = fields.details ?? {};
    this.status = fields.status;
    this.retryAfterMs = fields.retryAfterMs;
  }
}

/** The thing named does not exist, or is hidden from you. */
export class NotFoundError extends PixelflightError {
  override readonly name: string = "NotFoundError";
}

/** Something of this name exists already. */
export class AlreadyExistsError extends PixelflightError {
  override readonly name: string = "AlreadyExistsError";
}

/** The request, or the data in it, is wrong. */
export class InvalidRequestError extends PixelflightError {
  override readonly name: string = "InvalidRequestError";
}

/** The server or the engine cannot do it. */
export class UnsupportedError extends PixelflightError {
  override readonly name: string = "UnsupportedError";
}

/** Somebody else came first, or things do not stand where this can be done. */
export class ConflictError extends PixelflightError {
  override readonly name: string = "ConflictError";
}

/** Too much at once, or too large. */
export class LimitExceededError extends PixelflightError {
  override readonly name: string = "LimitExceededError";
}

/** No credential, or one that is not valid. */
export class UnauthenticatedError extends PixelflightError {
  override readonly name: string = "UnauthenticatedError";
}

/** The credential does not allow this. */
export class ForbiddenError extends PixelflightError {
  override readonly name: string = "ForbiddenError";
}

/** The deadline passed before the work was done: the server's, or the client's own. */
export class TimeoutError extends PixelflightError {
  override readonly name: string = "TimeoutError";
  constructor(message: string, fields: ErrorFields = {}) {
    super(message, { code: "timed_out", ...fields });
  }
}

/** The server says that the request was cancelled. */
export class CancelledError extends PixelflightError {
  override readonly name: string = "CancelledError";
}

/** The server is starting, stopping or overloaded. */
export class UnavailableError extends PixelflightError {
  override readonly name: string = "UnavailableError";
  constructor(message: string, fields: ErrorFields = {}) {
    super(message, { code: "unavailable", ...fields });
  }
}

/** The server was not reached, or the connection to it broke. */
export class ConnectionError extends UnavailableError {
  override readonly name: string = "ConnectionError";
}

/** A stream broke off: what came of it is not all. */
export class TruncatedError extends ConnectionError {
  override readonly name: string = "TruncatedError";
}

/** A bug of the server's: quote the request's id. */
export class InternalError extends PixelflightError {
  override readonly name: string = "InternalError";
}

/** What answered does not speak as this server does. */
export class ProtocolError extends PixelflightError {
  override readonly name: string = "ProtocolError";
}

/** A type, or a compression, that this client cannot read. */
export class UnsupportedTypeError extends UnsupportedError {
  override readonly name: string = "UnsupportedTypeError";
  constructor(message: string, fields: ErrorFields = {}) {
    super(message, { code: "unsupported_type", ...fields });
  }
}

/** An argument of a call is wrong: nothing was sent. */
export class ArgumentError extends InvalidRequestError {
  override readonly name: string = "ArgumentError";
  constructor(message: string, fields: ErrorFields = {}) {
    super(message, { code: "invalid_request", ...fields });
  }
}

const SECOND_MS = 1000;

type Class = new (message: string, fields?: ErrorFields) => PixelflightError;

const CLASSES: Readonly<Record<number, Class>> = {
  400: InvalidRequestError,
  401: UnauthenticatedError,
  403: ForbiddenError,
  404: NotFoundError,
  409: ConflictError,
  410: NotFoundError,
  412: ConflictError,
  413: LimitExceededError,
  429: LimitExceededError,
  499: CancelledError,
  501: UnsupportedError,
  503: UnavailableError,
  504: TimeoutError,
};

/** The error that the server's JSON tells, as in the body of an answer under `error`. */
export function errorOfJson(told: unknown, fields: ErrorFields = {}): PixelflightError {
  const given = typeof told === "object" && told !== null ? (told as Record<string, unknown>) : {};
  const code = typeof given.code === "string" && given.code in CODES ? given.code : undefined;
  const known = code as ErrorCode | undefined;
  const message = typeof given.message === "string" ? given.message : "The server told no reason.";
  const all: ErrorFields = { ...fields };
  if (known) all.code = known;
  else if (fields.status) all.code = codeOfStatus(fields.status);
  if (typeof given.retryable === "boolean") all.retryable = given.retryable;
  if (typeof given.request_id === "string") all.requestId = given.request_id;
  if (isObject(given.details)) all.details = given.details;
  // Over HTTP a header says so as well.
  const wait = all.details?.retry_after_seconds;
  if (typeof wait === "number") all.retryAfterMs ??= wait * SECOND_MS;
  return new (classOf(all.code ?? "internal"))(message, all);
}

/** The code that an answer without one of the server's errors is closest to. */
export function codeOfStatus(status: number): ErrorCode {
  const generic: Readonly<Record<number, ErrorCode>> = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "limit_exceeded",
    502: "unavailable",
    503: "unavailable",
    504: "timed_out",
  };
  return generic[status] ?? (status >= 500 ? "internal" : "invalid_request");
}

/** The class of errors of this code. */
export function classOf(code: ErrorCode): Class {
  if (code === "already_exists") return AlreadyExistsError;
  const http = CODES[code];
  return CLASSES[http] ?? (http >= 500 ? InternalError : InvalidRequestError);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
