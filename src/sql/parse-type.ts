/** Column and CAST types; other spellings are folded to the names of `SqlType`. */
import {
  type SqlType,
  type SqlTypeName,
  STRING_LENGTH,
  VARCHAR_LENGTH_MAX,
} from '../base/sql-type.ts';
import { statementError } from './syntax-error.ts';
import type { TokenCursor } from './token-cursor.ts';

const PLAIN: Readonly<Record<string, SqlTypeName>> = {
  BOOLEAN: 'BOOLEAN',
  BOOL: 'BOOLEAN',
  FLOAT: 'FLOAT',
  DOUBLE: 'DOUBLE',
  DATE: 'DATE',
  DATETIME: 'DATETIME',
  JSON: 'JSON',
};

/** A width in parentheses says how wide to print and is ignored. */
const INTEGERS: Readonly<Record<string, SqlTypeName>> = {
  TINYINT: 'TINYINT',
  SMALLINT: 'SMALLINT',
  INT: 'INT',
  INTEGER: 'INT',
  BIGINT: 'BIGINT',
  LARGEINT: 'LARGEINT',
};

const DECIMALS: Readonly<Record<string, number>> = {
  DECIMAL: 38,
  DECIMAL32: 9,
  DECIMAL64: 18,
  DECIMAL128: 38,
};

const CHAR_LENGTH_MAX = 255;

/** `use` decides what CHAR and VARCHAR without a length mean: 1 in a table, as long as needed in a CAST. */
export function parseType(cursor: TokenCursor, use: 'column' | 'cast'): SqlType {
  const { token } = cursor;
  if (token.kind !== 'word') {
    cursor.wants('a type');
    return cursor.fail();
  }
  const word = token.upper;
  if (Object.hasOwn(PLAIN, word)) {
    cursor.advance();
    return { name: PLAIN[word]! };
  }
  if (Object.hasOwn(INTEGERS, word)) {
    cursor.advance();
    if (cursor.accept('(')) {
      cursor.integer();
      cursor.expect(')');
    }
    if (cursor.token.upper === 'UNSIGNED') cursor.refuse('UNSIGNED is not supported');
    return { name: INTEGERS[word]! };
  }
  if (Object.hasOwn(DECIMALS, word)) return parseDecimal(cursor, DECIMALS[word]!);
  if (word === 'STRING' || word === 'TEXT') {
    cursor.advance();
    return { name: 'VARCHAR', length: STRING_LENGTH };
  }
  if (word === 'CHAR' || word === 'VARCHAR') return parseText(cursor, word, use);
  throw statementError(
    'SQL_TYPE_UNSUPPORTED',
    token,
    `the type '${token.value}' is not supported.`,
    word === 'TIMESTAMP'
      ? 'use DATETIME'
      : 'supported are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, LARGEINT, FLOAT, DOUBLE, DECIMAL, CHAR, VARCHAR, STRING, DATE, DATETIME and JSON',
  );
}

function parseDecimal(cursor: TokenCursor, precisionMax: number): SqlType {
  const token = cursor.advance();
  let precision = precisionMax === 9 ? 9 : 10;
  let scale = 0;
  if (cursor.accept('(')) {
    precision = cursor.integer();
    if (cursor.accept(',')) scale = cursor.integer();
    cursor.expect(')');
  }
  if (precision < 1 || precision > precisionMax) {
    const detail = `the precision of ${token.value} must be from 1 to ${precisionMax}, not ${precision}.`;
    throw statementError('SQL_TYPE_RANGE', token, detail);
  }
  if (scale > precision) {
    const detail = `the scale of ${token.value} must not exceed its precision: (${precision},${scale}).`;
    throw statementError('SQL_TYPE_RANGE', token, detail);
  }
  return { name: 'DECIMAL', precision, scale };
}

function parseText(cursor: TokenCursor, word: 'CHAR' | 'VARCHAR', use: 'column' | 'cast'): SqlType {
  const token = cursor.advance();
  if (!cursor.accept('(')) {
    if (use === 'cast') return { name: 'VARCHAR', length: STRING_LENGTH };
    return { name: word, length: 1 };
  }
  const length = cursor.integer();
  cursor.expect(')');
  const lengthMax = word === 'CHAR' ? CHAR_LENGTH_MAX : VARCHAR_LENGTH_MAX;
  if (length < 1 || length > lengthMax) {
    const detail = `the length of ${token.value} must be from 1 to ${lengthMax} bytes, not ${length}.`;
    throw statementError('SQL_TYPE_RANGE', token, detail);
  }
  return { name: word, length };
}
