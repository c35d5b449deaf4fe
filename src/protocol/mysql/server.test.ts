import { connect as connectSocket } from 'node:net';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { createMysqlServer, type MysqlServer } from './server.ts';
import { TestHost, TYPED } from './testing-sessions.ts';

let host: TestHost;
let server: MysqlServer;
let port: number;

beforeEach(async () => {
  host = new TestHost();
  server = createMysqlServer({
    host: '127.0.0.1',
    port: 0,
    sessions: host,
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    connectionsMax: 20,
  });
  ({ port } = await server.listen());
});

afterEach(() => server.close());

const connect = (options: Record<string, unknown> = {}) =>
  createConnection({
    host: '127.0.0.1',
    port,
    user: 'root',
    dateStrings: true,
    supportBigNumbers: true,
    ...options,
  });

it('queries, pings, and tells of OK', async () => {
  const client = await connect();
  expect((await client.query('select 1'))[0]).toEqual([{ value: 'select 1' }]);
  expect((await client.query('insert x'))[0]).toMatchObject({
    affectedRows: 3,
    warningStatus: 1,
    info: "{'label':'l'}",
  });
  await client.ping();
  await client.end();
  await vi.waitFor(() => expect(host.open_).toBe(0));
});

const typedRow = Object.fromEntries(
  TYPED.map(([, text, value], i) => [`c${i}`, value === undefined ? text : value]),
);

it.each([
  { name: 'text', method: 'query' },
  { name: 'binary', method: 'execute' },
] as const)('every type, $name protocol', async ({ method }) => {
  const client = await connect();
  const [[row]] = (await (method === 'query'
    ? client.query('typed')
    : client.execute('typed'))) as unknown as [[Record<string, unknown>]];
  expect(row).toEqual(typedRow);
  await client.end();
});

it('hands parameters to the session', async () => {
  const client = await connect();
  await client.execute('select where ? ? ? ? ?', [1, 'é', null, Buffer.from([0xff]), '2020-01-02']);
  expect(host.values).toEqual([1, 'é', null, Buffer.from([0xff]), '2020-01-02']);
  await client.end();
});

it('runs several statements where the client allows it', async () => {
  const client = await connect({ multipleStatements: true });
  const [results] = await client.query('a; insert x; b');
  expect(results).toMatchObject([[{ value: 'a' }], { affectedRows: 3 }, [{ value: 'b' }]]);
  await expect(client.query('a; fail; b')).rejects.toMatchObject({ errno: 5600 });
  expect(host.seen.at(-1)).toBe('fail');
  await client.end();
});

it('wire.multi: refuses several statements where the client does not', async () => {
  const client = await connect();
  await expect(client.query('a; b')).rejects.toMatchObject({ errno: 1064 });
  expect(host.seen).toEqual([]);
  expect((await client.query("a ';' ; -- ;"))[0]).toHaveLength(1);
  await client.end();
});

it.each([
  {
    name: 'LoadError with hint',
    sql: 'fail',
    errno: 5600,
    state: '58030',
    text: 'it failed Hint: try again',
  },
  { name: 'other error', sql: 'bug', errno: 1105, state: 'HY000', text: 'a mistake of ours' },
  { name: 'empty query', sql: '-- nothing', errno: 1065, state: '42000', text: 'Query was empty' },
])('$name, and the connection goes on', async ({ sql, errno, state, text }) => {
  const client = await connect();
  await expect(client.query(sql)).rejects.toMatchObject({
    errno,
    sqlState: state,
    sqlMessage: text,
  });
  await client.ping();
  await client.end();
});

it('sends results of many batches and values beyond 16 MiB', async () => {
  const client = await connect();
  const [rows] = (await client.query('many 30')) as unknown as [{ n: number }[]];
  expect(rows.length).toBe(30 * 4_096);
  expect(rows.at(-1)?.n).toBe(30 * 4_096 - 1);
  const length = 0xff_ffff + 10;
  const [[long]] = (await client.query(`long ${length}`)) as unknown as [[{ value: string }]];
  expect(long.value.length).toBe(length);
  await client.end();
});

