/** A small client on the server's own packet code: text protocol, mysql_native_password, one statement at a time. */
import { connect as connectSocket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { nativeAnswer } from './auth.ts';
import { isDisconnected, PacketStream } from './packet-stream.ts';
import { readAuthSwitch } from './packets/auth-switch.ts';
import { CHARSET_UTF8MB4, CLIENT, COM, NATIVE_PASSWORD, STATUS } from './packets/capabilities.ts';
import { readColumnDefinition, type WireType } from './packets/column-definition.ts';
import { isRowsEnd } from './packets/eof.ts';
import { readErr } from './packets/err.ts';
import { readHandshake } from './packets/handshake.ts';
import { writeHandshakeResponse } from './packets/handshake-response.ts';
import { type OkPacket, readOk } from './packets/ok.ts';
import { malformed, PacketReader } from './packets/packet-reader.ts';
import { readTextRow } from './packets/row.ts';

const PACKET_BYTES_MAX = 1024 * 1024 * 1024;
const CONNECT_MS = 10_000;
const ANSWER_MS = 2_147_483_647;

export interface MysqlClientOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database?: string;
  readonly clock: Clock;
}

export type ClientResult =
  | ({ readonly kind: 'ok' } & OkPacket)
  | {
      readonly kind: 'rows';
      readonly columns: readonly (WireType & { readonly name: string })[];
      readonly rows: readonly (readonly (string | null)[])[];
    };

export class MysqlClient {
  readonly #stream: PacketStream;

  private constructor(stream: PacketStream) {
    this.#stream = stream;
  }

  /** A server's refusal, of login or statement, is a `LoadError` with its errno and SQLSTATE. */
  static async connect(options: MysqlClientOptions): Promise<MysqlClient> {
    const { host, port, clock } = options;
    const socket = connectSocket(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) =>
        reject(
          new LoadError('CONNECT_FAILED', `could not connect to ${host}:${port}`, {
            errno: 2003,
            cause,
          }),
        ),
      );
    });
    const client = new MysqlClient(new PacketStream(socket, clock, PACKET_BYTES_MAX));
    try {
      await client.#login(options);
    } catch (error) {
      client.#stream.destroy();
      throw error;
    }
    return client;
  }

  /** Results as they come, each held whole. */
  async *query(sql: string): AsyncGenerator<ClientResult> {
    await this.#command(COM.QUERY, sql);
    for (let isMore = true; isMore; ) {
      const first = await this.#read(ANSWER_MS);
      if (first[0] === 0) {
        const packet = readOk(first);
        isMore = (packet.status & STATUS.MORE_RESULTS) !== 0;
        yield { kind: 'ok', ...packet };
        continue;
      }
      const count = new PacketReader(first).lenenc();
      const columns = [];
      while (columns.length < count)
        columns.push(readColumnDefinition(await this.#read(ANSWER_MS)));
      const rows = [];
      for (;;) {
        const packet = await this.#read(ANSWER_MS);
        if (isRowsEnd(packet)) {
          isMore = (readOk(packet).status & STATUS.MORE_RESULTS) !== 0;
          break;
        }
        rows.push(readTextRow(new PacketReader(packet), count));
      }
      yield { kind: 'rows', columns, rows };
    }
  }

  async close(): Promise<void> {
    if (!this.#stream.gone.signal.aborted) await this.#command(COM.QUIT, '');
    this.#stream.finish();
  }

  async #login(options: MysqlClientOptions): Promise<void> {
    const { user, password, database } = options;
    const { writer } = this.#stream;
    const hello = readHandshake(new PacketReader(await this.#read(CONNECT_MS)));
    const withDb = database === undefined ? 0 : CLIENT.CONNECT_WITH_DB;
    const wanted =
      CLIENT.LONG_PASSWORD |
      CLIENT.LONG_FLAG |
      CLIENT.PROTOCOL_41 |
      CLIENT.SECURE_CONNECTION |
      CLIENT.MULTI_STATEMENTS |
      CLIENT.MULTI_RESULTS |
      CLIENT.PLUGIN_AUTH |
      CLIENT.SESSION_TRACK |
      CLIENT.DEPRECATE_EOF;
    if ((hello.capabilities & CLIENT.DEPRECATE_EOF) === 0) {
      throw malformed('a server without DEPRECATE_EOF is not supported');
    }
    writeHandshakeResponse(writer, {
      capabilities: (wanted & hello.capabilities) | withDb,
      charset: CHARSET_UTF8MB4,
      user,
      auth: nativeAnswer(password, hello.scramble),
      db: database,
      plugin: NATIVE_PASSWORD,
    });
    this.#stream.framer.sequence = writer.sequence;
    await this.#stream.send(CONNECT_MS);
    let answer = await this.#read(CONNECT_MS);
    if (answer[0] === 0xfe) {
      const { plugin, scramble } = readAuthSwitch(answer);
      if (plugin !== NATIVE_PASSWORD) {
        throw new LoadError('AUTH_UNKNOWN', `the server asks for "${plugin}"`, { errno: 2059 });
      }
      writer.begin();
      writer.bytes(nativeAnswer(password, scramble));
      writer.end();
      this.#stream.framer.sequence = writer.sequence;
      await this.#stream.send(CONNECT_MS);
      answer = await this.#read(CONNECT_MS);
    }
    if (answer[0] !== 0) throw malformed('unexpected answer to the login');
  }

  async #command(code: number, text: string): Promise<void> {
    const { writer, framer } = this.#stream;
    writer.sequence = 0;
    writer.begin();
    writer.u8(code);
    writer.text(text);
    writer.end();
    framer.sequence = writer.sequence;
    await this.#stream.send(ANSWER_MS);
  }

  async #read(timeoutMs: number): Promise<Buffer> {
    try {
      const packet = await this.#stream.read(timeoutMs);
      this.#stream.writer.sequence = this.#stream.framer.sequence;
      if (packet[0] === 0xff) throw readErr(packet);
      return packet;
    } catch (error) {
      if (!isDisconnected(error)) throw error;
      throw new LoadError('CONNECTION_LOST', 'Lost connection to server during query', {
        errno: 2013,
        cause: error,
      });
    }
  }
}
