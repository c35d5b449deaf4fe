/**
 * Text to typed values (semantics.md 2.3–2.9).
 *
 *   reader  Path A: a field goes straight into its column; `1.9` is the INT 1
 *   cast    Path B: SQL's CAST; `1.9` as INT is NULL
 */
import type { BytesColumn, Column } from '../../base/column-batch.ts';
import { type SqlType, STRING_LENGTH } from '../../base/sql-type.ts';
import { type ColumnBuilder, createBuilder } from '../column-builder.ts';
import { parseDatetime } from './date.ts';
import { type Moment, putDate, putDatetime } from './date-bytes.ts';
import { parseDecimal } from './decimal.ts';
import { type Span, smallInteger, trim, wholeNumber } from './integer.ts';
import { normalJson } from './json-text.ts';
import { putDouble, putInt32, putInt64 } from './number-bytes.ts';

export type CastMode = 'reader' | 'cast';
/** False: the text does not convert, and nothing was appended. */
export type TextAppender = (
  builder: ColumnBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
) => boolean;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const latin = (bytes: Uint8Array, start: number, end: number) =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
const DAY_MICROS = 86_400_000_000n;
const NUMBER = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** No number is longer; patterns run out of stack on texts of some megabytes. */
const NUMBER_LENGTH_MAX = 4_096;

const RANGES: Readonly<Partial<Record<SqlType['name'], readonly [bigint, bigint]>>> = {
  TINYINT: [-128n, 127n],
  SMALLINT: [-32_768n, 32_767n],
  INT: [-2_147_483_648n, 2_147_483_647n],
  BIGINT: [-(2n ** 63n), 2n ** 63n - 1n],
  LARGEINT: [-(2n ** 127n), 2n ** 127n - 1n],
};

/** Blanks around are no part of a number or a date. */
function trimmed(
  parse: (builder: ColumnBuilder, bytes: Uint8Array, start: number, end: number) => boolean,
): TextAppender {
  const span: Span = { start: 0, end: 0 };
  return (builder, bytes, start, end) => {
    span.start = start;
    span.end = end;
    trim(bytes, span);
    if (span.start === span.end) return false;
    return parse(builder, bytes, span.start, span.end);
  };
}

function integerAppender(type: SqlType, mode: CastMode): TextAppender {
  const [low, high] = RANGES[type.name] ?? [0n, 0n];
  const big = type.name === 'BIGINT' || type.name === 'LARGEINT';
  const lowSmall = Number(low);
  const highSmall = Number(high);
  return trimmed((builder, bytes, start, end) => {
    const small = smallInteger(bytes, start, end);
    if (!Number.isNaN(small)) {
      if (small < lowSmall || small > highSmall) return false;
      if (big) builder.appendWhole(small);
      else builder.appendInt(small);
      return true;
    }
    const value = wholeNumber(latin(bytes, start, end), mode === 'reader');
    if (value === undefined || value < low || value > high) return false;
    if (big) builder.appendBig(value);
    else builder.appendInt(Number(value));
    return true;
  });
}

function floatAppender(mode: CastMode, single: boolean): TextAppender {
  return trimmed((builder, bytes, start, end) => {
    const small = smallInteger(bytes, start, end);
    if (!Number.isNaN(small)) {
      builder.appendDouble(small);
      return true;
    }
    if (!single) {
      builder.reserve(1);
      const stop = putDouble(builder, bytes, start, end);
      if (stop === end) return true;
      if (stop >= 0) builder.truncate(builder.rows - 1);
    }
    if (end - start > NUMBER_LENGTH_MAX) return false;
    const text = latin(bytes, start, end);
    if (NUMBER.test(text)) {
      const value = single ? Math.fround(Number(text)) : Number(text);
      if (!Number.isFinite(value)) return false;
      builder.appendDouble(value);
      return true;
    }
    const special = /^([+-]?)(inf|nan)/i.exec(text);
    if (mode === 'cast' || special === null) return false;
    const value = special[2]?.toLowerCase() === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY;
    builder.appendDouble(special[1] === '-' ? -value : value);
    return true;
  });
}

const booleanAppender: TextAppender = trimmed((builder, bytes, start, end) => {
  if (end - start > NUMBER_LENGTH_MAX) return false;
  const text = latin(bytes, start, end);
  const word = text.toLowerCase();
  if (word === 'true' || word === 'false') builder.appendInt(word === 'true' ? 1 : 0);
  else if (NUMBER.test(text)) builder.appendInt(Number(text) === 0 ? 0 : 1);
  else return false;
  return true;
});

