/**
 *   ERR_Packet
 *     int<1>       header            0xFF
 *     int<2>       error_code
 *     string[1]    sql_state_marker  #
 *     string[5]    sql_state
 *     string<EOF>  error_message
 */
import { LoadError } from '../../../base/errors.ts';
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/** Clients keep far less; a message may quote a statement of any length. */
const MESSAGE_CHARACTERS_MAX = 8_192;

export interface ErrPacket {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

export function writeErr(writer: PacketWriter, packet: ErrPacket): void {
  writer.begin();
  writer.u8(0xff);
  writer.u16(packet.errno & 0xffff);
  writer.u8(0x23);
  writer.text(/^[0-9A-Z]{5}$/.test(packet.sqlState) ? packet.sqlState : 'HY000');
  writer.text(packet.message.slice(0, MESSAGE_CHARACTERS_MAX));
  writer.end();
}

export function readErr(payload: Uint8Array): LoadError {
  const reader = new PacketReader(payload);
  reader.skip(1);
  const errno = reader.u16();
  let sqlState = 'HY000';
  if (reader.peek() === 0x23) {
    reader.skip(1);
    sqlState = Buffer.from(reader.bytes(5)).toString('latin1');
  }
  return new LoadError('SERVER_ERROR', reader.restText(), { errno, sqlState });
}
