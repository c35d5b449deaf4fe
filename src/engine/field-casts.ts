/** Casts of a batch's own text columns, found in the SQL that was made for an expression. */
import type { SqlType } from '../base/sql-type.ts';

/**
 * Names and texts of the user stand in quotes, and are stepped over. Columns of a batch are ours: f0, f1, … are its fields,
 * c0, c1, … those of the table.
 */
const CAST = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\bms_to_([a-z]+)\(CAST\(([fc]\d+) AS VARCHAR\)\)/g;
const NAME = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\b[fc]\d+(?:_[a-z]+)?\b/g;
const TYPES: Readonly<Record<string, SqlType>> = {
  bigint: { name: 'BIGINT' },
  double: { name: 'DOUBLE' },
  date: { name: 'DATE' },
  datetime: { name: 'DATETIME' },
};

/** Names of a batch's columns that stand in the SQL; with a type behind them those that `fieldCasts` has put there. */
export function batchColumns(sql: string): string[] {
  return sql.match(NAME)?.filter((name) => !/^['"]/.test(name)) ?? [];
}

/** The SQL with what `cast` gives in place of each. */
export function fieldCasts(
  sql: string,
  cast: (column: string, type: SqlType) => string | undefined,
): string {
  return sql.replace(CAST, (all: string, to: string | undefined, column: string | undefined) => {
    const type = to === undefined ? undefined : TYPES[to];
    return (type !== undefined && column !== undefined && cast(column, type)) || all;
  });
}
