/**
 *   Protocol::ColumnDefinition41
 *     string<lenenc>  catalog        def
 *     string<lenenc>  schema         empty
 *     string<lenenc>  table          empty; COM_FIELD_LIST: the table
 *     string<lenenc>  org_table      as table
 *     string<lenenc>  name
 *     string<lenenc>  org_name       as name
 *     int<lenenc>     0x0C           length of what follows
 *     int<2>          character_set
 *     int<4>          column_length
 *     int<1>          type
 *     int<2>          flags          0
 *     int<1>          decimals
 *     int<2>          filler
 *     int<lenenc>     0xFB           COM_FIELD_LIST alone: the default, NULL
 */
import type { SqlType } from '../../../base/sql-type.ts';
import type { ResultColumn } from '../../../engine/engine.types.ts';
import { CHARSET_BINARY, CHARSET_UTF8 } from './capabilities.ts';
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export const WIRE = {
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  VARCHAR: 15,
  BIT: 16,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  DECIMAL: 0,
} as const;

export interface WireType {
  readonly type: number;
  readonly charset: number;
  readonly length: number;
  readonly decimals: number;
}

export function wireType(type: SqlType): WireType {
  const number = (code: number, length: number, decimals = 0): WireType => ({
    type: code,
    charset: CHARSET_BINARY,
    length,
    decimals,
  });
  const text = (code: number, length: number): WireType => ({
    type: code,
    charset: CHARSET_UTF8,
    length,
    decimals: 0,
  });
  switch (type.name) {
    case 'BOOLEAN':
      return number(WIRE.TINY, 1);
    case 'TINYINT':
      return number(WIRE.TINY, 4);
    case 'SMALLINT':
      return number(WIRE.SHORT, 6);
    case 'INT':
      return number(WIRE.LONG, 11);
    case 'BIGINT':
      return number(WIRE.LONGLONG, 20);
    case 'LARGEINT':
      return text(WIRE.STRING, 40);
    case 'FLOAT':
      return number(WIRE.FLOAT, 12, 31);
    case 'DOUBLE':
      return number(WIRE.DOUBLE, 22, 31);
    case 'DECIMAL': {
      const scale = type.scale ?? 0;
      return number(WIRE.NEWDECIMAL, (type.precision ?? 10) + (scale > 0 ? 1 : 0) + 3, scale);
    }
    case 'DATE':
      return number(WIRE.DATE, 10);
    case 'DATETIME':
      return number(WIRE.DATETIME, 19);
    case 'CHAR':
      return text(WIRE.STRING, 3 * (type.length ?? 1));
    case 'VARCHAR':
      return text(WIRE.VAR_STRING, type.length === undefined ? 192 : 3 * type.length);
    case 'JSON':
      return text(WIRE.STRING, 60);
  }
}

export function writeColumnDefinition(
  writer: PacketWriter,
  column: Pick<ResultColumn, 'name' | 'type'>,
  textCharset: number,
  fieldList?: { readonly table: string },
): void {
  const { type, charset, length, decimals } = wireType(column.type);
  writer.begin();
  writer.lenencText('def');
  writer.lenencText('');
  writer.lenencText(fieldList?.table ?? '');
  writer.lenencText(fieldList?.table ?? '');
  writer.lenencText(column.name);
  writer.lenencText(column.name);
  writer.u8(0x0c);
  writer.u16(charset === CHARSET_BINARY ? charset : textCharset);
  writer.u32(length);
  writer.u8(type);
  writer.u16(0);
  writer.u8(decimals);
  writer.u16(0);
  if (fieldList !== undefined) writer.u8(0xfb);
  writer.end();
}

export function readColumnDefinition(payload: Uint8Array): WireType & { readonly name: string } {
  const reader = new PacketReader(payload);
  for (let i = 0; i < 4; i++) reader.lenencBytes();
  const name = reader.lenencText();
  reader.lenencBytes();
  reader.lenenc();
  const charset = reader.u16();
  const length = reader.u32();
  const type = reader.u8();
  reader.u16();
  return { name, charset, length, type, decimals: reader.u8() };
}
