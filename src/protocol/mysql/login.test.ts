/** Logins as clients of other kinds do them, packet by packet. */
import { connect as connectSocket, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { nativeAnswer } from './auth.ts';
import { PacketStream } from './packet-stream.ts';
import { CACHING_SHA2, CLIENT, COM, NATIVE_PASSWORD } from './packets/capabilities.ts';
import { readErr } from './packets/err.ts';
import { readHandshake } from './packets/handshake.ts';
import { writeHandshakeResponse } from './packets/handshake-response.ts';
import { PacketReader } from './packets/packet-reader.ts';
import { PacketWriter } from './packets/packet-writer.ts';
import { createMysqlServer, type MysqlServer } from './server.ts';
import { TestHost } from './testing-sessions.ts';

/** Time stands still until a test moves it. */
const timers = new Map<number, { atMs: number; fn: () => void }>();
let nowMs = 0;
let lastTimer = 0;
const clock: Clock = {
  now: () => nowMs,
  setTimeout: (fn, delayMs) => {
    timers.set(++lastTimer, { atMs: nowMs + delayMs, fn });
    return lastTimer;
  },
  clearTimeout: (id: number) => timers.delete(id),
};
function advance(ms: number): void {
  nowMs += ms;
  for (const [id, { atMs, fn }] of timers) {
    if (atMs <= nowMs && timers.delete(id)) fn();
  }
}

const host = new TestHost();
let server: MysqlServer;
let port: number;
beforeAll(async () => {
  const options = { clock, log: silentLog, random: systemRandom };
  server = createMysqlServer({ host: '127.0.0.1', port: 0, sessions: host, ...options });
  ({ port } = await server.listen());
});
afterAll(() => server.close());

const LATER = 1e9;
const PLAIN = CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH;

async function greet(): Promise<{ stream: PacketStream; scramble: Uint8Array; socket: Socket }> {
  const socket = connectSocket(port, '127.0.0.1');
  const stream = new PacketStream(socket, clock, 1e6);
  const { scramble } = readHandshake(new PacketReader(await stream.read(LATER)));
  stream.writer.sequence = 1;
  return { stream, scramble, socket };
}

const response = (user: string, auth: Uint8Array, plugin: string, capabilities = PLAIN) => ({
  capabilities,
  charset: 45,
  user,
  auth,
  db: undefined,
  plugin,
});

async function answerOf(stream: PacketStream): Promise<Buffer> {
  stream.framer.sequence = stream.writer.sequence;
  await stream.send(LATER);
  const packet = await stream.read(LATER);
  stream.writer.sequence = stream.framer.sequence;
  return packet;
}

it.each([
  { name: 'caching_sha2, one 0', user: 'root', auth: [0], plugin: CACHING_SHA2, first: 0 },
  {
    name: 'caching_sha2, empty where one is',
    user: 'ann',
    auth: [0],
    plugin: CACHING_SHA2,
    first: 0xff,
  },
  {
    name: 'caching_sha2, password',
    user: 'ann',
    auth: new Array(32).fill(7),
    plugin: CACHING_SHA2,
    first: 0xfe,
  },
  { name: 'wire.auth: unknown plugin', user: 'ann', auth: [1], plugin: 'dialog', first: 0xfe },
  {
    name: 'wire.plain: clear text',
    user: 'ann',
    auth: [...Buffer.from('secret\0')],
    plugin: 'mysql_clear_password',
    first: 0xfe,
  },
  {
    name: 'wire.auth: long answer',
    user: 'ann',
    auth: new Array(250).fill(1),
    plugin: NATIVE_PASSWORD,
    first: 0xff,
  },
])('$name', async ({ user, auth, plugin, first }) => {
  const { stream, scramble } = await greet();
  writeHandshakeResponse(stream.writer, response(user, Uint8Array.from(auth), plugin));
  const answered = answerOf(stream);
  if (first === 0xff) {
    await expect(answered.then((packet) => readErr(packet).errno)).resolves.toBe(1045);
    return stream.destroy();
  }
  const packet = await answered;
  expect(packet[0]).toBe(first);
  if (first === 0xfe) {
    expect(packet.toString('latin1')).toContain(NATIVE_PASSWORD);
    stream.writer.begin();
    stream.writer.bytes(nativeAnswer('secret', scramble));
    stream.writer.end();
    expect((await answerOf(stream))[0]).toBe(0);
  }
  stream.destroy();
});

it.each([
  {
    name: 'of a user without one is asked for by caching_sha2',
    user: 'root',
    answer: [0],
    asked: CACHING_SHA2,
  },
  {
    name: 'of a user with one is asked for by the native plugin',
    user: 'ann',
    answer: undefined,
    asked: NATIVE_PASSWORD,
  },
])('caching_sha2 with no first answer: the password $name', async ({ user, answer, asked }) => {
  const { stream, scramble } = await greet();
  writeHandshakeResponse(stream.writer, response(user, new Uint8Array(0), CACHING_SHA2));
  const packet = await answerOf(stream);
  expect(packet[0]).toBe(0xfe);
  expect(packet.subarray(1, 1 + asked.length).toString()).toBe(asked);
  stream.writer.begin();
  stream.writer.bytes(
    answer === undefined ? nativeAnswer('secret', scramble) : Uint8Array.from(answer),
  );
  stream.writer.end();
  expect((await answerOf(stream))[0]).toBe(0);
  stream.destroy();
});

it.each([
  { name: 'TLS', capabilities: PLAIN | CLIENT.SSL, errno: 3159 },
  { name: 'a client before 4.1', capabilities: CLIENT.SECURE_CONNECTION, errno: 1251 },
  { name: 'old passwords', capabilities: CLIENT.PROTOCOL_41, errno: 1251 },
])('refuses $name', async ({ capabilities, errno }) => {
  const { stream } = await greet();
  writeHandshakeResponse(stream.writer, response('root', new Uint8Array(0), '', capabilities));
  expect(readErr(await answerOf(stream)).errno).toBe(errno);
  stream.destroy();
});

it('wire.truncated: every prefix of the login in a packet of its own length ends in an error or a login', async () => {
  const writer = new PacketWriter();
  writeHandshakeResponse(writer, response('root', new Uint8Array(0), NATIVE_PASSWORD));
  const payload = writer.take().subarray(4);
  for (let length = 0; length < payload.length; length++) {
    const { stream } = await greet();
    stream.writer.begin();
    stream.writer.bytes(payload.subarray(0, length));
    stream.writer.end();
    const [first] = await answerOf(stream);
    // The plugin's name may be missing as a whole: some clients leave it away.
    const isWhole = length === payload.length - NATIVE_PASSWORD.length - 1;
    expect([length, first]).toEqual([length, isWhole ? 0 : 0xff]);
    stream.destroy();
  }
});

it('takes a login and a query that come byte by byte', async () => {
  const { stream, socket } = await greet();
  const writer = new PacketWriter();
  writer.sequence = 1;
  writeHandshakeResponse(writer, response('root', new Uint8Array(0), NATIVE_PASSWORD));
  for (const byte of writer.take()) socket.write(Uint8Array.of(byte));
  stream.framer.sequence = 2;
  expect((await stream.read(LATER))[0]).toBe(0);
  for (const byte of [1, 0, 0, 0, COM.PING]) socket.write(Uint8Array.of(byte));
  stream.framer.sequence = 1;
  expect((await stream.read(LATER))[0]).toBe(0);
  for (const byte of [1, 0, 0, 0, 0x17]) socket.write(Uint8Array.of(byte));
  stream.framer.sequence = 1;
  expect(readErr(await stream.read(LATER)).errno).toBe(1835);
  for (const byte of [1, 0, 0, 0, 0x7f]) socket.write(Uint8Array.of(byte));
  stream.framer.sequence = 1;
  expect(readErr(await stream.read(LATER)).errno).toBe(1047);
  stream.destroy();
});

it('wire.slow: a client that does not log in is gone after 10 s', async () => {
  const { stream } = await greet();
  const before = server.connections().length;
  expect(before).toBeGreaterThan(0);
  advance(9_999);
  expect(stream.gone.signal.aborted).toBe(false);
  advance(1);
  await vi.waitFor(() => expect(stream.gone.signal.aborted).toBe(true));
  stream.destroy();
});
