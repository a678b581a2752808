/**
 * The columns of one batch, made of the buffers that its header lists.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#recordbatch-message; which buffers a
 * type has is told there under "Buffer Listing for Each Layout".
 */
import { type Data, DataType, makeData, UnionMode, type Vector } from "apache-arrow";
import { ProtocolError } from "../errors.js";
import type { BatchHeader } from "./header.js";
import { checked, ROWS_MAX } from "./validation.js";

/** Gives the buffer of a number. */
export type Body = (index: number) => Uint8Array;

/**
 * One column for each type, which share the body's memory.
 *
 * @throws {@link ProtocolError} if the header lists fewer nodes or buffers than the types have, or
 * if these do not hold what it says.
 */
export function loadColumns(
  header: BatchHeader,
  body: Body,
  types: readonly DataType[],
  dictionaries: ReadonlyMap<number, Vector>,
): Data[] {
  const loader = new Loader(header, body, dictionaries);
  return types.map((type) => {
    const column = loader.load(type);
    if (column.length === header.length) return column;
    throw new ProtocolError(
      `A batch of ${header.length} rows has a column of ${column.length} values.`,
    );
  });
}

const NO_NULLS = new Uint8Array(0);

class Loader {
  private node = 0;
  private buffer = 0;
  private variadic = 0;

  constructor(
    private readonly header: BatchHeader,
    private readonly body: Body,
    private readonly dictionaries: ReadonlyMap<number, Vector>,
  ) {}

  load(type: DataType): Data {
    const node = this.header.nodes[this.node++];
    if (!node) throw new ProtocolError("A batch has fewer columns than its schema.");
    const { length, nullCount } = node;
    if (!(length >= 0 && length <= ROWS_MAX)) {
      throw new ProtocolError(`A column of a batch says that it has ${length} values.`);
    }
    return checked(this.made(type, length, nullCount));
  }

  private made(type: DataType, length: number, nullCount: number): Data {
    if (DataType.isNull(type)) return makeData({ type, length });
    if (DataType.isUnion(type)) return this.union(type, length);
    const nullBitmap = this.validity(nullCount);
    const props: Record<string, unknown> = { type, length, nullCount, nullBitmap };
    if (DataType.isStruct(type)) {
      props.children = type.children.map((child) => this.load(child.type));
    } else if (DataType.isFixedSizeList(type)) {
      props.child = this.child(type);
    } else if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isMap(type)) {
      props.valueOffsets = this.next();
      props.child = this.child(type);
    } else if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) {
      props.views = this.next();
      const count = this.header.variadicCounts[this.variadic++] ?? 0;
      const left = this.header.buffers.length - this.buffer;
      if (!(count >= 0 && count <= left)) throw missing();
      props.variadicBuffers = Array.from({ length: count }, () => this.next());
    } else if (hasOffsets(type)) {
      props.valueOffsets = this.next();
      props.data = this.next();
    } else {
      props.data = this.next();
      if (DataType.isDictionary(type)) props.dictionary = this.dictionary(type.id);
    }
    return makeData(props as never);
  }

  private union(type: DataType & { mode: UnionMode }, length: number): Data {
    // Until Arrow 1.0 unions had nulls of their own.
    if (this.header.isBefore1) this.next();
    const props: Record<string, unknown> = { type, length, nullCount: 0, typeIds: this.next() };
    if (type.mode === UnionMode.Dense) props.valueOffsets = this.next();
    props.children = type.children.map((child) => this.load(child.type));
    return makeData(props as never);
  }

  private child(type: DataType): Data {
    const [only] = type.children;
    if (!only) throw new ProtocolError("The schema has a list of nothing.");
    return this.load(only.type);
  }

  private dictionary(id: number): Vector {
    const found = this.dictionaries.get(id);
    if (!found) throw new ProtocolError(`The dictionary ${id} has not come before its column.`);
    return found;
  }

  private validity(nullCount: number): Uint8Array {
    const bits = this.next();
    return nullCount === 0 ? NO_NULLS : bits;
  }

  private next(): Uint8Array {
    if (this.buffer >= this.header.buffers.length) throw missing();
    return this.body(this.buffer++);
  }
}

function missing(): ProtocolError {
  return new ProtocolError("A batch has fewer buffers than its columns need.");
}

function hasOffsets(type: DataType): boolean {
  return (
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type)
  );
}
