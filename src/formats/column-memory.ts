/** The memory of columns, and the copies that are made of it by row. */
import type { BytesColumn, ColumnKind } from '../base/column-batch.ts';

export type Values =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

export function allocate(kind: ColumnKind, rows: number): Values {
  switch (kind) {
    case 'i8':
      return new Int8Array(rows);
    case 'i16':
      return new Int16Array(rows);
    case 'i32':
      return new Int32Array(rows);
    case 'i64':
      return new BigInt64Array(rows);
    case 'i128':
      return new BigInt64Array(2 * rows);
    case 'f32':
      return new Float32Array(rows);
    case 'f64':
      return new Float64Array(rows);
    case 'bytes':
      return new Int8Array(0);
  }
}

/** A loop for each width: V8 makes one for many kinds of arrays slow, and one for bigints without making any. */
export function takeValues(from: Values, to: Values, rows: Uint32Array, width: number): void {
  const n = rows.length;
  if (width < 4) {
    const [a, b] = [from as Int8Array, to as Int8Array];
    for (let i = 0; i < n; i++) b[i] = a[rows[i]!]!;
  } else if (width === 4) {
    const a = new Int32Array(from.buffer, from.byteOffset, from.length);
    const b = new Int32Array(to.buffer, to.byteOffset, to.length);
    for (let i = 0; i < n; i++) b[i] = a[rows[i]!]!;
  } else {
    const a = new BigInt64Array(from.buffer, from.byteOffset, from.byteLength / 8);
    const b = new BigInt64Array(to.buffer, to.byteOffset, to.byteLength / 8);
    if (width === 8) for (let i = 0; i < n; i++) b[i] = a[rows[i]!]!;
    else takeWide(a, b, rows);
  }
}

function takeWide(from: BigInt64Array, to: BigInt64Array, rows: Uint32Array): void {
  for (let i = 0; i < rows.length; i++) {
    to[2 * i] = from[2 * rows[i]!]!;
    to[2 * i + 1] = from[2 * rows[i]! + 1]!;
  }
}

export type Texts = Pick<BytesColumn, 'offsets' | 'data'>;

export function takeTexts({ offsets: from, data: source }: Texts, rows: Uint32Array): Texts {
  const n = rows.length;
  const offsets = new Uint32Array(n + 1);
  let end = 0;
  for (let i = 0; i < n; i++) {
    const row = rows[i]!;
    end += from[row + 1]! - from[row]!;
    offsets[i + 1] = end;
  }
  const data = new Uint8Array(end);
  for (let i = 0; i < n; ) {
    // Rows that follow each other there and here are one copy.
    const first = i++;
    while (i < n && rows[i] === rows[i - 1]! + 1) i++;
    const start = from[rows[first]!]!;
    const stop = from[rows[i - 1]! + 1]!;
    const at = offsets[first]!;
    if (stop - start < 64) for (let k = start; k < stop; k++) data[at + k - start] = source[k]!;
    else data.set(source.subarray(start, stop), at);
  }
  return { offsets, data };
}
