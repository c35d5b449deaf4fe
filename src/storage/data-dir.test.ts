import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemRandom as random } from '../base/random.ts';
import { openDataDir } from './data-dir.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-data-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = (name = 'data', beCount = 2) => openDataDir(join(root, name), { beCount, random });

it('makes what is missing and finds it again; more and fewer BEs may be asked for', async () => {
  const first = await open('data', 1);
  expect(first.bes.map((be) => be.index)).toEqual([1]);
  expect((await readdir(first.bes[0]!.path)).sort()).toEqual(
    ['be.json', 'log', 'parts', 'staging', 'tmp'].sort(),
  );
  await first.close();
  const grown = await open('data', 3);
  expect(grown.clusterId).toBe(first.clusterId);
  await grown.close();
  const shrunk = await open('data', 2);
  expect(shrunk.bes.length).toBe(2);
  expect(await readdir(shrunk.path)).toContain('be-3');
  await shrunk.close();
});

it('a second open in this process is refused and names the process', async () => {
  const held = await open();
  await expect(open()).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    message: `"${held.path}" is in use by the millrace process ${process.pid}`,
  });
  await held.close();
  await (await open()).close();
});

it('another process is refused while the holder lives, and let in after its kill -9', async () => {
  const module = new URL('./data-dir.ts', import.meta.url).href;
  const script = `
    const { openDataDir } = await import(${JSON.stringify(module)});
    const { systemRandom } = await import(${JSON.stringify(new URL('../base/random.ts', import.meta.url).href)});
    await openDataDir(${JSON.stringify(join(root, 'data'))}, { beCount: 1, random: systemRandom });
    console.log('held');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the holder ended early')));
  });
  await expect(open()).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    details: { pid: child.pid },
  });
  child.kill('SIGKILL');
  await ended;
  await (await open()).close();
});

it.each([
  {
    name: 'a directory of something else',
    code: 'DATA_DIR_FOREIGN',
    prepare: (data: string) => writeFile(join(data, 'letter.txt'), 'x'),
  },
  {
    name: 'a newer format',
    code: 'DATA_DIR_NEWER',
    prepare: (data: string) => writeFile(join(data, 'millrace.json'), '{"format":2}'),
  },
  {
    name: 'a damaged identity',
    code: 'DATA_DIR_DAMAGED',
    prepare: (data: string) => writeFile(join(data, 'millrace.json'), '{"format":1,'),
  },
  {
    name: 'null as identity',
    code: 'DATA_DIR_DAMAGED',
    prepare: (data: string) => writeFile(join(data, 'millrace.json'), 'null'),
  },
])('refuses $name, and leaves it as it was', async ({ code, prepare }) => {
  const data = join(root, 'data');
  await mkdir(data);
  await prepare(data);
  const before = await readdir(data);
  await expect(open()).rejects.toMatchObject({ code });
  expect(await readdir(data)).toEqual(before);
});

it('refuses a backend of another cluster, and one without its identity', async () => {
  await (await open('a', 1)).close();
  await (await open('b', 1)).close();
  await rm(join(root, 'a/be-1'), { recursive: true });
  await rename(join(root, 'b/be-1'), join(root, 'a/be-1'));
  await expect(open('a')).rejects.toMatchObject({ code: 'DATA_DIR_OTHER_CLUSTER' });
  await rm(join(root, 'a/be-1/be.json'));
  await expect(open('a')).rejects.toMatchObject({ code: 'DATA_DIR_DAMAGED' });
  // The refusal let go of the lock.
  await rm(join(root, 'a/be-1'), { recursive: true });
  await (await open('a')).close();
});

it('a first start that was cut short is finished by the next', async () => {
  const data = join(root, 'data');
  await mkdir(join(data, 'lock'), { recursive: true });
  await writeFile(join(data, 'millrace.json.new'), '{"for');
  await writeFile(join(data, 'millrace.pid'), '1\n');
  await (await open()).close();
});

it('what a process that was killed has spilled is removed', async () => {
  const first = await open();
  const [be] = first.bes;
  await mkdir(join(be!.tmp, 'queries'));
  await writeFile(join(be!.tmp, 'queries', 'duckdb_temp_storage-0.tmp'), 'x');
  await writeFile(join(be!.parts, 'a'), 'x');
  await first.close();
  const again = await open();
  expect(await readdir(be!.tmp)).toEqual([]);
  expect(await readdir(be!.parts)).toEqual(['a']);
  await again.close();
});
