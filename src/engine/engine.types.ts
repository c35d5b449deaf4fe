/**
 * The engine port (PROTOCOL.md E1): plans in, columns out; never SQL text. Production is DuckDB
 * (duckdb-engine.ts); simulations pass a small deterministic stand-in.
 */
import type { ColumnBatch } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { Select } from '../sql/ast/select.ts';

/** Every value that would differ between two runs is a parameter. */
export interface EvalContext {
  /** IANA name or offset such as `+08:00`; for from_unixtime, unix_timestamp, now. */
  readonly timezone: string;
  /** The statement's or task's one `now()`, milliseconds since 1970. */
  readonly nowMs: number;
  /** Seed for uuid() and rand(). */
  readonly seed: string;
  readonly currentUser?: string;
  readonly currentDb?: string;
  readonly connectionId?: number;
  /** `@name` of the user, `@@name` of the session, in lower case; NULL for a variable that has no value. */
  readonly variables?: Readonly<Record<string, string | number | null>>;
}

/** How one table column is made from source fields. Plain JSON: part of a load plan. */
export type ColumnSource =
  | { readonly kind: 'field'; readonly field: number }
  | { readonly kind: 'expr'; readonly expr: Expr }
  | { readonly kind: 'null' }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'now' };

export interface TransformPlan {
  /** The columns of the input: the decode plan's fields that have a type, in order. */
  readonly fields: readonly { readonly name: string; readonly type: SqlType }[];
  readonly schema: TableSchema;
  /** One per column of the schema, in its order. Expressions name fields, not table columns. */
  readonly sources: readonly ColumnSource[];
  /** Names table columns first, then source fields (semantics.md 5.2). */
  readonly where?: Expr;
  readonly strict: boolean;
  readonly context: EvalContext;
}

export interface TransformReject {
  /** Row of the input. */
  readonly row: number;
  readonly column: string;
  /** semantics.md 3.8, sink texts. */
  readonly reason: string;
  /** The row as the sink saw it, `[v1, v2, …]`, at most 1 KiB. */
  readonly rowText: string;
}

export interface TransformOutput {
  /** Columns of the table's schema, in order; NOT NULL, lengths and decimals have been checked. */
  readonly batch: ColumnBatch;
  /** Row of the output → row of the input; null: all rows, as they came. */
  readonly inputRow: Uint32Array | null;
  /** Rows that WHERE did not choose. */
  readonly unselected: number;
  /** At most 50 with text … */
  readonly rejects: readonly TransformReject[];
  /** … of so many. Every rejected input row, once. */
  readonly rejected: number;
  /** Values of source fields that did not convert and became NULL; absent: none. */
  readonly coerced?: number;
}

/** Rows of one part that belong to one tablet. */
export interface PartTablet {
  readonly tabletId: number;
  readonly rows: number;
}

/** Where the bytes of a part are. Inline: column-codec's encoding of schema columns, then hidden columns. */
export type PartBytes =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  /** A Parquet file with the same columns, written, closed, not yet synced. */
  | { readonly kind: 'file'; readonly path: string; readonly length: number };

/** A column's id, its least and its greatest value: digits, of days or microseconds for times; doubles as JavaScript's. */
export type ColumnRange = readonly [columnId: number, low: string, high: string];

export interface BuiltPart {
  readonly rows: number;
  readonly tablets: readonly PartTablet[];
  readonly data: PartBytes;
  /** Of files: every value that is not NULL lies within. Of columns that are not named nothing is known. */
  readonly ranges?: readonly ColumnRange[];
}

export interface PartSpec {
  readonly schema: TableSchema;
  /** Where a file goes if the part grows beyond `inlineBytesMax`. The name was never used before. */
  readonly path: string;
  readonly inlineBytesMax: number;
}

/**
 * Collects one BE's share of a transaction, in memory that does not grow with it. Rows come in source order, and a part
 * keeps that order within a tablet: an inline part has its rows grouped by tablet, in a file tablets lie mixed. Hidden
 * columns stand behind the schema's columns:
 *   __tablet BIGINT   always
 *   __ord    BIGINT   position within the part, for models whose result depends on order (REPLACE, …)
 */
export interface PartWriter {
  /** The batch is not to be changed afterwards. Await it: that is what bounds memory. */
  append(batch: ColumnBatch, tabletIds: Float64Array): Promise<void>;
  readonly rows: number;
  readonly bytes: number;
  finish(): Promise<BuiltPart>;
  /** Also after `finish`: removes the file, if it still lies where it was written. */
  discard(): Promise<void>;
}

/** A part as the engine reads it. */
export interface PartInput {
  readonly partId: string;
  readonly data: PartBytes;
  /** The tablets to be read and the version each rowset has. Rows of other tablets are left out. */
  readonly tablets: readonly {
    readonly tabletId: number;
    readonly version: number;
    /** How many rows the tablet has in this part, where it is known. */
    readonly rows?: number;
  }[];
  /** All rows of the part, where it is known: no row has to be looked at to leave out other tablets. */
  readonly rows?: number;
  /** A merged part: it has a column __version BIGINT of its own, which goes before `tablets`' version. */
  readonly merged: boolean;
  /** As of `BuiltPart`, over all rows of the part. */
  readonly ranges?: readonly ColumnRange[];
}

/** A table of a query: stored parts at one snapshot, or rows made by the FE (information_schema). */
export type QueryTable =
  | {
      readonly kind: 'stored';
      readonly db: string;
      readonly name: string;
      readonly schema: TableSchema;
      readonly parts: readonly PartInput[];
    }
  | {
      readonly kind: 'rows';
      readonly db: string;
      readonly name: string;
      readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
      readonly batch: ColumnBatch;
    };

export interface QueryPlan {
  /** Every table name in it has been given its db by the analyzer. */
  readonly select: Select;
  readonly context: EvalContext;
}

export interface ResultColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly nullable: boolean;
}

export interface QueryResult {
  readonly columns: readonly ResultColumn[];
  /** Pulled one by one; each of at most some thousand rows. */
  readonly batches: AsyncIterableIterator<ColumnBatch>;
  /** Frees what the query holds; also stops it. May be called twice. */
  close(): Promise<void>;
}

export interface Engine {
  /** Source fields → table columns. Without expressions and WHERE no database is asked. */
  transform(
    plan: TransformPlan,
    input: ColumnBatch,
    signal?: AbortSignal,
  ): Promise<TransformOutput>;
  openPart(spec: PartSpec): PartWriter;
  /** Joins parts of one schema: DUPLICATE tables row by row, AGGREGATE tables by key. The result is `merged`. */
  merge(spec: PartSpec, parts: readonly PartInput[], signal?: AbortSignal): Promise<BuiltPart>;
  query(plan: QueryPlan, tables: readonly QueryTable[], signal?: AbortSignal): Promise<QueryResult>;
  close(): Promise<void>;
}
