/**
 * Statements as parsed: what was written, nothing checked against the catalog. One kind per statement;
 * src/sql/statements has one file per kind that runs it.
 */

import type { SqlType } from '../../base/sql-type.ts';
import type { AggFunction, ColumnDefault, KeyModel } from '../../base/table-schema.ts';
import type { Expr } from './expr.ts';
import type { OrderItem, Select, TableName } from './select.ts';

/** Where something stands in the statement's text: both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** `("k" = "v", …)` in the order written; a repeated key is an error of the statement. */
export interface Property {
  readonly key: string;
  readonly value: string;
  readonly place: Place;
}

export interface QualifiedName {
  readonly db?: string;
  readonly name: string;
}

export interface ColumnSpec {
  readonly name: string;
  readonly type: SqlType;
  readonly agg?: AggFunction;
  /** Absent: not written. */
  readonly nullable?: boolean;
  /** `KEY` written after the type. */
  readonly key?: boolean;
  readonly default?: ColumnDefault | { readonly kind: 'null' };
  readonly comment?: string;
}

/** The comma-separated clauses between the table's name and PROPERTIES of CREATE and ALTER ROUTINE LOAD. */
export interface LoadClauses {
  /** As written between the quotes, before delimiter escapes such as `\\x01` are resolved. */
  readonly columnSeparator?: string;
  readonly rowDelimiter?: string;
  readonly columns?: readonly LoadColumn[];
  readonly where?: Expr;
  readonly partitions?: { readonly temporary: boolean; readonly names: readonly string[] };
}

export interface LoadColumn {
  readonly name: string;
  /** Absent: a source field. */
  readonly expr?: Expr;
}

export interface DataSource {
  /** Upper case: `KAFKA`. */
  readonly type: string;
  readonly properties: readonly Property[];
}

/** `WHERE`, `ORDER BY` and `LIMIT` of SHOW statements; `like` for `SHOW … LIKE 'x'`. */
export interface ShowFilter {
  readonly like?: string;
  readonly where?: Expr;
  readonly orderBy?: readonly OrderItem[];
  readonly limit?: { readonly count: number; readonly offset: number };
}

