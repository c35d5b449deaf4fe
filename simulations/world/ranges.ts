/** Ranges of parts (src/engine/part-ranges.ts) in the engine's stand-in: whoever gives a part another's loses its rows. */
import type { ColumnBatch } from '../../src/base/column-batch.ts';
import type { TableSchema } from '../../src/base/table-schema.ts';
import type { BuiltPart, PartInput } from '../../src/engine/engine.types.ts';
import { valueRange } from '../../src/engine/parquet/value-range.ts';
import { partRanges, rangeOfBytes, rangeOfRecord } from '../../src/engine/part-ranges.ts';

export function rangesOf(schema: TableSchema, batch: ColumnBatch): BuiltPart['ranges'] & object {
  return partRanges(schema, (position) => {
    const range = valueRange(batch.columns[position] as never, batch.rows);
    return [range && rangeOfBytes(schema.columns[position]?.type.name ?? '', range)];
  });
}

/** Whether a row lies within what is known of its part. */
export function inRanges(schema: TableSchema, { ranges }: PartInput, batch: ColumnBatch) {
  const known = (ranges ?? []).flatMap((record) => {
    const position = schema.columns.findIndex(({ id }) => id === record[0]);
    const range = rangeOfRecord(schema.columns[position]?.type.name ?? '', record);
    const column = batch.columns[position];
    if (range === undefined || column === undefined || column.kind === 'bytes') return [];
    return [{ ...range, column }];
  });
  return (row: number): boolean =>
    known.every(({ low, high, column: { valid, values } }) => {
      if (valid !== null && valid[row] === 0) return true;
      const value = values[row] as bigint | number;
      return low <= value && value <= high;
    });
}
