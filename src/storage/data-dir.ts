/**
 * The data directory of one machine.
 *
 *   <data>/
 *     millrace.json   format version, cluster id, when it was made; written last, whole or not at all
 *     lock/           a LevelDB of nothing, for its lock: the system frees it when the process ends, however it ends
 *     millrace.pid    who holds the lock, for the sentence that refuses a second process
 *     fe/             the FE's journal
 *     be-1/ … be-N/   be.json (cluster id), log/ (LevelDB), parts/, staging/, tmp/
 */
import { access, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import { type Random, randomUuid } from '../base/random.ts';
import { nodeFiles, writeFileDurably } from './files.ts';
import { openLevelStore } from './level-store.ts';
import type { OrderedStore } from './ordered-store.types.ts';

const FORMAT = 1;
const IDENTITY = 'millrace.json';
const BE_IDENTITY = 'be.json';
/** What a start that was cut short may have left in a new directory. */
const OWN_LEFTOVERS = new Set(['lock', 'millrace.pid', `${IDENTITY}.new`, 'millrace.pid.new']);

export interface BeDir {
  /** 1 … N */
  readonly index: number;
  readonly path: string;
  readonly log: string;
  readonly parts: string;
  readonly staging: string;
  readonly tmp: string;
}

export interface DataDir {
  readonly path: string;
  readonly clusterId: string;
  readonly createdAtMs: number;
  /** For the FE's ordered store. */
  readonly fe: string;
  /** Of the BEs asked for; directories of more from an earlier start stay as they are. */
  readonly bes: readonly BeDir[];
  /** Lets another process in. */
  close(): Promise<void>;
}

interface Identity {
  readonly format: number;
  readonly clusterId: string;
  readonly createdAtMs: number;
}

export async function openDataDir(
  path: string,
  options: { beCount: number; random: Random; clock?: Clock },
): Promise<DataDir> {
  assert(Number.isInteger(options.beCount) && options.beCount >= 0, 'beCount is a count');
  await makeDirectory(path);
  // Before the lock, which would put something into a directory that is none of ours.
  await readIdentity(path);
  const lock = await takeLock(path);
  try {
    const identity = (await readIdentity(path)) ?? (await create(path, options));
    const bes: BeDir[] = [];
    for (let index = 1; index <= options.beCount; index++) {
      bes.push(await openBeDir(path, index, identity));
    }
    const fe = join(path, 'fe');
    await makeDirectory(fe);
    const { clusterId, createdAtMs } = identity;
    const close = async () => {
      await rm(join(path, 'millrace.pid'), { force: true });
      await lock.close();
    };
    return { path, clusterId, createdAtMs, fe, bes, close };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

/** `undefined` in a new directory. */
async function readIdentity(path: string): Promise<Identity | undefined> {
  const text = await readText(join(path, IDENTITY));
  if (text === undefined) {
    const others = (await readdir(path)).filter((name) => !OWN_LEFTOVERS.has(name));
    if (others.length === 0) return undefined;
    throw new LoadError(
      'DATA_DIR_FOREIGN',
      `"${path}" is not empty and not a data directory of millrace`,
      {
        details: { path, found: others.slice(0, 5) },
        hint: 'give an empty directory, or one that millrace made',
      },
    );
  }
  return parseIdentity(join(path, IDENTITY), text);
}

function parseIdentity(file: string, text: string): Identity {
  let found: Partial<Identity> | null;
  try {
    found = JSON.parse(text) as Partial<Identity> | null;
  } catch {
    found = null;
  }
  const { format, clusterId, createdAtMs } = found ?? {};
  if (typeof format === 'number' && format > FORMAT) {
    throw new LoadError(
      'DATA_DIR_NEWER',
      `"${file}" has format ${format}, this program knows formats up to ${FORMAT}`,
      { details: { file, format }, hint: 'start the millrace that wrote it, or a newer one' },
    );
  }
  if (format !== FORMAT || typeof clusterId !== 'string' || typeof createdAtMs !== 'number') {
    throw new LoadError('DATA_DIR_DAMAGED', `"${file}" is damaged: it names no cluster`, {
      details: { file },
      hint: 'restore it from a backup; the other files alone do not tell whose they are',
    });
  }
  return { format, clusterId, createdAtMs };
}

async function create(
  path: string,
  { random, clock = systemClock }: { random: Random; clock?: Clock },
): Promise<Identity> {
  const identity = { format: FORMAT, clusterId: randomUuid(random), createdAtMs: clock.now() };
  await writeFileDurably(join(path, IDENTITY), `${JSON.stringify(identity)}\n`);
  return identity;
}

async function openBeDir(data: string, index: number, identity: Identity): Promise<BeDir> {
  const path = join(data, `be-${index}`);
  const [log, parts, staging, tmp] = ['log', 'parts', 'staging', 'tmp'].map((name) =>
    join(path, name),
  ) as [string, string, string, string];
  await makeDirectory(path);
  const file = join(path, BE_IDENTITY);
  const text = await readText(file);
  const found = text === undefined ? undefined : parseIdentity(file, text);
  // The file comes before the rest, so a directory with a log and without it was not made here.
  if (found === undefined && (await exists(log))) {
    throw new LoadError('DATA_DIR_DAMAGED', `"${file}" is missing beside the data of a backend`, {
      details: { file },
      hint: 'move the directory away, or restore the file from a backup',
    });
  }
  if (found !== undefined && found.clusterId !== identity.clusterId) {
    const message = `"${path}" belongs to cluster "${found.clusterId}", "${data}" to "${identity.clusterId}"`;
    throw new LoadError('DATA_DIR_OTHER_CLUSTER', message, {
      details: { path, found: found.clusterId, expected: identity.clusterId },
      hint: 'put the directory back where it came from',
    });
  }
  if (found === undefined) await writeFileDurably(file, `${JSON.stringify(identity)}\n`);
  // What a process that was killed has spilled there is nobody's.
  await rm(tmp, { recursive: true, force: true });
  for (const folder of [log, parts, staging, tmp]) await makeDirectory(folder);
  return { index, path, log, parts, staging, tmp };
}

async function takeLock(path: string): Promise<OrderedStore> {
  const pidFile = join(path, 'millrace.pid');
  let lock: OrderedStore;
  try {
    lock = await openLevelStore(join(path, 'lock'));
  } catch (error) {
    if (!(error instanceof LoadError) || error.code !== 'STORE_LOCKED') throw error;
    const pid = (await readText(pidFile))?.trim() ?? '';
    const who = /^\d+$/.test(pid) ? `the millrace process ${pid}` : 'another millrace process';
    throw new LoadError('DATA_DIR_LOCKED', `"${path}" is in use by ${who}`, {
      details: { path, ...(/^\d+$/.test(pid) ? { pid: Number(pid) } : {}) },
      hint: 'stop that process first, or give another data directory',
    });
  }
  try {
    await writeFileDurably(pidFile, `${process.pid}\n`);
  } catch (error) {
    await lock.close();
    throw error;
  }
  return lock;
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await nodeFiles.syncDirectory(join(path, '..'));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new LoadError('DATA_DIR_FAILED', `could not make the directory "${path}": ${message}`, {
      details: { path, cause: code },
      cause: error,
    });
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    const message = `could not read "${file}": ${(error as Error).message}`;
    throw new LoadError('DATA_DIR_FAILED', message, { details: { file }, cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
