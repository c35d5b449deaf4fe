/** The least and the greatest value of a numeric column, as the bytes that Parquet's statistics have. */
import type { Column } from '../../base/column-batch.ts';

/** Bytes as PLAIN has them, least significant first. */
export interface ValueRange {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/** Absent: a kind without an order here, no value but NULL, or one that no order has (NaN). */
export function valueRange(column: Column, rows: number): ValueRange | undefined {
  const { kind, valid } = column;
  if (kind === 'i64') return wideRange(column.values, valid, rows);
  if (kind === 'bytes' || kind === 'i128') return undefined;
  if (kind === 'f32' || kind === 'f64') {
    const found =
      kind === 'f64' ? doubles(column.values, valid, rows) : singles(column.values, valid, rows);
    if (found === undefined) return undefined;
    // Both zeros are equal, and readers tell them apart.
    const [min, max] = [found[0] === 0 ? -0 : found[0], found[1] === 0 ? 0 : found[1]];
    return { min: float(min, kind === 'f32'), max: float(max, kind === 'f32') };
  }
  const found =
    kind === 'i32'
      ? ints(column.values, valid, rows)
      : ints(Int32Array.from(column.values), valid, rows);
  return found && { min: int32(found[0]), max: int32(found[1]) };
}

type Found = readonly [number, number] | undefined;

/** One function for each kind of array: one for all would look at the kind for every value. */
function ints(values: Int32Array, valid: Uint8Array | null, rows: number): Found {
  let min = 2 ** 31 - 1;
  let max = -(2 ** 31);
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const value = values[row]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min > max ? undefined : [min, max];
}

function doubles(values: Float64Array, valid: Uint8Array | null, rows: number): Found {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  // Not a number, once one was.
  let probe = 0;
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const value = values[row]!;
    if (value < min) min = value;
    if (value > max) max = value;
    probe += value - value;
  }
  return min > max || Number.isNaN(probe) ? undefined : [min, max];
}

const singles = (values: Float32Array, valid: Uint8Array | null, rows: number): Found =>
  doubles(Float64Array.from(values), valid, rows);

/** By the halves of each value: a bigint for each would cost more than all else. */
function wideRange(
  values: BigInt64Array,
  valid: Uint8Array | null,
  rows: number,
): ValueRange | undefined {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
  let min = -1;
  let max = -1;
  let [minHigh, minLow, maxHigh, maxLow] = [0, 0, 0, 0];
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const low = words[2 * row]! >>> 0;
    const high = words[2 * row + 1]!;
    if (min < 0 || high < minHigh || (high === minHigh && low < minLow)) {
      min = row;
      minHigh = high;
      minLow = low;
    }
    if (max < 0 || high > maxHigh || (high === maxHigh && low > maxLow)) {
      max = row;
      maxHigh = high;
      maxLow = low;
    }
  }
  if (min < 0) return undefined;
  const bytesAt = (row: number) => new Uint8Array(values.slice(row, row + 1).buffer);
  return { min: bytesAt(min), max: bytesAt(max) };
}

const int32 = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
const float = (value: number, isSingle: boolean) =>
  new Uint8Array((isSingle ? Float32Array.of(value) : Float64Array.of(value)).buffer);
