/** What the translation of expressions needs to know of the place where they stand. */
import type { SqlType } from '../base/sql-type.ts';
import type { Category } from './cast-sql.ts';
import type { EvalContext } from './engine.types.ts';

/** SQL for DuckDB, and what is known of its type. */
export interface Typed {
  readonly sql: string;
  readonly cat: Category;
  /** Of a text that shows a moment to the second: the moment, which needs no parser to become DATE or DATETIME. */
  readonly moment?: string;
}

export interface TranslateOptions {
  readonly context: EvalContext;
  /** What a name means. Absent: its quoted path, of a type that only DuckDB knows. */
  readonly column?: (path: readonly string[]) => Typed;
  /** A table that a query may read; it throws for any other. */
  readonly table?: (db: string | undefined, name: string) => TableSql;
}

export interface TableSql {
  readonly sql: string;
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
}
