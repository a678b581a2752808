/**
 * The columns of one batch, made of the buffers that its header lists.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html#recordbatch-message; which buffers a
 * type has is told there under "Buffer Listing for Each Layout".
 */
import { type Data, DataType, makeData, UnionMode, type Vector } from "apache-arrow";
import { ProtocolError } from "../errors.js";

interface Node {
  readonly length: number;
  readonly nullCount: number;
}

/** What of a batch's header is needed here; apache-arrow's own header fits. */
export interface BatchHeader {
  readonly nodes: readonly Node[];
  readonly buffers: readonly { readonly offset: number; readonly length: number }[];
  readonly variadicBufferCounts: readonly number[];
}

/** Gives the buffer of a number. */
export type Body = (index: number) => Uint8Array;

/**
 * One column for each type, which share the body's memory.
 *
 * @throws {@link ProtocolError} if the header lists fewer nodes or buffers than the types have.
 */
export function loadColumns(
  header: BatchHeader,
  body: Body,
  types: readonly DataType[],
  dictionaries: ReadonlyMap<number, Vector>,
): Data[] {
  const loader = new Loader(header, body, dictionaries);
  return types.map((type) => loader.load(type));
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
    if (DataType.isNull(type)) return makeData({ type, length });
    const shape = { type, length, nullCount } as const;
    if (DataType.isUnion(type)) return this.union(type, length);
    const nullBitmap = this.validity(nullCount);
    const props: Record<string, unknown> = { ...shape, nullBitmap };
    if (DataType.isStruct(type)) {
      props.children = type.children.map((child) => this.load(child.type));
    } else if (DataType.isFixedSizeList(type)) {
      props.child = this.child(type);
    } else if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isMap(type)) {
      props.valueOffsets = this.next();
      props.child = this.child(type);
    } else if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) {
      props.views = this.next();
      const count = this.header.variadicBufferCounts[this.variadic++] ?? 0;
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
    return nullCount > 0 ? bits : NO_NULLS;
  }

  private next(): Uint8Array {
    if (this.buffer >= this.header.buffers.length) {
      throw new ProtocolError("A batch has fewer buffers than its columns need.");
    }
    return this.body(this.buffer++);
  }
}

function hasOffsets(type: DataType): boolean {
  return (
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type)
  );
}