it.each([
  { name: 'right password', user: 'ann', password: 'secret', errno: undefined },
  { name: 'wrong password', user: 'ann', password: 'Secret', errno: 1045 },
  { name: 'password where none is', user: 'root', password: 'x', errno: 1045 },
  { name: 'no password where one is', user: 'ann', password: '', errno: 1045 },
  { name: 'unknown user', user: 'nobody', password: '', errno: 1045 },
  { name: 'unknown database', user: 'root', password: '', database: 'nowhere', errno: 1049 },
])('login: $name', async ({ name: _, errno, ...options }) => {
  if (errno === undefined) return (await connect(options)).end();
  await expect(connect(options)).rejects.toMatchObject({ errno });
});

it('changes the user, resets, and changes the database', async () => {
  const client = await connect();
  await client.changeUser({ user: 'ann', password: 'secret', database: 'd' });
  await client.reset();
  expect(host.seen).toEqual(['reset ann', 'use d', 'reset ']);
  expect(server.connections()).toMatchObject([{ user: 'ann', db: 'd' }]);
  await expect(client.changeUser({ user: 'ann', password: 'no' })).rejects.toMatchObject({
    errno: 1045,
  });
});

it('kills a statement, and a connection', async () => {
  const client = await connect();
  const waiting = client.query('wait');
  const caught = expect(waiting).rejects.toMatchObject({ errno: 1317 });
  await vi.waitFor(() => expect(server.connections()[0]).toMatchObject({ info: 'wait' }));
  const id = server.connections()[0]?.id ?? 0;
  expect(server.kill(id, true)).toBe(true);
  await caught;
  await client.ping();
  const again = expect(client.query('wait')).rejects.toMatchObject({
    code: 'PROTOCOL_CONNECTION_LOST',
  });
  await vi.waitFor(() => expect(server.connections()[0]).toMatchObject({ info: 'wait' }));
  expect(server.kill(id, false)).toBe(true);
  await again;
  await vi.waitFor(() => expect(server.connections()).toEqual([]));
  expect([host.open_, host.aborted, server.kill(id, false)]).toEqual([0, 2, false]);
});

it('aborts the statement of a client that leaves', async () => {
  const client = await connect();
  client.query('wait').catch(() => {});
  await vi.waitFor(() => expect(server.connections()[0]).toMatchObject({ info: 'wait' }));
  client.destroy();
  await vi.waitFor(() => expect(host.open_).toBe(0));
  expect(host.aborted).toBe(1);
});

it('wire.slow: pulls no further batch while the client reads nothing', async () => {
  const client = await connect();
  const stream = (client as unknown as { connection: { stream: import('node:net').Socket } })
    .connection.stream;
  stream.pause();
  stream.write(Buffer.from([12, 0, 0, 0, 3, ...Buffer.from('many 100000')]));
  await vi.waitFor(() => expect(host.pulled).toBeGreaterThan(1));
  let before = -1;
  await vi.waitFor(
    () => {
      const same = before === host.pulled;
      before = host.pulled;
      expect(same).toBe(true);
    },
    { interval: 200, timeout: 10_000 },
  );
  expect(host.pulled).toBeLessThan(5_000);
  client.destroy();
  await vi.waitFor(() => expect(host.open_).toBe(0));
});

it('refuses more connections than it may have', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => connect()));
  await expect(connect()).rejects.toMatchObject({ errno: 1040 });
  await Promise.all(all.map((client) => client.end()));
});

it.each([
  { name: 'garbage', bytes: systemRandom.bytes(5_000) },
  { name: 'wire.length', bytes: Uint8Array.of(0xff, 0xff, 0xff, 1) },
  { name: 'wire.sequence', bytes: Uint8Array.of(1, 0, 0, 7, 0) },
  { name: 'empty packet', bytes: Uint8Array.of(0, 0, 0, 1) },
  {
    name: 'a TLS request',
    bytes: Uint8Array.of(32, 0, 0, 1, 0, 0x0a, 0, 0, ...new Uint8Array(28)),
  },
])('before login: $name ends in an error, and others go on', async ({ bytes }) => {
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const socket = connectSocket(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.once('data', () => socket.write(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
  });
  expect(answer[4 + answer.readUIntLE(0, 3) + 4]).toBe(0xff);
  await (await connect()).end();
});
