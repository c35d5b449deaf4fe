/**
 * One client: greeting, authentication, then its commands one by one.
 *
 *   N1. Before login 64 KiB a packet and 10 s in all; after it 64 MiB and `wait_timeout`.
 *   N2. A command has ended, its iterator and result closed, before the next is read and before the session closes.
 *   N3. Whatever a client sends ends in an answer or in the end of this connection, never of the process.
 */
import type { Socket } from 'node:net';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { checkAnswer, isEmptyAnswer, newScramble } from './auth.ts';
import { Commands } from './commands.ts';
import type { ConnectionHost, ConnectionView } from './connection.types.ts';
import type { Session } from './mysql.types.ts';
import { interrupted, isDisconnected, PacketStream } from './packet-stream.ts';
import { writeAuthSwitch } from './packets/auth-switch.ts';
import { CACHING_SHA2, COM, NATIVE_PASSWORD, STATUS, textCharset } from './packets/capabilities.ts';
import { writeErr } from './packets/err.ts';
import { writeHandshake } from './packets/handshake.ts';
import { readAttributes, readHandshakeResponse, readPlugin } from './packets/handshake-response.ts';
import { writeOk } from './packets/ok.ts';
import { PacketReader } from './packets/packet-reader.ts';

const LOGIN_BYTES_MAX = 64 * 1024;
export const ALLOWED_PACKET_BYTES = 64 * 1024 * 1024;

export class Connection {
  readonly id: number;
  readonly #host: ConnectionHost;
  readonly #stream: PacketStream;
  readonly #scramble: Uint8Array;
  readonly #remoteAddress: string;
  readonly #remote: string;
  #user = '';
  #session: Session | undefined;
  #command = 'Connect';
  #info = '';
  #sinceMs: number;
  #running: AbortController | undefined;

  constructor(id: number, socket: Socket, host: ConnectionHost) {
    this.id = id;
    this.#host = host;
    this.#stream = new PacketStream(socket, host.clock, LOGIN_BYTES_MAX);
    this.#scramble = newScramble(host.random);
    this.#remoteAddress = socket.remoteAddress ?? '';
    this.#remote = `${this.#remoteAddress}:${socket.remotePort ?? 0}`;
    this.#sinceMs = host.clock.now();
    this.#stream.gone.signal.addEventListener('abort', () => this.#running?.abort());
  }

