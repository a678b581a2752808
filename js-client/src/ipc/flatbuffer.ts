/**
 * Flatbuffers, read in place and never past their end.
 *
 * The generated readers of apache-arrow take lengths as they stand, so that a damaged header can
 * keep them busy for ever. What is read of each message is read here, and a schema is walked once
 * before it is handed to them.
 *
 * Source: https://flatbuffers.dev/internals/ and
 * https://github.com/apache/arrow/blob/main/format/Message.fbs
 */

// A table's vtable has a slot of 2 bytes for each field, after two of its own.
const SLOT_BYTES = 2;
const SLOTS_BEFORE = 2;
const REFERENCE_BYTES = 4;
const WORD = 2 ** 32;

const TEXTS = new TextDecoder();

/** One table of a flatbuffer. Its fields are read by their numbers; all may throw a `RangeError`. */
export class FlatTable {
  private readonly vtable: number;
  private readonly vtableBytes: number;

  constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {
    this.vtable = at - view.getInt32(at, true);
    this.vtableBytes = view.getUint16(this.vtable, true);
  }

  /** The table that the bytes begin with. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  uint8(field: number): number {
    const at = this.slot(field);
    return at === 0 ? 0 : this.view.getUint8(at);
  }

  int16(field: number): number {
    const at = this.slot(field);
    return at === 0 ? 0 : this.view.getInt16(at, true);
  }

  int64(field: number): number {
    const at = this.slot(field);
    return at === 0 ? 0 : this.int64At(at);
  }

  text(field: number): string {
    const bytes = this.vector(field, 1);
    const { buffer, byteOffset } = this.view;
    return TEXTS.decode(new Uint8Array(buffer, byteOffset + bytes.at, bytes.length));
  }

  table(field: number): FlatTable | undefined {
    const at = this.slot(field);
    return at === 0 ? undefined : new FlatTable(this.view, this.followed(at));
  }

  tables(field: number): FlatTable[] {
    const { at, length } = this.vector(field, REFERENCE_BYTES);
    return Array.from({ length }, (_, index) => {
      return new FlatTable(this.view, this.followed(at + REFERENCE_BYTES * index));
    });
  }

  /** A vector of structs, or of numbers, that are made of whole numbers of 64 bits. */
  int64s<T>(field: number, count: number, made: (...numbers: number[]) => T): T[] {
    const { at, length } = this.vector(field, 8 * count);
    return Array.from({ length }, (_, index) => {
      const first = at + 8 * count * index;
      return made(...Array.from({ length: count }, (_, n) => this.int64At(first + 8 * n)));
    });
  }

  private vector(field: number, width: number): { at: number; length: number } {
    const slot = this.slot(field);
    if (slot === 0) return { at: 0, length: 0 };
    const start = this.followed(slot);
    const length = this.view.getUint32(start, true);
    const at = start + REFERENCE_BYTES;
    if (at + length * width > this.view.byteLength) {
      throw new RangeError("A list of a header is longer than the header.");
    }
    return { at, length };
  }

  /** Where the field stands; 0 where it is not there and has its default. */
  private slot(field: number): number {
    const slot = SLOT_BYTES * (SLOTS_BEFORE + field);
    if (slot >= this.vtableBytes) return 0;
    const offset = this.view.getUint16(this.vtable + slot, true);
    return offset === 0 ? 0 : this.at + offset;
  }

  private followed(at: number): number {
    return at + this.view.getUint32(at, true);
  }

  private int64At(at: number): number {
    return this.view.getUint32(at, true) + WORD * this.view.getInt32(at + 4, true);
  }
}
