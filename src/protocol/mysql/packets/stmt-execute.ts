/**
 *   COM_STMT_EXECUTE (after the command's byte)
 *     int<4>     statement_id
 *     int<1>     flags             a cursor that is asked for is not given, which the protocol allows
 *     int<4>     iteration_count   1
 *   if the statement has parameters:
 *     string[n]  NULL bitmap, (parameters + 7) / 8 bytes
 *     int<1>     new_params_bind_flag
 *   if it is 1:
 *     int<1>     type, int<1> flag (0x80: unsigned), for each parameter
 *     …          values that are neither NULL nor sent as long data
 */
import { isUtf8 } from 'node:buffer';
import type { PreparedValue } from '../mysql.types.ts';
import { WIRE } from './column-definition.ts';
import { malformed, PacketReader } from './packet-reader.ts';

export interface ParameterType {
  readonly type: number;
  readonly unsigned: boolean;
}

export interface StmtExecute {
  readonly types: readonly ParameterType[];
  readonly values: readonly PreparedValue[];
}

/** `reader` stands behind the statement's id. `known`: the types that an earlier execution told. */
export function readStmtExecute(
  reader: PacketReader,
  parameters: number,
  known: readonly ParameterType[] | undefined,
  longData: ReadonlyMap<number, Uint8Array>,
): StmtExecute {
  reader.skip(1 + 4);
  if (parameters === 0) return { types: [], values: [] };
  const nulls = reader.bytes((parameters + 7) >> 3);
  let types = known;
  if (reader.u8() === 1) {
    const told: ParameterType[] = [];
    for (let i = 0; i < parameters; i++) {
      const type = reader.u8();
      told.push({ type, unsigned: (reader.u8() & 0x80) !== 0 });
    }
    types = told;
  }
  if (types === undefined) throw malformed('the types of the parameters were never sent');
  const values = types.map(({ type, unsigned }, i): PreparedValue => {
    const long = longData.get(i);
    if (long !== undefined) return bytesValue(long, type);
    if (((nulls[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) return null;
    return readValue(reader, type, unsigned);
  });
  return { types, values };
}

function readValue(reader: PacketReader, type: number, unsigned: boolean): PreparedValue {
  switch (type) {
    case WIRE.NULL:
      return null;
    case WIRE.TINY:
      return unsigned ? reader.u8() : reader.i8();
    case WIRE.SHORT:
    case WIRE.YEAR:
      return unsigned ? reader.u16() : reader.i16();
    case WIRE.LONG:
    case WIRE.INT24:
      return unsigned ? reader.u32() : reader.i32();
    case WIRE.LONGLONG:
      return unsigned ? reader.u64() : reader.i64();
    case WIRE.FLOAT:
      return reader.f32();
    case WIRE.DOUBLE:
      return reader.f64();
    case WIRE.DATE:
    case WIRE.DATETIME:
    case WIRE.TIMESTAMP:
      return readDate(new PacketReader(reader.bytes(reader.u8())), type === WIRE.DATE);
    case WIRE.TIME:
      return readTime(new PacketReader(reader.bytes(reader.u8())));
    case WIRE.DECIMAL:
    case WIRE.NEWDECIMAL:
    case WIRE.VARCHAR:
    case WIRE.BIT:
    case WIRE.JSON:
    case WIRE.ENUM:
    case WIRE.SET:
    case WIRE.TINY_BLOB:
    case WIRE.MEDIUM_BLOB:
    case WIRE.LONG_BLOB:
    case WIRE.BLOB:
    case WIRE.VAR_STRING:
    case WIRE.STRING:
      return bytesValue(reader.lenencBytes(), type);
    default:
      throw malformed(`unknown parameter type ${type}`);
  }
}

/** Clients send texts as any of the string types and some send bytes as VAR_STRING: what is UTF-8 is a text. */
function bytesValue(bytes: Uint8Array, type: number): PreparedValue {
  const isBlob = type >= WIRE.TINY_BLOB && type <= WIRE.BLOB;
  if (isBlob || type === WIRE.BIT || !isUtf8(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

const pad = (value: number, width: number) => String(value).padStart(width, '0');

function readDate(reader: PacketReader, dateOnly: boolean): string {
  const [year, month, day] =
    reader.left === 0 ? [0, 0, 0] : [reader.u16(), reader.u8(), reader.u8()];
  const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  if (dateOnly && reader.left === 0) return date;
  return `${date} ${readClock(reader, 0)}`;
}

function readTime(reader: PacketReader): string {
  if (reader.left === 0) return '00:00:00';
  const sign = reader.u8() === 1 ? '-' : '';
  return `${sign}${readClock(reader, reader.u32() * 24)}`;
}

function readClock(reader: PacketReader, hoursBefore: number): string {
  const [hour, minute, second] =
    reader.left === 0 ? [0, 0, 0] : [reader.u8(), reader.u8(), reader.u8()];
  const micros = reader.left === 0 ? '' : `.${pad(reader.u32(), 6)}`;
  return `${pad(hour + hoursBefore, 2)}:${pad(minute, 2)}:${pad(second, 2)}${micros}`;
}