function dateAppender(strict: boolean): TextAppender {
  const moment: Moment = { days: 0, seconds: 0, micros: 0 };
  return trimmed((builder, bytes, start, end) => {
    builder.reserve(1);
    if (putDate(builder, bytes, start, end, moment)) return true;
    const micros = parseDatetime(latin(bytes, start, end), strict);
    if (micros === undefined) return false;
    const inDay = ((micros % DAY_MICROS) + DAY_MICROS) % DAY_MICROS;
    builder.appendInt(Number((micros - inDay) / DAY_MICROS));
    return true;
  });
}

function datetimeAppender(strict: boolean): TextAppender {
  const moment: Moment = { days: 0, seconds: 0, micros: 0 };
  return trimmed((builder, bytes, start, end) => {
    builder.reserve(1);
    if (putDatetime(builder, bytes, start, end, moment)) return true;
    const micros = parseDatetime(latin(bytes, start, end), strict);
    if (micros === undefined) return false;
    builder.appendBig(micros);
    return true;
  });
}

/** What a CHAR or VARCHAR column holds. */
export const textBytesMax = (type: SqlType): number =>
  type.length ?? (type.name === 'CHAR' ? 1 : STRING_LENGTH);

/** CAST leaves the length to the table's sink, which filters the row and says so; NULL here would hide it. */
function textAppenderOf(type: SqlType, mode: CastMode): TextAppender {
  if (mode === 'cast') {
    return (builder, bytes, start, end) => {
      builder.appendBytes(bytes, start, end);
      return true;
    };
  }
  const length = textBytesMax(type);
  return (builder, bytes, start, end) => {
    if (end - start > length) return false;
    builder.appendBytes(bytes, start, end);
    return true;
  };
}

/** `strict` refuses dates with text behind them. */
export function textAppender(
  type: SqlType,
  strict: boolean,
  mode: CastMode = 'reader',
): TextAppender {
  switch (type.name) {
    case 'BOOLEAN':
      return booleanAppender;
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'BIGINT':
    case 'LARGEINT':
      return integerAppender(type, mode);
    case 'FLOAT':
    case 'DOUBLE':
      return floatAppender(mode, type.name === 'FLOAT');
    case 'DECIMAL': {
      const precision = type.precision ?? 10;
      const scale = type.scale ?? 0;
      return trimmed((builder, bytes, start, end) => {
        const value = parseDecimal(latin(bytes, start, end), precision, scale);
        if (value === undefined) return false;
        builder.appendBig(value);
        return true;
      });
    }
    case 'DATE':
      return dateAppender(strict);
    case 'DATETIME':
      return datetimeAppender(strict);
    case 'JSON':
      return (builder, bytes, start, end) => {
        const json = normalJson(decoder.decode(bytes.subarray(start, end)));
        if (json === undefined) return false;
        builder.appendText(json);
        return true;
      };
    case 'CHAR':
    case 'VARCHAR':
      return textAppenderOf(type, mode);
  }
}

/** Of the forms that machines write: where it stopped, −1 for nothing. */
type UsualReader = (column: ColumnBuilder, bytes: Uint8Array, from: number, end: number) => number;
const USUAL: Readonly<Partial<Record<SqlType['name'], UsualReader>>> = {
  INT: putInt32,
  BIGINT: putInt64,
  DOUBLE: putDouble,
};

/** A whole column of texts; what does not convert is NULL. */
export function castTextColumn(
  column: BytesColumn,
  rows: number,
  type: SqlType,
  mode: CastMode,
): Column {
  const builder = createBuilder(type, rows);
  const append = textAppender(type, false, mode);
  const usual = USUAL[type.name];
  const { offsets, data, valid } = column;
  for (let row = 0; row < rows; row++) {
    const start = offsets[row]!;
    const end = offsets[row + 1]!;
    if (valid !== null && valid[row] === 0) {
      builder.appendNull();
      continue;
    }
    if (usual !== undefined) {
      const stop = usual(builder, data, start, end);
      if (stop === end) continue;
      if (stop >= 0) builder.truncate(row);
    }
    if (!append(builder, data, start, end)) builder.appendNull();
  }
  return builder.finish();
}
