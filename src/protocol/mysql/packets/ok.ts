/**
 *   OK_Packet
 *     int<1>          header          0x00
 *     int<lenenc>     affected_rows
 *     int<lenenc>     last_insert_id  0: no table here has an auto-increment column
 *     int<2>          status_flags
 *     int<2>          warnings
 *     string<lenenc>  info            absent when empty
 */
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export interface OkPacket {
  readonly affectedRows: number;
  readonly warnings: number;
  readonly status: number;
  readonly info: string;
}

export function writeOk(writer: PacketWriter, packet: OkPacket, header = 0x00): void {
  writer.begin();
  writer.u8(header);
  writer.lenenc(packet.affectedRows);
  writer.lenenc(0);
  writer.u16(packet.status);
  writer.u16(Math.min(packet.warnings, 0xffff));
  if (packet.info !== '') writer.lenencText(packet.info);
  writer.end();
}

/** Also of an OK with EOF's header. */
export function readOk(payload: Uint8Array): OkPacket {
  const reader = new PacketReader(payload);
  reader.skip(1);
  const affectedRows = reader.lenenc();
  reader.lenenc();
  const status = reader.u16();
  const warnings = reader.u16();
  return { affectedRows, warnings, status, info: reader.left > 0 ? reader.lenencText() : '' };
}
