/**
 * Column types as StarRocks names them (shared by parser, formats, engine, storage).
 * STRING is VARCHAR(65533); INTEGER is INT; BOOL is BOOLEAN: the parser folds such names.
 */
export type SqlTypeName =
  | 'BOOLEAN'
  | 'TINYINT'
  | 'SMALLINT'
  | 'INT'
  | 'BIGINT'
  | 'LARGEINT'
  | 'FLOAT'
  | 'DOUBLE'
  | 'DECIMAL'
  | 'CHAR'
  | 'VARCHAR'
  | 'DATE'
  | 'DATETIME'
  | 'JSON';

export interface SqlType {
  readonly name: SqlTypeName;
  /** CHAR, VARCHAR: the longest value in bytes of UTF-8. */
  readonly length?: number;
  /** DECIMAL: digits in all, 1 to 38. */
  readonly precision?: number;
  /** DECIMAL: digits after the point. */
  readonly scale?: number;
}

export const VARCHAR_LENGTH_MAX = 1_048_576;
export const STRING_LENGTH = 65_533;
export const VARCHAR: SqlType = { name: 'VARCHAR', length: STRING_LENGTH };
export const BIGINT: SqlType = { name: 'BIGINT' };
export const DOUBLE: SqlType = { name: 'DOUBLE' };

/** As `SHOW CREATE TABLE` prints it, e.g. `varchar(26)`, `bigint(20)`. */
export function describeType(type: SqlType): string {
  switch (type.name) {
    case 'CHAR':
    case 'VARCHAR':
      return `${type.name.toLowerCase()}(${type.length ?? 1})`;
    case 'DECIMAL':
      return `decimal(${type.precision ?? 10},${type.scale ?? 0})`;
    case 'TINYINT':
      return 'tinyint(4)';
    case 'SMALLINT':
      return 'smallint(6)';
    case 'INT':
      return 'int(11)';
    case 'BIGINT':
      return 'bigint(20)';
    case 'LARGEINT':
      return 'largeint(40)';
    default:
      return type.name.toLowerCase();
  }
}

/** As error rows name it, e.g. `VARCHAR(26)`, `DECIMAL64(10,2)`. */
export function typeLabel(type: SqlType): string {
  if (type.name === 'CHAR' || type.name === 'VARCHAR') return `${type.name}(${type.length ?? 1})`;
  if (type.name !== 'DECIMAL') return type.name;
  const precision = type.precision ?? 10;
  const width = precision <= 9 ? 32 : precision <= 18 ? 64 : 128;
  return `DECIMAL${width}(${precision},${type.scale ?? 0})`;
}
