/** What a table is made of: a fact of the FE's catalog, sent with every plan. */
import type { SqlType } from './sql-type.ts';

export type KeyModel = 'DUPLICATE' | 'AGGREGATE';
export type AggFunction = 'SUM' | 'MIN' | 'MAX' | 'REPLACE' | 'REPLACE_IF_NOT_NULL';

export type ColumnDefault =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'current_timestamp' };

export interface ColumnDef {
  /** Never reused within a table; a rowset's columns are found by it after a schema change. */
  readonly id: number;
  readonly name: string;
  readonly type: SqlType;
  readonly nullable: boolean;
  readonly isKey: boolean;
  /** AGGREGATE tables, columns that are no keys. */
  readonly agg?: AggFunction;
  /** Absent: NULL for a nullable column, else a load must feed the column. */
  readonly default?: ColumnDefault;
  readonly comment?: string;
}

export interface TableSchema {
  readonly tableId: number;
  /** A new number for every change of the columns; a load under an older one is refused (PROTOCOL.md I6). */
  readonly schemaId: number;
  readonly model: KeyModel;
  readonly columns: readonly ColumnDef[];
  /** Names of the distribution columns in DDL order; empty: DISTRIBUTED BY RANDOM. */
  readonly bucketColumns: readonly string[];
}

/** A bucket of a table and the BE that keeps it. */
export interface TabletRef {
  readonly tabletId: number;
  readonly bucket: number;
  readonly beId: string;
}
