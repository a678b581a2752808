/**
 * Whether a body can be sent while it is made.
 *
 * Node, Bun and Deno can. Chromium can over HTTP/2 alone, and fails once the request is on its way;
 * other browsers cannot at all. So pages send bodies whole.
 */
export function streamsUp(): boolean {
  return !("document" in globalThis || "importScripts" in globalThis);
}
