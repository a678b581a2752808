/** JSON as the server reads it. */

/** JSON of a body. Numbers that JSON has not, or doubles, are written as text, which is taken too. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, name, inner: unknown) {
    // Node's buffers say something else of themselves before they come here.
    const given = this[name];
    if (given instanceof Uint8Array) return base64(given);
    const isForeign = typeof inner === "number" && !Number.isFinite(inner);
    return isForeign || typeof inner === "bigint" ? String(inner) : inner;
  });
}

/** Bytes as base64. */
export function base64(bytes: Uint8Array): string {
  const PIECE = 0x8000;
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(text);
}
