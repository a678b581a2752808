/** The operations that not every client needs: administration, and what is asked rarely. */
import { Client } from "../client.js";
import { MORE_PATHS, type MoreCalls } from "../generated/calls.js";
import type { Schemas } from "../schemas.js";
import { withOperations } from "./operations.js";
import type { ClientOptions } from "./options.js";

class MoreOperations extends Client {}

/** A client with a method for each operation whose answer is JSON. */
export const MoreOperationCalls = /* @__PURE__ */ withOperations(
  MoreOperations,
  MORE_PATHS,
) as unknown as new <S extends object = Schemas>(
  options: ClientOptions,
) => Client<S> & MoreCalls;
