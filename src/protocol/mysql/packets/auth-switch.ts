/**
 * Asks the client to answer once more, by another plugin.
 *
 *   Protocol::AuthSwitchRequest
 *     int<1>       header        0xFE
 *     string<NUL>  plugin_name
 *     string<EOF>  plugin data   the scramble (20) and NUL
 */
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export interface AuthSwitch {
  readonly plugin: string;
  readonly scramble: Uint8Array;
}

export function writeAuthSwitch(writer: PacketWriter, packet: AuthSwitch): void {
  writer.begin();
  writer.u8(0xfe);
  writer.nulText(packet.plugin);
  writer.bytes(packet.scramble);
  writer.u8(0);
  writer.end();
}

export function readAuthSwitch(payload: Uint8Array): AuthSwitch {
  const reader = new PacketReader(payload);
  reader.skip(1);
  const plugin = reader.nulText();
  return { plugin, scramble: reader.rest().subarray(0, 20) };
}
