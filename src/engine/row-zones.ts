/**
 * What was seen in a column of a row group that had to be read: the least and the greatest value of every so many rows, so that the
 * next statement reads those rows alone. Of a part that never changes, and gone with its footer.
 */
import type { Column } from '../base/column-batch.ts';
import type { Span } from './rows-within.ts';

export const ZONE_ROWS = 2_048;

/** Rows from, to: the end is not among them. */
export type Stretch = readonly [from: number, to: number];

export class RowZones {
  readonly #rows: number;
  readonly #least: Float64Array;
  readonly #most: Float64Array;

  private constructor(rows: number, least: Float64Array, most: Float64Array) {
    this.#rows = rows;
    this.#least = least;
    this.#most = most;
  }

  /** Of a column without NULLs; undefined: values without an order here. */
  static of(column: Column, rows: number): RowZones | undefined {
    const { kind } = column;
    if (kind === 'bytes' || kind === 'i128' || kind === 'f32') return undefined;
    const isWide = kind === 'i64';
    const { buffer, byteOffset, length } = column.values;
    const words = isWide ? new Int32Array(buffer, byteOffset, 2 * length) : undefined;
    const values = Float64Array.from(isWide ? [] : (column.values as Float64Array));
    const zones = Math.ceil(rows / ZONE_ROWS);
    const least = new Float64Array(zones);
    const most = new Float64Array(zones);
    for (let zone = 0; zone < zones; zone++) {
      const from = zone * ZONE_ROWS;
      const to = Math.min(rows, from + ZONE_ROWS);
      let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let row = from; row < to; row++) {
        const value = words
          ? words[2 * row + 1]! * 4_294_967_296 + (words[2 * row]! >>> 0)
          : values[row]!;
        // NaN may lie anywhere.
        if (!(value >= min)) min = Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
        if (!(value <= max)) max = Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
      }
      least[zone] = min;
      most[zone] = max;
    }
    return new RowZones(rows, least, most);
  }

  /** Where values within the spans may be; neighbours are one stretch. */
  stretches(spans: readonly Span[]): readonly Stretch[] {
    const found: [number, number][] = [];
    for (let zone = 0; zone < this.#least.length; zone++) {
      const [least, most] = [this.#least[zone]!, this.#most[zone]!];
      if (!spans.some(([low, high]) => low <= most && least <= high)) continue;
      const from = zone * ZONE_ROWS;
      const to = Math.min(this.#rows, from + ZONE_ROWS);
      const last = found.at(-1);
      if (last?.[1] === from) last[1] = to;
      else found.push([from, to]);
    }
    return found;
  }
}
