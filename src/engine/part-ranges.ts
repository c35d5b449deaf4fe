/**
 * The least and the greatest value of a part's columns, so that a query can leave out a part without opening it
 * (part-pruning.ts). They go into the BE's records: few columns, and only types whose values are short and exact in JSON.
 *
 *   R1. Every value of the column that is not NULL lies within; a column of which that is not sure has no range.
 */
import type { TableSchema } from '../base/table-schema.ts';
import { parseDatetime } from '../formats/cast/date.ts';
import type { ColumnRange } from './engine.types.ts';
import type { ValueRange } from './parquet/value-range.ts';

/** Whole numbers, days and microseconds; a number for doubles. */
export type RangeValue = bigint | number;

export interface Range {
  readonly low: RangeValue;
  readonly high: RangeValue;
}

/** Of some rows: null where all of them are NULL, undefined where nothing is sure. */
export type RowsRange = Range | null | undefined;

const COLUMNS_MAX = 16;
const WHOLE = new Set(['TINYINT', 'SMALLINT', 'INT', 'BIGINT', 'DATE', 'DATETIME']);
/** FLOAT is left out: what it is compared with is rounded to it first. */
const isRanged = (typeName: string): boolean => WHOLE.has(typeName) || typeName === 'DOUBLE';

/** Positions of the columns that get a range, keys first. An AGGREGATE table's other values are not final in a part. */
function rangedColumns({ columns, model }: TableSchema): number[] {
  const positions = [...columns.keys()].filter((i) => isRanged(columns[i]!.type.name));
  const keys = positions.filter((i) => columns[i]!.isKey);
  const others = model === 'DUPLICATE' ? positions.filter((i) => !columns[i]!.isKey) : [];
  return [...keys, ...others].slice(0, COLUMNS_MAX);
}

/** `rowsOf`: what is known of a column of the schema, for each of the row groups that the part is made of. */
export function partRanges(
  schema: TableSchema,
  rowsOf: (position: number) => readonly RowsRange[],
): readonly ColumnRange[] {
  return rangedColumns(schema).flatMap((position) => {
    const range = joined(rowsOf(position));
    if (range === null || range === undefined) return [];
    return [[schema.columns[position]!.id, String(range.low), String(range.high)] as const];
  });
}

function joined(ranges: readonly RowsRange[]): RowsRange {
  let all: Range | null = null;
  for (const range of ranges) {
    if (range === undefined) return undefined;
    if (range === null) continue;
    const low: RangeValue = all === null || range.low < all.low ? range.low : all.low;
    const high: RangeValue = all === null || range.high > all.high ? range.high : all.high;
    all = { low, high };
  }
  return all;
}

/** Of a row group that we wrote: its statistics as bytes. */
export function rangeOfBytes(typeName: string, { min, max }: ValueRange): Range {
  const read = (bytes: Uint8Array): RangeValue => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (typeName === 'DOUBLE') return view.getFloat64(0, true);
    return bytes.byteLength === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true);
  };
  return { low: read(min), high: read(max) };
}

/**
 * Of a row group that DuckDB wrote: its statistics as texts. Not of doubles: they pass over NaN, which is greater than all
 * others, and its `has_nan` does not tell.
 */
export function rangeOfTexts(typeName: string, low: string, high: string): Range | undefined {
  if (!WHOLE.has(typeName)) return undefined;
  const [min, max] = [low, high].map((text) => wholeOf(typeName, text));
  return min === undefined || max === undefined ? undefined : { low: min, high: max };
}

const DAY_MICROS = 86_400_000_000n;
const DAY = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$/;

function wholeOf(typeName: string, text: string): bigint | undefined {
  if (typeName === 'DATE') {
    const micros = DAY.test(text) ? parseDatetime(text, true) : undefined;
    return micros === undefined ? undefined : micros / DAY_MICROS;
  }
  if (typeName === 'DATETIME') return MOMENT.test(text) ? parseDatetime(text, true) : undefined;
  return /^-?[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

/** As it was kept. */
export function rangeOfRecord(typeName: string, [, low, high]: ColumnRange): Range | undefined {
  if (typeName === 'DOUBLE') return { low: Number(low), high: Number(high) };
  return WHOLE.has(typeName) ? { low: BigInt(low), high: BigInt(high) } : undefined;
}
