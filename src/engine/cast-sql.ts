/**
 * CAST as StarRocks does it (semantics.md 2.3–2.9), in DuckDB's SQL. From texts by our own parsers, which are scalar
 * functions of the instance (cast-functions.ts): DuckDB rounds `1.9`, reads `0x1F` and `1_000`, knows no `20240131`.
 * What does not convert is NULL.
 */
import type { SqlType } from '../base/sql-type.ts';
import { duckType } from './duckdb-types.ts';

/** What is known of an expression's type; `any`: nothing, and DuckDB is asked when it binds the statement. */
export type Category =
  | 'null'
  | 'text'
  | 'int'
  /** LARGEINT. */
  | 'large'
  | 'float'
  | 'decimal'
  | 'bool'
  | 'date'
  | 'datetime'
  | 'any';

export const isNumber = (cat: Category): boolean =>
  cat === 'int' || cat === 'large' || cat === 'float' || cat === 'decimal';

export function categoryOf(type: SqlType): Category {
  switch (type.name) {
    case 'BOOLEAN':
      return 'bool';
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'BIGINT':
      return 'int';
    case 'LARGEINT':
      return 'large';
    case 'FLOAT':
    case 'DOUBLE':
      return 'float';
    case 'DECIMAL':
      return 'decimal';
    case 'DATE':
      return 'date';
    case 'DATETIME':
      return 'datetime';
    case 'CHAR':
    case 'VARCHAR':
    case 'JSON':
      return 'text';
  }
}

/** DuckDB's names of the types of a category. */
const TYPEOF: readonly (readonly [Category, string])[] = [
  ['text', "IN ('VARCHAR', 'JSON')"],
  ['int', "IN ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT')"],
  ['large', "= 'HUGEINT'"],
  ['float', "IN ('FLOAT', 'DOUBLE')"],
  ['decimal', "LIKE 'DECIMAL%'"],
  ['bool', "= 'BOOLEAN'"],
  ['date', "= 'DATE'"],
  ['datetime', "LIKE 'TIMESTAMP%'"],
];

export function castSql(sql: string, type: SqlType, from: Category = 'any'): string {
  if (from === 'null') return `CAST(NULL AS ${duckType(type)})`;
  if (from !== 'any') return castFrom(sql, type, from);
  // `typeof` is a constant to DuckDB's binder: one of the branches is left, and filters still reach the files.
  const branches = TYPEOF.map(
    ([category, names]) => `WHEN typeof(${sql}) ${names} THEN ${castFrom(sql, type, category)}`,
  );
  return `CASE ${branches.join(' ')} ELSE TRY_CAST(${sql} AS ${duckType(type)}) END`;
}

/** The value as a text, as the MySQL protocol would show it. */
export function textSql(sql: string, from: Category = 'any'): string {
  return castSql(sql, { name: 'VARCHAR' }, from);
}

/** Each form binds whatever the type of `sql` is: the branches that are not taken are bound as well. */
function castFrom(sql: string, type: SqlType, from: Category): string {
  const to = categoryOf(type);
  const target = duckType(type);
  if (type.name === 'JSON') return `ms_to_json(CAST(${sql} AS VARCHAR))`;
  if (from === 'text' && to !== 'text') return fromText(`CAST(${sql} AS VARCHAR)`, type);
  const plain = `TRY_CAST(${sql} AS ${target})`;
  const digits = dateDigits(sql, from);
  switch (to) {
    case 'text':
      return toText(sql, from);
    case 'int':
    case 'large':
      if (from === 'float') return `TRY_CAST(trunc(TRY_CAST(${sql} AS DOUBLE)) AS ${target})`;
      if (from === 'decimal')
        return `TRY_CAST(split_part(CAST(${sql} AS VARCHAR), '.', 1) AS ${target})`;
      return digits === undefined ? plain : `TRY_CAST(${digits} AS ${target})`;
    case 'float':
    case 'decimal':
      return digits === undefined ? plain : `TRY_CAST(${digits} AS ${target})`;
    case 'bool':
      if (isNumber(from)) return `(TRY_CAST(${sql} AS DOUBLE) <> 0)`;
      return from === 'bool' ? plain : `TRY_CAST(${digits} <> 0 AS BOOLEAN)`;
    case 'date':
    case 'datetime':
      if (isNumber(from))
        return `CAST(ms_number_datetime(TRY_CAST(${sql} AS BIGINT)) AS ${target})`;
      return from === 'bool' ? `CAST(NULL AS ${target})` : plain;
    default:
      return plain;
  }
}

/** DATE and DATETIME as numbers: YYYYMMDD, YYYYMMDDHHMMSS. */
function dateDigits(sql: string, from: Category): string | undefined {
  if (from === 'date')
    return `TRY_CAST(strftime(TRY_CAST(${sql} AS TIMESTAMP), '%Y%m%d') AS BIGINT)`;
  if (from === 'datetime')
    return `TRY_CAST(strftime(TRY_CAST(${sql} AS TIMESTAMP), '%Y%m%d%H%M%S') AS BIGINT)`;
  return undefined;
}

function toText(sql: string, from: Category): string {
  switch (from) {
    case 'bool':
      return `CAST(TRY_CAST(${sql} AS TINYINT) AS VARCHAR)`;
    case 'float':
      return `CASE WHEN typeof(${sql}) = 'FLOAT' THEN ms_float_text(TRY_CAST(${sql} AS FLOAT)) ELSE ms_double_text(TRY_CAST(${sql} AS DOUBLE)) END`;
    case 'datetime':
      return `ms_datetime_text(TRY_CAST(${sql} AS TIMESTAMP))`;
    default:
      return `CAST(${sql} AS VARCHAR)`;
  }
}

function fromText(sql: string, type: SqlType): string {
  switch (type.name) {
    case 'DECIMAL': {
      const shape = `${type.precision ?? 10},${type.scale ?? 0}`;
      return `TRY_CAST(ms_to_decimal(${sql}, '${shape}') AS DECIMAL(${shape}))`;
    }
    case 'CHAR':
    case 'VARCHAR':
      return sql;
    default:
      return `ms_to_${type.name.toLowerCase()}(${sql})`;
  }
}
