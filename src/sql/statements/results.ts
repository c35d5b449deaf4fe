/** Answers that the FE makes itself: OK, and rows of text. */
import type { ResultColumn } from '../../engine/engine.types.ts';
import type { StatementResult, TextResult } from '../../protocol/mysql/mysql.types.ts';
import type { ShowFilter } from '../ast/statement.ts';
import { applyShowFilter, type Row } from '../eval.ts';

export const OK: StatementResult = { kind: 'ok', affectedRows: 0, warnings: 0 };

export const TEXT = { name: 'VARCHAR', length: 1_048_576 } as const;

export function textRows(names: readonly string[], values: readonly Row[]): TextResult {
  const columns = names.map((name): ResultColumn => ({ name, type: TEXT, nullable: true }));
  return {
    kind: 'rows',
    columns,
    rows: values.map((row) => row.map((value) => (value === null ? null : String(value)))),
  };
}

/** `numeric`: columns that ORDER BY and WHERE take as numbers. */
export function filteredRows(
  names: readonly string[],
  values: readonly Row[],
  filter: ShowFilter,
  numeric: readonly string[] = [],
): TextResult {
  return textRows(names, applyShowFilter(values, names, filter, { numeric }));
}