export type Statement =
  | { readonly kind: 'select'; readonly select: Select }
  | { readonly kind: 'explain'; readonly select: Select }
  | { readonly kind: 'use'; readonly db: string }
  | { readonly kind: 'set'; readonly items: readonly SetItem[] }
  | { readonly kind: 'kill'; readonly connectionId: number; readonly queryOnly: boolean }
  /** BEGIN, START TRANSACTION, COMMIT, ROLLBACK: accepted, each statement is its own transaction. */
  | { readonly kind: 'transaction'; readonly verb: 'BEGIN' | 'COMMIT' | 'ROLLBACK' }
  | { readonly kind: 'createDatabase'; readonly name: string; readonly ifNotExists: boolean }
  | {
      readonly kind: 'dropDatabase';
      readonly name: string;
      readonly ifExists: boolean;
      readonly force: boolean;
    }
  | { readonly kind: 'showDatabases'; readonly filter: ShowFilter }
  | { readonly kind: 'showCreateDatabase'; readonly name: string }
  | {
      readonly kind: 'createTable';
      readonly table: TableName;
      readonly ifNotExists: boolean;
      readonly columns: readonly ColumnSpec[];
      /** Absent: not written. */
      readonly engine?: string;
      readonly keys?: {
        readonly model: KeyModel | 'UNIQUE' | 'PRIMARY';
        readonly columns: readonly string[];
      };
      readonly comment?: string;
      /** Absent: not written. `columns` empty: RANDOM. */
      readonly distribution?: { readonly columns: readonly string[]; readonly buckets?: number };
      readonly properties: readonly Property[];
    }
  | {
      readonly kind: 'dropTable';
      readonly table: TableName;
      readonly ifExists: boolean;
      readonly force: boolean;
    }
  | { readonly kind: 'truncateTable'; readonly table: TableName }
  | {
      readonly kind: 'showTables';
      readonly db?: string;
      readonly full: boolean;
      readonly filter: ShowFilter;
    }
  | { readonly kind: 'showTableStatus'; readonly db?: string; readonly filter: ShowFilter }
  | { readonly kind: 'describe'; readonly table: TableName; readonly all: boolean }
  | {
      readonly kind: 'showColumns';
      readonly table: TableName;
      readonly full: boolean;
      readonly filter: ShowFilter;
    }
  | { readonly kind: 'showCreateTable'; readonly table: TableName }
  | {
      readonly kind: 'insert';
      readonly table: TableName;
      readonly label?: string;
      /** Absent: all columns in table order. */
      readonly columns?: readonly string[];
      readonly source:
        | {
            readonly kind: 'values';
            readonly rows: readonly (readonly (Expr | { readonly kind: 'default' })[])[];
          }
        | { readonly kind: 'select'; readonly select: Select };
      readonly properties: readonly Property[];
    }
  | {
      readonly kind: 'createRoutineLoad';
      readonly job: QualifiedName;
      readonly table: string;
      readonly clauses: LoadClauses;
      readonly properties: readonly Property[];
      readonly source: DataSource;
      /** The whole statement as sent, secrets replaced by `******`. */
      readonly text: string;
    }
  | {
      readonly kind: 'alterRoutineLoad';
      readonly job: QualifiedName;
      readonly clauses: LoadClauses;
      readonly properties: readonly Property[];
      readonly source?: DataSource;
    }
  | { readonly kind: 'pauseRoutineLoad'; readonly job: QualifiedName }
  | { readonly kind: 'resumeRoutineLoad'; readonly job: QualifiedName }
  | { readonly kind: 'stopRoutineLoad'; readonly job: QualifiedName }
  | {
      readonly kind: 'showRoutineLoad';
      readonly all: boolean;
      /** `FOR job`, or absent. */
      readonly job?: QualifiedName;
      /** `FROM db`. */
      readonly db?: string;
      readonly filter: ShowFilter;
    }
  | { readonly kind: 'showRoutineLoadTask'; readonly db?: string; readonly where: Expr }
  | { readonly kind: 'showCreateRoutineLoad'; readonly job: QualifiedName }
  | {
      readonly kind: 'createFile';
      readonly name: string;
      readonly db?: string;
      readonly properties: readonly Property[];
    }
  | {
      readonly kind: 'dropFile';
      readonly name: string;
      readonly db?: string;
      readonly properties: readonly Property[];
    }
  | { readonly kind: 'showFile'; readonly db?: string }
  | { readonly kind: 'adminShowConfig'; readonly filter: ShowFilter }
  | { readonly kind: 'adminSetConfig'; readonly properties: readonly Property[] }
  | { readonly kind: 'adminDropBackend'; readonly backend: string }
  | { readonly kind: 'showBackends' }
  | { readonly kind: 'showFrontends' }
  | {
      readonly kind: 'showVariables';
      readonly scope: 'session' | 'global';
      readonly filter: ShowFilter;
    }
  | { readonly kind: 'showProcesslist'; readonly full: boolean }
  | { readonly kind: 'showWarnings' }
  | { readonly kind: 'showStatus'; readonly filter: ShowFilter }
  | { readonly kind: 'showEngines' }
  | { readonly kind: 'showCollation'; readonly filter: ShowFilter }
  | { readonly kind: 'showCharset'; readonly filter: ShowFilter }
  | { readonly kind: 'showPlugins' }
  | { readonly kind: 'showTablets'; readonly table: TableName }
  | { readonly kind: 'showIndex'; readonly table: TableName }
  | { readonly kind: 'showGrants' };

export type SetItem =
  | {
      readonly kind: 'variable';
      readonly scope: 'user' | 'session' | 'global';
      readonly name: string;
      /** `DEFAULT` becomes undefined. A bare word (`utf8mb4`, `ON`) is a string. */
      readonly value: Expr | undefined;
    }
  | { readonly kind: 'names'; readonly charset: string };
