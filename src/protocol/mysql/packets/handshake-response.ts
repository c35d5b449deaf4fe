/**
 * The client's answer to the greeting.
 *
 *   Protocol::HandshakeResponse41
 *     int<4>       client_flag
 *     int<4>       max_packet_size
 *     int<1>       character_set
 *     string[23]   filler
 *     string<NUL>  username
 *     string<lenenc> | int<1> length and bytes | string<NUL>   auth_response, by the flags
 *     string<NUL>  database             if CONNECT_WITH_DB
 *     string<NUL>  client_plugin_name   if PLUGIN_AUTH
 *     attributes   if CONNECT_ATTRS: int<lenenc> bytes, then pairs of string<lenenc>
 */
import { LoadError } from '../../../base/errors.ts';
import { CLIENT, NATIVE_PASSWORD } from './capabilities.ts';
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export interface HandshakeResponse {
  readonly capabilities: number;
  readonly charset: number;
  readonly user: string;
  readonly auth: Uint8Array;
  readonly db: string | undefined;
  readonly plugin: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export function readHandshakeResponse(payload: Uint8Array): HandshakeResponse {
  const reader = new PacketReader(payload);
  // The flags' lower half is where older clients have theirs too, so it is looked at before the rest is read.
  const lower = new PacketReader(payload).u16();
  if ((lower & CLIENT.PROTOCOL_41) === 0) throw oldClient();
  const capabilities = reader.u32();
  if ((capabilities & CLIENT.SSL) !== 0) {
    throw new LoadError('TLS_NOT_OFFERED', 'this server does not offer TLS', {
      errno: 3159,
      sqlState: '08004',
      hint: 'connect without TLS (mysql: --ssl-mode=DISABLED, mariadb: --skip-ssl)',
    });
  }
  reader.skip(4);
  const charset = reader.u8();
  reader.skip(23);
  const user = reader.nulText();
  let auth: Uint8Array;
  if ((capabilities & CLIENT.PLUGIN_AUTH_LENENC_DATA) !== 0) auth = reader.lenencBytes();
  else if ((capabilities & CLIENT.SECURE_CONNECTION) !== 0) auth = reader.bytes(reader.u8());
  else throw oldClient();
  const db =
    (capabilities & CLIENT.CONNECT_WITH_DB) === 0 || reader.left === 0
      ? undefined
      : reader.nulText() || undefined;
  const plugin = readPlugin(reader, capabilities);
  const attributes = readAttributes(reader, capabilities);
  return { capabilities, charset, user, auth, db, plugin, attributes };
}

/** Also the tail of COM_CHANGE_USER. Some clients leave it away although the flag is set. */
export function readPlugin(reader: PacketReader, capabilities: number): string {
  if ((capabilities & CLIENT.PLUGIN_AUTH) === 0 || reader.left === 0) return NATIVE_PASSWORD;
  return reader.nulText();
}

export function readAttributes(
  reader: PacketReader,
  capabilities: number,
): Readonly<Record<string, string>> {
  // No prototype: the names are the client's.
  const attributes: Record<string, string> = Object.create(null);
  if ((capabilities & CLIENT.CONNECT_ATTRS) === 0 || reader.left === 0) return attributes;
  const pairs = new PacketReader(reader.lenencBytes());
  while (pairs.left > 0) {
    const name = pairs.lenencText();
    attributes[name] = pairs.lenencText();
  }
  return attributes;
}

function oldClient(): LoadError {
  return new LoadError(
    'CLIENT_TOO_OLD',
    'Client does not support authentication protocol requested by server; consider upgrading MySQL client',
    { errno: 1251, sqlState: '08004' },
  );
}

/** Our own client's answer. `capabilities` has SECURE_CONNECTION and PLUGIN_AUTH. */
export function writeHandshakeResponse(
  writer: PacketWriter,
  packet: Omit<HandshakeResponse, 'attributes'>,
): void {
  writer.begin();
  writer.u32(packet.capabilities);
  writer.u32(0xff_ffff);
  writer.u8(packet.charset);
  writer.zeros(23);
  writer.nulText(packet.user);
  writer.u8(packet.auth.length);
  writer.bytes(packet.auth);
  if (packet.db !== undefined) writer.nulText(packet.db);
  writer.nulText(packet.plugin);
  writer.end();
}
