import { type Schema, Table, tableToIPC } from "apache-arrow";
import { base64 } from "./json.js";

/** A schema as `createTable({ table, schema_ipc })` takes it. */
export function schemaIpc(schema: Schema): string {
  return base64(tableToIPC(new Table(schema), "stream"));
}
