/**
 * Arrow streams from and to a Pixelflight server, over `fetch`, in every runtime.
 *
 * @packageDocumentation
 */

export type {
  Answer,
  Body,
  OperationId,
  PathValue,
  Query as QueryOf,
  RowCallOptions,
} from "./answers.js";
export type { BreakerOptions } from "./breaker.js";
export type { Job, WaitOptions } from "./client/jobs.js";
export type { CallOptions, ClientOptions, Logger } from "./client/options.js";
export type { GetOptions, ReadOptions, SqlOptions } from "./client/reads.js";
export type { Executed, PutOptions } from "./client/writes.js";
export { Client, createClient } from "./client.js";
export * from "./errors.js";
export type { Input } from "./inputs.js";
export { Decoder } from "./ipc/decoder.js";
export { type FrameLimits, Framer } from "./ipc/framer.js";
export type { IpcMessage } from "./ipc/message.js";
export type { InputRow } from "./objects.js";
export { Query } from "./query/builder.js";
export * from "./query/expressions.js";
export type { OrderBy, OrderObject, Where, WhereObject } from "./query/filters.js";
export { type Progress, Result } from "./result.js";
export type { RetryOptions } from "./retry.js";
export type { Conversions, Row } from "./rows.js";
export type * from "./schemas.js";
export type * from "./transport.js";
