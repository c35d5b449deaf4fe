/** What the fast ways of CSV and JSON share: how a field's column takes the bytes that machines write for its type. */
import { textBytesMax } from './cast/text-cast.ts';
import type { ColumnBuilder } from './column-builder.ts';
import type { SinkColumn } from './row-sink.ts';

/** Kinds of readers; numbers, as they are chosen among for every value. */
export const READ_OVER = 0;
export const READ_INT32 = 1;
export const READ_INT64 = 2;
export const READ_DOUBLE = 3;
export const READ_DATE = 4;
export const READ_DATETIME = 5;
export const READ_TEXT = 6;
/** A text that is likely a number, and wanted as one. */
export const READ_NUMBER_TEXT = 7;
/** By the column's own appender. */
export const READ_OTHER = 8;

export type ReaderKind = number;

export function readerOf(column: SinkColumn | undefined): ReaderKind {
  switch (column?.field.type.name) {
    case undefined:
      return READ_OVER;
    case 'INT':
      return READ_INT32;
    case 'BIGINT':
      return READ_INT64;
    case 'DOUBLE':
      return READ_DOUBLE;
    case 'DATE':
      return READ_DATE;
    case 'DATETIME':
      return READ_DATETIME;
    case 'CHAR':
    case 'VARCHAR':
      return column?.field.calculated === true ? READ_NUMBER_TEXT : READ_TEXT;
    default:
      return READ_OTHER;
  }
}

/** Of a text column; 0 for others. */
export function lengthMaxOf(column: SinkColumn | undefined): number {
  const reader = readerOf(column);
  const isText = reader === READ_TEXT || reader === READ_NUMBER_TEXT;
  return isText ? textBytesMax(column!.field.type) : 0;
}

/** Ends a value whose bytes were written to `data` behind `end`. The column has a row reserved. */
export function endText(column: ColumnBuilder, end: number): void {
  column.end = end;
  column.offsets[++column.rows] = end;
}

/** Each byte of a word is one of these: the byte four times. */
export const everyByte = (byte: number): number => Math.imul(byte, 0x01010101);

/** The high bit of the first byte of `word` that is that of `every`; bits above it may be set too. 0: none is. */
export function hasByte(word: number, every: number): number {
  const other = word ^ every;
  return (other - 0x01010101) & ~other & 0x80808080;
}

/** How many bytes of a word stand before the first whose high bit is set; one is. */
export const bytesBefore = (highBits: number): number =>
  (31 - Math.clz32(highBits & -highBits)) >> 3;
