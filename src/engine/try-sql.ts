/** What fails for a row is NULL in that row, and the other rows of the statement go on. */
import type { Expr } from '../sql/ast/expr.ts';
import { findFunction } from '../sql/functions.ts';
import { childrenOf } from '../sql/walk.ts';

/** `sql` is what became of `expr`. */
export function trySql(expr: Expr, sql: string): string {
  return isPlain(expr) ? `TRY(${sql})` : `(${sql})`;
}

/** DuckDB's TRY holds neither aggregates nor subqueries, nor what is another value at each call. */
function isPlain(expr: Expr): boolean {
  if (expr.kind === 'scalarSelect' || expr.kind === 'inSelect' || expr.kind === 'exists')
    return false;
  if (expr.kind === 'call') {
    if (expr.name === 'uuid' || findFunction(expr.name, expr.args.length).aggregate) return false;
  }
  return childrenOf(expr).every(isPlain);
}
