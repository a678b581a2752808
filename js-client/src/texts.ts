/** Values as texts, with all their digits. */

const SECOND_MS = 1000;
const WORD_BITS = 32n;
const WORD = 2 ** 32;

/**
 * A decimal's digits with its point.
 *
 * @param words all of the column's values, little-endian words of 32 bits in two's complement.
 */
export function decimalText(
  words: Uint32Array,
  row: number,
  { bitWidth, scale }: { readonly bitWidth: number; readonly scale: number },
): string {
  const count = bitWidth / 32;
  const value = small(words, row * count, count) ?? large(words, row * count, count, bitWidth);
  const sign = value < 0 ? "-" : "";
  const digits = String(value < 0 ? -value : value);
  if (scale <= 0) return sign + digits + (digits === "0" ? "" : "0".repeat(-scale));
  const padded = digits.padStart(scale + 1, "0");
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** The number, if a double holds it: most do, and arithmetic of doubles is many times faster. */
function small(words: Uint32Array, at: number, count: number): number | undefined {
  const low = words[at] as number;
  const high = ((count > 1 ? words[at + 1] : low >>> 31 === 1 ? -1 : 0) as number) | 0;
  for (let word = 2; word < count; word++) {
    if (((words[at + word] as number) | 0) !== high >> 31) return undefined;
  }
  const value = high * WORD + low;
  return Number.isSafeInteger(value) ? value : undefined;
}

function large(words: Uint32Array, at: number, count: number, bitWidth: number): bigint {
  let value = 0n;
  for (let word = count - 1; word >= 0; word--) {
    value = (value << WORD_BITS) | BigInt(words[at + word] as number);
  }
  return BigInt.asIntN(bitWidth, value);
}

/** A moment as RFC 3339; without `Z` where its column has no zone. */
export function timestampText(count: bigint, perSecond: bigint, hasZone: boolean): string {
  let seconds = count / perSecond;
  let rest = count % perSecond;
  if (rest < 0n) {
    seconds -= 1n;
    rest += perSecond;
  }
  const moment = new Date(Number(seconds) * SECOND_MS).toISOString().slice(0, -".000Z".length);
  return moment + fraction(rest, perSecond) + (hasZone ? "Z" : "");
}

/** A time of day as `HH:MM:SS`, with a fraction where there is one. */
export function timeText(count: bigint, perSecond: bigint): string {
  const seconds = Number(count / perSecond);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const clock = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return clock + fraction(count % perSecond, perSecond);
}

/** Sixteen bytes as RFC 9562 writes them. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([begin, end]) => hex.slice(begin, end))
    .join("-");
}

function fraction(rest: bigint, perSecond: bigint): string {
  if (rest === 0n) return "";
  const digits = (perSecond + rest).toString().slice(1);
  return `.${digits.replace(/0+$/, "")}`;
}
