/** Copied directories beside their originals, on one bus (PROTOCOL.md I2, I3, D4). */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type NatsHandle, startNats } from '../../scripts/services/nats.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { waitFor } from '../kit/wait-for.ts';

let nats: NatsHandle;
let copy: string;
let original: Millrace;
let twin: Millrace | undefined;

const start = (dataDir?: string) =>
  startMillrace({
    be: 1,
    quiet: true,
    args: ['--nats', nats.url],
    ...(dataDir === undefined ? {} : { dataDir }),
  });

const isAlive = async (server: Millrace) =>
  (await server.query('SHOW BACKENDS')).some(({ Alive }) => Alive === 'true');

/** `but`: folders that are left out. */
async function copyOf(from: string, but: RegExp): Promise<void> {
  const filter = (path: string) =>
    !/^(LOCK|millrace\.pid)$/.test(basename(path)) && !but.test(basename(path));
  await cp(from, copy, { recursive: true, filter });
}

const insert = (server: Millrace, id: number) =>
  server.query(`INSERT INTO d.t VALUES (${id})`).then(
    () => 'ok',
    (error: Error) => error.message,
  );

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats?.stop());

beforeEach(async () => {
  copy = await mkdtemp(join(tmpdir(), 'millrace-twin-'));
  original = await start();
  await waitFor(() => isAlive(original), { what: 'a BE' });
  await original.query(
    'CREATE DATABASE d; CREATE TABLE d.t (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id); INSERT INTO d.t VALUES (1)',
  );
});
afterEach(async () => {
  await twin?.stop();
  twin = undefined;
  await original.stop();
  await rm(copy, { recursive: true, force: true });
});

it('a copy of the FE that lacks nothing takes over; the original decides no more, and says why', async () => {
  await copyOf(original.dataDir, /^be-\d+$/);
  twin = await start(copy);
  const other = twin;
  await waitFor(async () => (await insert(other, 2)) === 'ok', { what: 'the twin to decide' });
  const refused = await waitFor(
    async () => {
      const message = await insert(original, 3);
      return /another FE runs on a copy of this directory/.test(message) && message;
    },
    { what: 'the original to say why' },
  );
  expect(refused).toMatch(/follows the FE of epoch 2/);
  await expect(original.query('CREATE DATABASE e')).rejects.toThrow(/copy of this directory/);
  expect(await other.query('SELECT id FROM d.t ORDER BY id')).toEqual([{ id: '1' }, { id: '2' }]);
});

it('an older copy of the FE decides nothing, and says why; the original goes on', async () => {
  await copyOf(original.dataDir, /^be-\d+$/);
  // The copy's own first entries must not stand in for these.
  for (const id of [2, 3, 4]) expect(await insert(original, id)).toBe('ok');
  twin = await start(copy);
  const other = twin;
  await waitFor(async () => /lost a tail, or is an older copy/.test(await insert(other, 9)), {
    what: 'the copy to say why',
  });
  expect(await insert(original, 5)).toBe('ok');
  await expect(other.query('CREATE DATABASE e')).rejects.toThrow(/older copy/);
  const found = await original.query('SELECT id FROM d.t ORDER BY id');
  expect(found.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5']);
});

it('a copy of FE and BE beside the original: no row of the original is touched', async () => {
  await copyOf(original.dataDir, /^$/);
  for (const id of [2, 3, 4]) expect(await insert(original, id)).toBe('ok');
  twin = await start(copy);
  await waitFor(
    async () =>
      /identity of BE|older copy|not registered|no BE is alive/.test(
        await insert(twin as Millrace, 9),
      ),
    { what: 'the copy to be refused' },
  );
  expect(await insert(original, 5)).toBe('ok');
  const found = await original.query('SELECT id FROM d.t ORDER BY id');
  expect(found.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5']);
});
