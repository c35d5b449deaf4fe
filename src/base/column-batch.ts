/**
 * The one columnar form of rows (PROTOCOL.md P4): decoders emit it, the engine takes and gives it, small
 * parts and query results are its encoding (src/formats/column-codec.ts).
 *
 * Physical form by type:
 *   BOOLEAN, TINYINT        i8    (BOOLEAN: 0 or 1)
 *   SMALLINT                i16
 *   INT                     i32
 *   DATE                    i32   days since 1970-01-01
 *   BIGINT                  i64
 *   DATETIME                i64   microseconds since 1970-01-01 00:00:00, without a zone
 *   DECIMAL(p ≤ 18, s)      i64   unscaled
 *   DECIMAL(p > 18, s)      i128  unscaled
 *   LARGEINT                i128  two's complement, two words a value: low, then high
 *   FLOAT, DOUBLE           f32, f64
 *   CHAR, VARCHAR, JSON     bytes UTF-8
 */
import type { SqlType } from './sql-type.ts';

interface Nullable {
  /** One byte a row, 1 = a value, 0 = NULL; `null` where no row is NULL. What lies under a NULL is 0 or empty. */
  readonly valid: Uint8Array | null;
}

export interface I8Column extends Nullable {
  readonly kind: 'i8';
  readonly values: Int8Array;
}
export interface I16Column extends Nullable {
  readonly kind: 'i16';
  readonly values: Int16Array;
}
export interface I32Column extends Nullable {
  readonly kind: 'i32';
  readonly values: Int32Array;
}
export interface I64Column extends Nullable {
  readonly kind: 'i64';
  readonly values: BigInt64Array;
}
export interface I128Column extends Nullable {
  readonly kind: 'i128';
  /** 2 × rows words: low (as unsigned bits), high. */
  readonly values: BigInt64Array;
}
export interface F32Column extends Nullable {
  readonly kind: 'f32';
  readonly values: Float32Array;
}
export interface F64Column extends Nullable {
  readonly kind: 'f64';
  readonly values: Float64Array;
}
export interface BytesColumn extends Nullable {
  readonly kind: 'bytes';
  /** rows + 1 positions in `data`; value i is data[offsets[i] … offsets[i + 1]]. */
  readonly offsets: Uint32Array;
  readonly data: Uint8Array;
  /** What its texts are as numbers, where a reader has seen it on its way; absent: nobody has looked. */
  readonly numbers?: SeenNumbers;
}

/** By row. A number is looked at no more than it is easy: up to 15 digits, a point, no exponent, no blanks. */
export interface SeenNumbers {
  /** 0 where the form is OTHER. */
  readonly values: Float64Array;
  readonly forms: Uint8Array;
}

/** How a text is written: as no number that was seen, without a point, with one. */
export const NUMBER_OTHER = 0;
export const NUMBER_WHOLE = 1;
export const NUMBER_FRACTION = 2;

export type Column =
  | I8Column
  | I16Column
  | I32Column
  | I64Column
  | I128Column
  | F32Column
  | F64Column
  | BytesColumn;

export interface ColumnBatch {
  readonly rows: number;
  readonly columns: readonly Column[];
}

export type ColumnKind = Column['kind'];

/** The physical form of a type. */
export function columnKind(type: SqlType): ColumnKind {
  switch (type.name) {
    case 'BOOLEAN':
    case 'TINYINT':
      return 'i8';
    case 'SMALLINT':
      return 'i16';
    case 'INT':
    case 'DATE':
      return 'i32';
    case 'BIGINT':
    case 'DATETIME':
      return 'i64';
    case 'DECIMAL':
      return (type.precision ?? 10) <= 18 ? 'i64' : 'i128';
    case 'LARGEINT':
      return 'i128';
    case 'FLOAT':
      return 'f32';
    case 'DOUBLE':
      return 'f64';
    case 'CHAR':
    case 'VARCHAR':
    case 'JSON':
      return 'bytes';
  }
}

export function isNull(column: Column, row: number): boolean {
  return column.valid !== null && column.valid[row] === 0;
}
