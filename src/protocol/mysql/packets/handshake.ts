/**
 * The server's greeting.
 *
 *   Protocol::HandshakeV10
 *     int<1>       protocol_version   10
 *     string<NUL>  server_version
 *     int<4>       thread_id
 *     string[8]    scramble, first part
 *     int<1>       filler             0
 *     int<2>       capability_flags, lower half
 *     int<1>       character_set
 *     int<2>       status_flags
 *     int<2>       capability_flags, upper half
 *     int<1>       length of the scramble with its NUL   21
 *     string[10]   reserved           0
 *     string[13]   scramble, second part (12) and NUL
 *     string<NUL>  auth_plugin_name
 */
import { LoadError } from '../../../base/errors.ts';
import {
  CHARSET_UTF8,
  CLIENT,
  NATIVE_PASSWORD,
  SERVER_CAPABILITIES,
  STATUS,
} from './capabilities.ts';
import { malformed, type PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export interface Handshake {
  readonly serverVersion: string;
  readonly connectionId: number;
  /** 20 bytes, none of them 0. */
  readonly scramble: Uint8Array;
}

export function writeHandshake(writer: PacketWriter, packet: Handshake): void {
  writer.begin();
  writer.u8(10);
  writer.nulText(packet.serverVersion);
  writer.u32(packet.connectionId);
  writer.bytes(packet.scramble.subarray(0, 8));
  writer.u8(0);
  writer.u16(SERVER_CAPABILITIES & 0xffff);
  writer.u8(CHARSET_UTF8);
  writer.u16(STATUS.AUTOCOMMIT);
  writer.u16(SERVER_CAPABILITIES >>> 16);
  writer.u8(21);
  writer.zeros(10);
  writer.bytes(packet.scramble.subarray(8, 20));
  writer.u8(0);
  writer.nulText(NATIVE_PASSWORD);
  writer.end();
}

/** The client's half: what our own client needs of it. */
export function readHandshake(
  reader: PacketReader,
): Handshake & { readonly capabilities: number; readonly plugin: string } {
  const version = reader.u8();
  if (version !== 10) {
    throw new LoadError('PROTOCOL_UNKNOWN', `unknown protocol version ${version}`, {
      errno: 2007,
    });
  }
  const serverVersion = reader.nulText();
  const connectionId = reader.u32();
  const scramble = new Uint8Array(20);
  scramble.set(reader.bytes(8));
  reader.skip(1);
  const lower = reader.u16();
  reader.skip(3);
  const capabilities = (lower | (reader.u16() << 16)) >>> 0;
  if ((capabilities & CLIENT.PROTOCOL_41) === 0) throw malformed('no protocol 4.1');
  const length = Math.max(13, reader.u8() - 8);
  reader.skip(10);
  scramble.set(reader.bytes(length).subarray(0, 12), 8);
  const plugin = (capabilities & CLIENT.PLUGIN_AUTH) === 0 ? NATIVE_PASSWORD : reader.nulText();
  return { serverVersion, connectionId, scramble, capabilities, plugin };
}
