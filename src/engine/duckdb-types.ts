/** Our types and DuckDB's: which stands for which, and how its vectors are read. */
import * as duck from '@duckdb/node-api';
import { columnKind } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import type { VectorForm } from './vector-read.ts';

export interface NamedColumn {
  readonly name: string;
  readonly type: SqlType;
}

/** As SQL writes it. */
export function duckType(type: SqlType): string {
  switch (type.name) {
    case 'LARGEINT':
      return 'HUGEINT';
    case 'DECIMAL':
      return `DECIMAL(${type.precision ?? 10},${type.scale ?? 0})`;
    case 'DATETIME':
      return 'TIMESTAMP';
    case 'INT':
      return 'INTEGER';
    case 'CHAR':
    case 'JSON':
      return 'VARCHAR';
    default:
      return type.name;
  }
}

/** As the library's objects name it. */
export function libraryType(type: SqlType): duck.DuckDBType {
  switch (type.name) {
    case 'BOOLEAN':
      return duck.BOOLEAN;
    case 'TINYINT':
      return duck.TINYINT;
    case 'SMALLINT':
      return duck.SMALLINT;
    case 'INT':
      return duck.INTEGER;
    case 'BIGINT':
      return duck.BIGINT;
    case 'LARGEINT':
      return duck.HUGEINT;
    case 'FLOAT':
      return duck.FLOAT;
    case 'DOUBLE':
      return duck.DOUBLE;
    case 'DATE':
      return duck.DATE;
    case 'DATETIME':
      return duck.TIMESTAMP;
    case 'DECIMAL':
      return duck.DECIMAL(type.precision ?? 10, type.scale ?? 0);
    case 'CHAR':
    case 'VARCHAR':
    case 'JSON':
      return duck.VARCHAR;
  }
}

/** How a vector of exactly this type is read. */
export function formOf(type: SqlType): VectorForm {
  if (type.name !== 'DECIMAL') return columnKind(type);
  const precision = type.precision ?? 10;
  if (precision <= 4) return 'i16→i64';
  return precision <= 9 ? 'i32→i64' : columnKind(type);
}

export interface ResultType {
  readonly type: SqlType;
  readonly form: VectorForm;
}

/** What a result column is to us; `undefined`: the query has to cast it to a text first. */
export function resultType(type: duck.DuckDBType): ResultType | undefined {
  if (type instanceof duck.DuckDBDecimalType) {
    const sql: SqlType = { name: 'DECIMAL', precision: type.width, scale: type.scale };
    return { type: sql, form: formOf(sql) };
  }
  const of = (name: SqlType['name']): ResultType => ({ type: { name }, form: formOf({ name }) });
  switch (type.typeId) {
    case duck.DuckDBTypeId.BOOLEAN:
      return of('BOOLEAN');
    case duck.DuckDBTypeId.TINYINT:
      return of('TINYINT');
    case duck.DuckDBTypeId.SMALLINT:
      return of('SMALLINT');
    case duck.DuckDBTypeId.INTEGER:
      return of('INT');
    case duck.DuckDBTypeId.BIGINT:
      return of('BIGINT');
    case duck.DuckDBTypeId.HUGEINT:
      return of('LARGEINT');
    case duck.DuckDBTypeId.FLOAT:
      return of('FLOAT');
    case duck.DuckDBTypeId.DOUBLE:
      return of('DOUBLE');
    case duck.DuckDBTypeId.DATE:
      return of('DATE');
    case duck.DuckDBTypeId.TIMESTAMP:
      return of('DATETIME');
    case duck.DuckDBTypeId.VARCHAR:
      return { type: { name: 'VARCHAR', length: 65_533 }, form: 'bytes' };
    default:
      return undefined;
  }
}
