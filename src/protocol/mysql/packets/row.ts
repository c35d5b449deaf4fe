/**
 *   Text row: for each column
 *     int<1>          0xFB for NULL, else
 *     string<lenenc>  the value's text
 *
 *   Binary row
 *     int<1>     0x00
 *     string[n]  NULL bitmap, (columns + 7 + 2) / 8 bytes; column i is bit i + 2
 *     …          values that are not NULL, by type
 *
 *   Binary DATE, DATETIME
 *     int<1>  length  0, 4, 7 or 11
 *     int<2>  year, int<1> month, int<1> day
 *     int<1>  hour, int<1> minute, int<1> second
 *     int<4>  microsecond
 */
import type { SqlType } from '../../../base/sql-type.ts';
import type { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/** Texts, UTF-8 as it lies in a column, or NULL. */
export type RowValue = string | Uint8Array | null;

export function writeTextRow(writer: PacketWriter, values: readonly RowValue[]): void {
  writer.begin();
  for (const value of values) {
    if (value === null) writer.u8(0xfb);
    else if (typeof value === 'string') writer.lenencText(value);
    else writer.lenencBytes(value);
  }
  writer.end();
}

export function readTextRow(reader: PacketReader, columns: number): (string | null)[] {
  const values: (string | null)[] = [];
  for (let i = 0; i < columns; i++) values.push(reader.lenencTextOrNull());
  return values;
}

export function writeBinaryRow(
  writer: PacketWriter,
  values: readonly RowValue[],
  types: readonly SqlType[],
): void {
  const bitmap = new Uint8Array((types.length + 9) >> 3);
  for (let i = 0; i < types.length; i++) {
    if ((values[i] ?? null) !== null) continue;
    const bit = i + 2;
    bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  writer.begin();
  writer.u8(0);
  writer.bytes(bitmap);
  for (const [i, type] of types.entries()) {
    const value = values[i] ?? null;
    if (value instanceof Uint8Array) writer.lenencBytes(value);
    else if (value !== null) writeBinaryValue(writer, value, type);
  }
  writer.end();
}

function writeBinaryValue(writer: PacketWriter, text: string, type: SqlType): void {
  switch (type.name) {
    case 'BOOLEAN':
    case 'TINYINT':
      writer.int(wholeNumber(text, 8), 1);
      break;
    case 'SMALLINT':
      writer.int(wholeNumber(text, 16), 2);
      break;
    case 'INT':
      writer.int(wholeNumber(text, 32), 4);
      break;
    case 'BIGINT':
      writer.i64(BigInt.asIntN(64, BigInt(text)));
      break;
    case 'FLOAT':
      writer.f32(Number(text));
      break;
    case 'DOUBLE':
      writer.f64(Number(text));
      break;
    case 'DATE':
    case 'DATETIME':
      writeBinaryDate(writer, text, type.name === 'DATE');
      break;
    default:
      writer.lenencText(text);
      break;
  }
}

function wholeNumber(text: string, bits: number): number {
  return Number(BigInt.asIntN(bits, BigInt(text)));
}

function writeBinaryDate(writer: PacketWriter, text: string, dateOnly: boolean): void {
  const parts = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/.exec(text);
  if (parts === null) throw new Error(`not a date: "${text}"`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const micros = Number((parts[7] ?? '').padEnd(6, '0'));
  const hasTime = !dateOnly && (hour > 0 || minute > 0 || second > 0 || micros > 0);
  writer.u8(!hasTime ? 4 : micros === 0 ? 7 : 11);
  writer.u16(year);
  writer.u8(month);
  writer.u8(day);
  if (!hasTime) return;
  writer.u8(hour);
  writer.u8(minute);
  writer.u8(second);
  if (micros > 0) writer.u32(micros);
}
