/** The operations that not every client needs: administration, and what is asked rarely. */
import { Client } from "../client.js";
import { MORE_PATHS, type MoreCalls } from "../generated/calls.js";
import type { Schemas } from "../schemas.js";
import { defineOperations } from "./operations.js";
import type { ClientOptions } from "./options.js";

class MoreOperations extends Client {}
defineOperations(MoreOperations.prototype, MORE_PATHS);

/** A client with a method for each operation whose answer is JSON. */
export const MoreOperationCalls = MoreOperations as unknown as new <S extends object = Schemas>(
  options: ClientOptions,
) => Client<S> & MoreCalls;
