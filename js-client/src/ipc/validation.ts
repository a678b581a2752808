/**
 * Whether a column's buffers hold what its length says.
 *
 * A batch from a broken or hostile sender may point anywhere. JavaScript reads nothing outside of
 * its buffers, but a list of two thousand million items that are not there would be made all the
 * same. So offsets, keys and views are checked once, where a batch comes in.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout
 */
import { type Data, DataType, type Field, Type, UnionMode } from "apache-arrow";
import { ProtocolError } from "../errors.js";

/** What lengths in one batch may be: Arrow asks that no more be sent. */
export const ROWS_MAX = 2 ** 31 - 1;

const VIEW_WORDS = 4;
const VIEW_BYTES = 16;
const INLINE_BYTES = 12;

/** Widths in bits, and units, that there are. */
const WIDTHS = { int: [8, 16, 32, 64], time: [32, 64], decimal: [32, 64, 128, 256] } as const;
const UNITS = { precision: 2, date: 1, time: 3, interval: 2, union: 1 } as const;
/** Digits behind the point, or zeros before it: what is beyond would fill memory with zeros. */
const SCALE_MAX = 1000;

/**
 * Checks what a schema says of its types.
 *
 * @throws {@link ProtocolError} for a type that Arrow does not have.
 */
export function checkTypes(fields: readonly Field[]): void {
  for (const { type } of fields) {
    const inner = DataType.isDictionary(type) ? type.dictionary : type;
    if (!isType(inner) || (inner !== type && !isType((type as { indices: DataType }).indices))) {
      throw new ProtocolError(`The schema has a type that Arrow does not have: ${type}.`);
    }
    checkTypes(inner.children ?? []);
  }
}

function isType(type: DataType): boolean {
  const children = type.children ?? [];
  const upTo = (unit: number, max: number) => unit >= 0 && unit <= max;
  if (DataType.isInt(type)) return WIDTHS.int.includes(type.bitWidth);
  if (DataType.isFloat(type)) return upTo(type.precision, UNITS.precision);
  if (DataType.isDecimal(type)) {
    return WIDTHS.decimal.includes(type.bitWidth as 128) && Math.abs(type.scale) <= SCALE_MAX;
  }
  if (DataType.isDate(type)) return upTo(type.unit, UNITS.date);
  if (DataType.isTime(type)) {
    return WIDTHS.time.includes(type.bitWidth) && upTo(type.unit, UNITS.time);
  }
  if (DataType.isTimestamp(type) || DataType.isDuration(type)) return upTo(type.unit, UNITS.time);
  if (DataType.isInterval(type)) return upTo(type.unit, UNITS.interval);
  if (DataType.isFixedSizeBinary(type)) return type.byteWidth >= 0;
  if (DataType.isFixedSizeList(type)) return type.listSize >= 0 && children.length === 1;
  if (DataType.isList(type) || DataType.isLargeList(type)) return children.length === 1;
  if (DataType.isMap(type)) return children[0]?.type.children?.length === 2;
  if (DataType.isUnion(type)) {
    return upTo(type.mode, UNITS.union) && type.typeIds.length === children.length;
  }
  return true;
}

/**
 * The same column, if its buffers are as long as they have to be and point to what is there.
 *
 * @throws {@link ProtocolError} if not.
 */
export function checked(data: Data): Data {
  const { type, length, nullBitmap } = data;
  if (length === 0 || type.typeId === Type.Null) return data;
  if (type.typeId !== Type.Union && data.nullCount !== 0) {
    held(nullBitmap !== undefined && nullBitmap.length * 8 >= length, type);
  }
  switch (type.typeId) {
    case Type.Bool:
      held(lengthOf(data.values) * 8 >= length, type);
      break;
    case Type.Struct:
      held(shortest(data) >= length, type);
      break;
    case Type.FixedSizeList:
      held(shortest(data) >= length * data.stride, type);
      break;
    case Type.List:
    case Type.LargeList:
    case Type.Map:
      checkOffsets(data, shortest(data));
      break;
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Binary:
    case Type.LargeBinary:
      checkOffsets(data, lengthOf(data.values));
      break;
    case Type.Utf8View:
    case Type.BinaryView:
      checkViews(data);
      break;
    case Type.Union:
      checkUnion(data);
      break;
    case Type.Dictionary:
      checkKeys(data);
      break;
    default:
      held(lengthOf(data.values) >= length * data.stride, type);
  }
  return data;
}

function checkOffsets({ type, length, valueOffsets }: Data, end: number): void {
  // The offsets of large types are taken as two halves each, since comparing bigints is slow.
  const given = valueOffsets as Int32Array | BigInt64Array;
  held(lengthOf(given) > length, type);
  const isWide = given instanceof BigInt64Array;
  const words = isWide ? new Uint32Array(given.buffer, given.byteOffset, given.length * 2) : given;
  const step = isWide ? 2 : 1;
  let before = 0;
  for (let at = 0; at <= length * step; at += step) {
    const offset = words[at] as number;
    if (offset < before || (isWide && words[at + 1] !== 0)) held(false, type);
    before = offset;
  }
  held(before <= end, type);
}

function checkViews(data: Data): void {
  const { type, length, variadicBuffers } = data;
  const bytes = data.values as Uint8Array;
  held(lengthOf(bytes) >= length * VIEW_BYTES, type);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, length * VIEW_WORDS);
  for (let row = 0; row < length; row++) {
    const at = row * VIEW_WORDS;
    const size = words[at] as number;
    if (size >= 0 && size <= INLINE_BYTES) continue;
    const there = variadicBuffers[words[at + 2] as number]?.length ?? -1;
    const offset = words[at + 3] as number;
    // Where there is no value, anything may stand.
    const isRight = size >= 0 && offset >= 0 && offset + size <= there;
    if (!isRight && data.getValid(row)) held(false, type);
  }
}

function checkUnion({ type, length, typeIds, valueOffsets, children }: Data): void {
  held(lengthOf(typeIds) >= length, type);
  const { mode, typeIdToChildIndex } = type as DataType & {
    mode: UnionMode;
    typeIdToChildIndex: Readonly<Record<number, number>>;
  };
  const isDense = mode === UnionMode.Dense;
  if (isDense) held(lengthOf(valueOffsets) >= length, type);
  for (let row = 0; row < length; row++) {
    const child = children[typeIdToChildIndex[(typeIds as Int8Array)[row] as number] ?? -1];
    const at = isDense ? ((valueOffsets as Int32Array)[row] as number) : row;
    if (!child || at < 0 || at >= child.length) held(false, type);
  }
}

function checkKeys(data: Data): void {
  const { type, length } = data;
  const keys = data.values as Int32Array | BigInt64Array;
  held(lengthOf(keys) >= length, type);
  const end = data.dictionary?.length ?? 0;
  for (let row = 0; row < length; row++) {
    const key = keys[row] as number | bigint;
    if ((key < 0 || key >= end) && data.getValid(row)) held(false, type);
  }
}

function shortest(data: Data): number {
  return data.children.reduce((least, child) => Math.min(least, child.length), Infinity);
}

function lengthOf(buffer: ArrayLike<unknown> | undefined): number {
  return buffer?.length ?? 0;
}

function held(isHeld: boolean, type: DataType): void {
  if (!isHeld) throw new ProtocolError(`A column of ${type} does not hold what its batch says.`);
}
