/**
 *   EOF_Packet
 *     int<1>  header        0xFE
 *     int<2>  warnings
 *     int<2>  status_flags
 *
 * For a client with DEPRECATE_EOF the end of rows is an OK packet with this header, and there is none after the
 * column definitions.
 */
import { CLIENT } from './capabilities.ts';
import { writeOk } from './ok.ts';
import type { PacketWriter } from './packet-writer.ts';

/** Between column definitions (or parameters) and what follows them. */
export function writeDefinitionsEnd(
  writer: PacketWriter,
  capabilities: number,
  status: number,
): void {
  if ((capabilities & CLIENT.DEPRECATE_EOF) === 0) writeEof(writer, status);
}

export function writeRowsEnd(writer: PacketWriter, capabilities: number, status: number): void {
  if ((capabilities & CLIENT.DEPRECATE_EOF) === 0) writeEof(writer, status);
  else writeOk(writer, { affectedRows: 0, warnings: 0, status, info: '' }, 0xfe);
}

export function writeEof(writer: PacketWriter, status: number): void {
  writer.begin();
  writer.u8(0xfe);
  writer.u16(0);
  writer.u16(status);
  writer.end();
}

/** A row may begin with 0xFE too: then a value of 16 MiB or more follows. */
export function isRowsEnd(payload: Uint8Array): boolean {
  return payload[0] === 0xfe && payload.length < 0xff_ffff;
}
