/**
 * Fields that expressions use as well come as texts and become their column's type here (semantics.md 2.1, rule 3), so
 * strict mode is kept here too (2.2): with it a row with a value that does not convert is filtered before WHERE sees it,
 * without it the value is NULL, and counted.
 */
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { isNull } from '../base/column-batch.ts';
import { typeLabel } from '../base/sql-type.ts';
import { takeColumn, takeRows } from '../formats/column-rows.ts';
import { valueText } from '../formats/value-text.ts';
import type { TransformPlan, TransformReject } from './engine.types.ts';
import { REJECT_TEXTS } from './sink.ts';

export interface Read {
  /** What goes on: all of the input, unless rows were rejected. */
  readonly input: ColumnBatch;
  readonly given: readonly (Column | undefined)[];
  /** Row of what goes on → row of the input; null: the same. */
  readonly rows: Uint32Array | null;
  readonly coerced: number;
  readonly rejects: readonly TransformReject[];
  readonly rejected: number;
}

export function checkReader(
  plan: TransformPlan,
  input: ColumnBatch,
  given: readonly (Column | undefined)[],
): Read {
  let coerced = 0;
  /** Per row the column that was lost first, plus 1. */
  let lost: Uint32Array | undefined;
  plan.sources.forEach((source, i) => {
    const column = given[i];
    if (source.kind !== 'field' || column === undefined || column.valid === null) return;
    const text = input.columns[source.field]!;
    if (text === column) return;
    const { valid } = column;
    for (let row = valid.indexOf(0); row >= 0; row = valid.indexOf(0, row + 1)) {
      if (isNull(text, row)) continue;
      coerced += 1;
      lost ??= new Uint32Array(input.rows);
      if (lost[row] === 0) lost[row] = i + 1;
    }
  });
  if (lost === undefined || !plan.strict) {
    return { input, given, rows: null, coerced, rejects: [], rejected: 0 };
  }
  const all = Uint32Array.from({ length: input.rows }, (_, row) => row);
  const bad = lost;
  const kept = all.filter((row) => bad[row] === 0);
  const rejects = all.filter((row) => bad[row] !== 0).subarray(0, REJECT_TEXTS);
  const shown = takeRows(input, rejects);
  return {
    input: takeRows(input, kept),
    given: given.map((column) => column && takeColumn(column, kept)),
    rows: kept,
    coerced: 0,
    rejects: [...rejects].map((row, i) => rejectOf(plan, row, bad[row]! - 1, shown, i)),
    rejected: input.rows - kept.length,
  };
}

/** Row `row` of the input, which is row `i` of `shown`, has lost column `at`. */
function rejectOf(
  plan: TransformPlan,
  row: number,
  at: number,
  shown: ColumnBatch,
  i: number,
): TransformReject {
  const { name, type } = plan.schema.columns[at]!;
  const source = plan.sources[at]!;
  const texts = shown.columns.map(
    (column, field) => valueText(column, i, plan.fields[field]!.type) ?? 'NULL',
  );
  const value = source.kind === 'field' ? texts[source.field] : '';
  return {
    row,
    column: name,
    reason: `Value '${value?.slice(0, 100)}' is out of range. The type of '${name}' is ${typeLabel(type)}`,
    rowText: `[${texts.join(', ')}]`.slice(0, 1024),
  };
}