  view(): ConnectionView {
    const current = this.#session?.db;
    const db = current === undefined ? {} : { db: current };
    const [command, sinceMs, info] = [this.#command, this.#sinceMs, this.#info];
    return { id: this.id, user: this.#user, remote: this.#remote, ...db, command, sinceMs, info };
  }

  killQuery(): void {
    this.#running?.abort();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  /** Resolves when the connection is over and its session closed. Never rejects. */
  async run(): Promise<void> {
    let session: Session | undefined;
    try {
      const login = await this.#login();
      if (login === undefined) return this.#stream.finish();
      session = login.session;
      this.#session = session;
      await this.#serve(session, login.capabilities, textCharset(login.charset));
      this.#stream.finish();
    } catch (error) {
      // A statement that ends with its client's connection is nobody's error.
      const isGone = isDisconnected(error) || this.#stream.gone.signal.aborted;
      if (!isGone) this.#fail(error);
      if (isGone) this.#stream.destroy();
      else this.#stream.finish();
    } finally {
      try {
        session?.close();
      } catch (error) {
        this.#host.log.write('error', 'session did not close', { error: String(error) });
      }
    }
  }

  async #login(): Promise<{ session: Session; capabilities: number; charset: number } | undefined> {
    const { sessions, clock, timeouts } = this.#host;
    const { writer } = this.#stream;
    const deadlineMs = clock.now() + timeouts.handshakeMs;
    writeHandshake(writer, {
      serverVersion: sessions.serverVersion,
      connectionId: this.id,
      scramble: this.#scramble,
    });
    await this.#stream.send(timeouts.handshakeMs);
    this.#stream.framer.sequence = 1;
    const response = readHandshakeResponse(await this.#read(timeouts.handshakeMs));
    const leftMs = () => Math.max(1, deadlineMs - clock.now());
    if (!(await this.#authenticate(response.user, response.auth, response.plugin, leftMs))) return;
    const { capabilities, user, db, attributes } = response;
    this.#user = user;
    const session = await sessions.open(
      { connectionId: this.id, user, remoteAddress: this.#remoteAddress, attributes },
      db,
    );
    this.#stream.framer.bytesMax = ALLOWED_PACKET_BYTES;
    writeOk(writer, { affectedRows: 0, warnings: 0, status: STATUS.AUTOCOMMIT, info: '' });
    return { session, capabilities, charset: response.charset };
  }

  /** `false`: refused, and the refusal is written. */
  async #authenticate(
    user: string,
    answer: Uint8Array,
    plugin: string,
    leftMs: () => number,
  ): Promise<boolean> {
    const { writer } = this.#stream;
    let given = answer;
    const found = this.#host.sessions.authenticate(user);
    const isSha2 = plugin === CACHING_SHA2;
    if (plugin !== NATIVE_PASSWORD && !(isSha2 && answer.length === 1 && answer[0] === 0)) {
      // An empty first answer under another plugin than the greeting's only says that this plugin has not run yet.
      // MySQL 9's clients know no other, so a user without a password is asked by it; one with a password cannot be.
      const staysSha2 = isSha2 && answer.length === 0 && found?.passwordHash === null;
      const next = staysSha2 ? CACHING_SHA2 : NATIVE_PASSWORD;
      writeAuthSwitch(writer, { plugin: next, scramble: this.#scramble });
      this.#stream.framer.sequence = writer.sequence;
      await this.#stream.send(leftMs());
      given = await this.#read(leftMs());
    }
    if (checkAnswer(found, given, this.#scramble)) return true;
    const using = isEmptyAnswer(given) ? 'NO' : 'YES';
    this.#host.log.write('info', 'login refused', { user, remote: this.#remote });
    writeErr(writer, {
      errno: 1045,
      sqlState: '28000',
      message: `Access denied for user '${user}' (using password: ${using})`,
    });
    return false;
  }

  async #serve(session: Session, capabilities: number, textCharset: number): Promise<void> {
    const { timeouts } = this.#host;
    const commands = new Commands({
      host: this.#host,
      stream: this.#stream,
      session,
      capabilities,
      textCharset,
      user: () => this.#user,
    });
    for (;;) {
      this.#note('Sleep', '');
      await this.#stream.send(timeouts.writeMs);
      this.#stream.framer.sequence = 0;
      const payload = await this.#read(timeouts.waitMs);
      if (payload[0] === COM.QUIT) return;
      if (payload[0] === COM.CHANGE_USER) {
        this.#note('Change user', '');
        if (!(await this.#changeUser(session, capabilities, payload))) return;
        commands.reset();
        continue;
      }
      await this.#runCommand(commands, payload);
    }
  }

  async #runCommand(commands: Commands, payload: Buffer): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    try {
      await commands.run(payload, running.signal, (command, info) => this.#note(command, info));
    } catch (error) {
      if (this.#stream.gone.signal.aborted || isDisconnected(error)) throw error;
      this.#fail(running.signal.aborted ? interrupted() : error);
    } finally {
      this.#running = undefined;
    }
  }

  async #changeUser(session: Session, capabilities: number, payload: Buffer): Promise<boolean> {
    const { clock, timeouts } = this.#host;
    const reader = new PacketReader(payload.subarray(1));
    const user = reader.nulText();
    const answer = reader.bytes(reader.u8());
    const db = reader.nulText() || undefined;
    if (reader.left > 0) reader.skip(2);
    const plugin = readPlugin(reader, capabilities);
    readAttributes(reader, capabilities);
    const deadlineMs = clock.now() + timeouts.handshakeMs;
    const leftMs = () => Math.max(1, deadlineMs - clock.now());
    if (!(await this.#authenticate(user, answer, plugin, leftMs))) return false;
    session.reset(user);
    this.#user = user;
    if (db !== undefined) await session.useDb(db);
    writeOk(this.#stream.writer, {
      affectedRows: 0,
      warnings: 0,
      status: STATUS.AUTOCOMMIT,
      info: '',
    });
    return true;
  }

  async #read(timeoutMs: number): Promise<Buffer> {
    const { framer, writer } = this.#stream;
    // For the answer to a packet that is refused before it is taken.
    writer.sequence = (framer.sequence + 1) & 0xff;
    const payload = await this.#stream.read(timeoutMs);
    writer.sequence = framer.sequence;
    return payload;
  }

  #note(command: string, info: string): void {
    this.#command = command;
    this.#info = info.slice(0, 1_024);
    this.#sinceMs = this.#host.clock.now();
  }

  #fail(error: unknown): void {
    const { errno = 1105, sqlState = 'HY000', message, hint } = toErrorData(error);
    if (!(error instanceof LoadError)) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.#host.log.write('error', 'statement failed', { connectionId: this.id, message, stack });
    }
    const { writer } = this.#stream;
    writer.drop();
    writeErr(writer, {
      errno,
      sqlState,
      message: hint === undefined ? message : `${message} Hint: ${hint}`,
    });
  }
}
