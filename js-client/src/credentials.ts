/** How a key is shown. */
import { ArgumentError } from "./errors.js";
import type { Credential } from "./transport.js";

/** The same as a function: whoever prints a client does not print its key. */
export function hidden(credential: Credential | undefined): Credential | undefined {
  return typeof credential === "string" ? () => credential : credential;
}

/**
 * The header that shows it; nothing where there is none. Blanks around it are those of a file.
 *
 * @throws {@link ArgumentError} for what no key holds; the key itself is not told.
 */
export async function authorization(credential: Credential | undefined) {
  const given = typeof credential === "function" ? await credential() : credential;
  if ((given ?? undefined) === undefined) return undefined;
  const key = String(given).trim();
  if (/^[!-~]*$/.test(key)) return `Bearer ${key}`;
  throw new ArgumentError("The key holds a blank, a line break or a letter that no key has.");
}
