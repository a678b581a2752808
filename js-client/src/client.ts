import type { ClientOptions } from "./client/options.js";
import { WriteCalls } from "./client/writes.js";

/** A server, and all that can be asked of it. Made by {@link createClient}. */
export class Client extends WriteCalls {}

/**
 * A client of the server at a URL. Nothing is sent before the first call.
 *
 * @throws {@link ArgumentError} where the options contradict themselves.
 */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
