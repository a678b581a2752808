/**
 * Arrow Flight, for Node: a transport of the client, and a client of any Flight server.
 *
 * It needs `@grpc/grpc-js` beside this package.
 *
 * @packageDocumentation
 */
import { FlightTransport, type FlightTransportOptions } from "./flight/transport.js";
import type { Transport } from "./transport.js";

export {
  type FlightCallOptions,
  FlightClient,
  type FlightPutOptions,
  schemaOf,
} from "./flight/client.js";
export type { FlightOptions, Pem, TlsOptions } from "./flight/connection.js";
export type {
  ActionType,
  FlightDescriptor,
  FlightEndpoint,
  FlightInfo,
  Ticket,
} from "./flight/messages.js";
export type { FlightTransportOptions } from "./flight/transport.js";

/**
 * A transport for `createClient`: the rows of `get`, `from`, `sql`, `diff`, `changes` and `put`
 * travel by Flight, everything else over HTTP as before.
 *
 * Without a `key` of its own it shows the client's.
 *
 * @example
 * createClient({ url: "http://127.0.0.1:8816", key, transport: flight({ url: "grpc://127.0.0.1:8815" }) })
 *
 * @throws `ArgumentError` for a URL that is none of Flight.
 */
export function flight(options: FlightTransportOptions): Transport {
  return new FlightTransport(options);
}
