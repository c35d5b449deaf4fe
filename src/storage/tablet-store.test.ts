import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Log, silentLog } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { BuiltPart, Engine, PartInput } from '../engine/engine.types.ts';
import { type Files, nodeFiles } from './files.ts';
import { openLevelStore } from './level-store.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import type { OrderedStore } from './ordered-store.types.ts';
import { type OpenTabletStoreOptions, openTabletStore } from './tablet-store.ts';
import type { FeIdentity, StagedTxn, StageRequest, TabletStore } from './tablet-store.types.ts';

const schema: TableSchema = {
  tableId: 7,
  schemaId: 3,
  model: 'DUPLICATE',
  columns: [{ id: 1, name: 'k', type: { name: 'INT' }, nullable: false, isKey: true }],
  bucketColumns: [],
};
const fe: FeIdentity = { epoch: 1, incarnation: 'aa' };
const reject = {
  topic: 't',
  partition: 0,
  offset: '5',
  element: 0,
  column: 'k',
  reason: 'r',
  row: '[1]',
};

let seed = 0;
const random = (): Random => {
  let state = ++seed * 7919;
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  return { next, bytes: (n) => Uint8Array.from({ length: n }, () => Math.floor(next() * 256)) };
};

/** Text parts: rows `tablet:value`, one a line; merged ones `tablet:value@version`. */
const engine: Pick<Engine, 'merge'> = {
  async merge(spec, inputs) {
    const lines = (await Promise.all(inputs.map(linesOf))).flat();
    const tabletIds = [...new Set(lines.map((line) => Number(line.split(':')[0])))];
    const bytes = Buffer.from(lines.join('\n'));
    const inline = bytes.length <= spec.inlineBytesMax;
    if (!inline) await writeFile(spec.path, bytes);
    return {
      rows: lines.length,
      tablets: tabletIds.map((tabletId) => {
        return { tabletId, rows: lines.filter((l) => l.startsWith(`${tabletId}:`)).length };
      }),
      data: inline
        ? { kind: 'inline', bytes }
        : { kind: 'file', path: spec.path, length: bytes.length },
    };
  },
};

async function linesOf(input: PartInput): Promise<string[]> {
  const { data } = input;
  const bytes = data.kind === 'inline' ? data.bytes : await readFile(data.path);
  return Buffer.from(bytes)
    .toString()
    .split('\n')
    .flatMap((line) => {
      const tablet = input.tablets.find((t) => line.startsWith(`${t.tabletId}:`));
      if (tablet === undefined) return [];
      return [input.merged ? line : `${line}@${tablet.version}`];
    });
}

describe.each(['inline', 'file'] as const)('%s parts', (kind) => {
  let dir: string;
  let disk: MemoryStore;
  let store: TabletStore;
  let now: number;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-be-'));
    disk = createMemoryStore();
    now = 1_000_000;
    store = await open(disk);
    await store.promiseTo(fe, 1);
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  const clock = { now: () => now, setTimeout: () => 0, clearTimeout: () => {} };
  const open = (on: OrderedStore, options: Partial<OpenTabletStoreOptions> = {}) =>
    openTabletStore({
      store: on,
      dir,
      engine,
      clock,
      random: random(),
      log: silentLog,
      freeBytesMin: 0,
      inlineBytesMax: kind === 'inline' ? 1_000_000 : 0,
      compaction: { rowsetsMax: 3 },
      ...options,
    });
  /** kill -9, and the loss of what was not synced. */
  const crash = async (options?: Partial<OpenTabletStoreOptions>) => {
    disk = disk.crash();
    store = await open(disk, options);
  };

  const part = async (...rows: string[]): Promise<NonNullable<StageRequest['part']>> => {
    const bytes = Buffer.from(rows.join('\n'));
    const path = store.stagingPath();
    if (kind === 'file') await writeFile(path, bytes);
    const tabletIds = [...new Set(rows.map((row) => Number(row.split(':')[0])))];
    const tablets = tabletIds.map((tabletId) => {
      return { tabletId, rows: rows.filter((row) => row.startsWith(`${tabletId}:`)).length };
    });
    const data: BuiltPart['data'] =
      kind === 'inline' ? { kind, bytes } : { kind, path, length: bytes.length };
    return { rows: rows.length, tablets, data, tableId: 7, schema };
  };
  const request = async (txnId: number, ...rows: string[]): Promise<StageRequest> => {
    const base = { txnId, attempt: 1, fe, label: `l${txnId}`, rejects: [] };
    return rows.length === 0 ? base : { ...base, part: await part(...rows) };
  };
  const stage = async (txnId: number, ...rows: string[]) =>
    store.stage(await request(txnId, ...rows));
  const publish = (txnId: number, versions: Record<number, number>) =>
    store.publish({
      txnId,
      attempt: 1,
      versions: Object.entries(versions).map(([id, version]) => {
        return { tabletId: Number(id), version };
      }),
    });
  const read = async (versions: Record<number, number>, queryId = 'q'): Promise<string[]> => {
    const at = Object.entries(versions).map(([id, version]) => {
      return { tabletId: Number(id), version };
    });
    const inputs = await store.pin(queryId, at);
    const lines = await Promise.all(inputs.map(linesOf));
    return lines.flat().sort();
  };
  const files = async () => (await readdir(join(dir, 'parts'))).length;
  const quiet = async () => {
    await store.dropUnvoted();
  };

  it('S3: rows are readable from the publish of their version on', async () => {
    const vote = await stage(1, '10:a', '10:b', '11:c');
    expect(vote).toMatchObject({
      txnId: 1,
      attempt: 1,
      beId: store.beId,
      incarnation: store.incarnation,
      beSeq: store.durableSeq,
      bytes: 14,
      tablets: [
        { tabletId: 10, tableId: 7, schemaId: 3, rows: 2 },
        { tabletId: 11, tableId: 7, schemaId: 3, rows: 1 },
      ],
    });
    expect(vote.digest).toMatch(/^[0-9a-f]{8}$/);
    expect(await read({ 10: 1 })).toEqual([]);
    await expect(read({ 10: 2 })).rejects.toMatchObject({ code: 'VERSION_NOT_YET' });
    await publish(1, { 10: 2, 11: 2 });
    expect(await read({ 10: 2 })).toEqual(['10:a@2', '10:b@2']);
    expect(await read({ 10: 2, 11: 2 })).toEqual(['10:a@2', '10:b@2', '11:c@2']);
    expect(await read({ 10: 1, 11: 2 })).toEqual(['11:c@2']);
    expect(store.tablets()).toMatchObject([
      { tabletId: 10, tableId: 7, version: 2, rows: 2, rowsets: 1, damaged: null },
      { tabletId: 11, version: 2, rows: 1 },
    ]);
  });

  it('S1: each step survives a crash right after it', async () => {
    const { beId, incarnation } = store;
    const vote = await stage(1, '10:a');
    await stage(2, '10:b');
    await crash();
    expect(store.beId).toBe(beId);
    expect(store.incarnation).not.toBe(incarnation);
    expect(store.promise).toEqual({ ...fe, feSeq: 1 });
    expect(store.inDoubt()).toEqual<StagedTxn[]>([
      { txnId: 1, attempt: 1 },
      { txnId: 2, attempt: 1 },
    ]);
    expect(await stage(1, '10:a')).toEqual(vote);
    await publish(1, { 10: 2 });
    await crash();
    expect(await read({ 10: 2 })).toEqual(['10:a@2']);
    await store.abort(2, 1);
    await crash();
    expect(store.inDoubt()).toEqual([]);
    expect(await read({ 10: 2 })).toEqual(['10:a@2']);
  });

  it('a crash at any write leaves a whole state', async () => {
    await stage(1, '10:a');
    await publish(1, { 10: 2 });
    await stage(2, '10:b', '11:x');
    await publish(2, { 10: 3, 11: 2 });
    await stage(3, '10:c');
    const all = disk;
    const seen = new Set<string>();
    for (let writes = 1; writes <= all.writes.length; writes++) {
      const at = await open(all.prefix(writes));
      const tablets = at.tablets().map(({ tabletId, version }) => `${tabletId}v${version}`);
      seen.add(`${tablets.join(' ')} | ${at.inDoubt().map((txn) => txn.txnId)}`);
      await at.close();
    }
    expect([...seen]).toEqual([
      ' | ',
      '10v1 | 1',
      '10v2 | ',
      '10v2 11v1 | 2',
      '10v3 11v2 | ',
      '10v3 11v2 | 3',
    ]);
  });

  it('S2: stage, publish and abort may come twice, also at the same time', async () => {
    const twice = await request(1, '10:a');
    const [first, second] = await Promise.all([store.stage(twice), store.stage(twice)]);
    expect(second).toEqual(first);
    await Promise.all([publish(1, { 10: 2 }), publish(1, { 10: 2 })]);
    const seq = store.durableSeq;
    await publish(1, { 10: 2 });
    await store.abort(1, 1);
    await store.abort(99, 1);
    expect(store.durableSeq).toBe(seq);
    expect(await read({ 10: 2 })).toEqual(['10:a@2']);
    await expect(stage(1, '10:a')).rejects.toMatchObject({ code: 'TXN_DECIDED' });
  });

  it('V1: publishes may come in any order; versions advance without a gap', async () => {
    for (const txnId of [1, 2, 3]) await stage(txnId, `10:t${txnId}`);
    await publish(3, { 10: 4 });
    await publish(2, { 10: 3 });
    expect(store.tablets()[0]).toMatchObject({ version: 1, rows: 0 });
    await expect(read({ 10: 3 })).rejects.toMatchObject({ code: 'VERSION_NOT_YET' });
    await publish(1, { 10: 2 });
    expect(store.tablets()[0]).toMatchObject({ version: 4, rows: 3 });
    expect(await read({ 10: 3 })).toEqual(['10:t1@2', '10:t2@3']);
  });

  it('C5: a transaction without a part, and a version without rows', async () => {
    const vote = await stage(1);
    expect(vote).toMatchObject({ partId: null, digest: null, bytes: 0, tablets: [] });
    await publish(1, {});
    await publish(1, {});
    await stage(2, '10:a');
    await publish(2, { 10: 2, 11: 2 });
    expect(await read({ 11: 2 })).toEqual([]);
  });

  it('C7: a publish without its vote is damage unless the version is there', async () => {
    await expect(publish(5, { 10: 2 })).rejects.toMatchObject({
      name: 'DamageError',
      code: 'VOTE_LOST',
    });
    await expect(publish(5, {})).rejects.toMatchObject({ code: 'VOTE_LOST' });
    await stage(6, '10:a');
    await store.abort(6, 1);
    await expect(publish(6, { 10: 2 })).rejects.toMatchObject({ code: 'VOTE_LOST' });
  });

  it('I5: attempts are apart; the publish of one ends the others', async () => {
    await stage(1, '10:old');
    await store.stage({ ...(await request(1, '10:new')), attempt: 2 });
    expect(store.inDoubt().length).toBe(2);
    await store.publish({ txnId: 1, attempt: 2, versions: [{ tabletId: 10, version: 2 }] });
    expect(store.inDoubt()).toEqual([]);
    expect(await read({ 10: 2 })).toEqual(['10:new@2']);
    await quiet();
    expect(await files()).toBe(kind === 'file' ? 1 : 0);
  });

  it('I2: promises grow; a twin and an older epoch are refused and change nothing', async () => {
    const { sawFeSeq } = store;
    sawFeSeq.call(store, 9);
    expect(store.promise).toEqual({ ...fe, feSeq: 9 });
    await expect(store.promiseTo({ epoch: 1, incarnation: 'bb' }, 5)).rejects.toMatchObject({
      code: 'EPOCH_REFUSED',
    });
    await store.promiseTo({ epoch: 3, incarnation: 'cc' }, 20);
    await expect(store.promiseTo(fe, 5)).rejects.toMatchObject({ code: 'EPOCH_REFUSED' });
    await expect(stage(1, '10:a')).rejects.toMatchObject({ code: 'EPOCH_REFUSED' });
    await crash();
    expect(store.promise).toEqual({ epoch: 3, incarnation: 'cc', feSeq: 20 });
  });

  it('I2: a promise that is not on the disk yet is not answered for, and nothing that was seen under it', async () => {
    store.sawFeSeq(9);
    const later = store.promiseTo({ epoch: 3, incarnation: 'cc' }, 20);
    store.sawFeSeq(21);
    const latest = store.promiseTo({ epoch: 4, incarnation: 'dd' }, 30);
    expect(store.promise).toEqual({ ...fe, feSeq: 9 });
    await Promise.all([later, latest]);
    expect(store.promise).toEqual({ epoch: 4, incarnation: 'dd', feSeq: 30 });
    store.sawFeSeq(31);
    expect(store.promise?.feSeq).toBe(31);
  });

  it('D4: the highest sequence seen is written with votes and publishes', async () => {
    store.sawFeSeq(8);
    await crash();
    expect(store.promise?.feSeq).toBe(1);
    store.sawFeSeq(8);
    await stage(1, '10:a');
    await crash();
    expect(store.promise?.feSeq).toBe(8);
  });

  it('I4, S4: nothing is written before the first promise but the identity', async () => {
    const fresh = await open(createMemoryStore());
    expect(fresh.durableSeq).toBe(1);
    expect(fresh.promise).toBeNull();
    const refused = { code: 'EPOCH_REFUSED' };
    await expect(fresh.stage(await request(1, '10:a'))).rejects.toMatchObject(refused);
    await expect(fresh.dropUnvoted()).rejects.toMatchObject(refused);
    await fresh.close();
    const seq = store.durableSeq;
    await crash();
    expect(store.durableSeq).toBe(seq);
  });

  it('I3: a wiped directory is a new BE', async () => {
    const other = await open(createMemoryStore());
    expect(other.beId).not.toBe(store.beId);
    await other.close();
  });

  it('C4: unvoted files of an earlier boot go, a voted part waits for its answer', async () => {
    await stage(1, '10:a');
    await request(2, '10:never staged');
    await writeFile(join(dir, 'parts', 'adopted-1.parquet'), 'crashed before its vote');
    const own = store.stagingPath();
    await crash();
    expect(store.stagingPath()).not.toBe(own);
    const mine = await request(3, '10:c');
    expect(await store.dropUnvoted()).toBe(kind === 'file' ? 2 : 1);
    expect(await files()).toBe(kind === 'file' ? 1 : 0);
    await store.stage(mine);
    await publish(1, { 10: 2 });
    await publish(3, { 10: 3 });
    expect(await read({ 10: 3 })).toEqual(['10:a@2', '10:c@3']);
  });

  it('an abort drops the bytes, also of a stage that is under way', async () => {
    await stage(1, '10:a');
    await store.abort(1, 1);
    const late = store.stage(await request(2, '10:b'));
    late.catch(() => {});
    await store.abort(2, 1);
    expect(store.inDoubt()).toEqual([]);
    await quiet();
    expect(await files()).toBe(0);
    expect(disk.keys().some((key) => Buffer.from(key).toString().startsWith('part/'))).toBe(false);
  });

  it('drops tablets: parts go with their last reference, staged rows of them are left out', async () => {
    await stage(1, '10:a', '11:b');
    await publish(1, { 10: 2, 11: 2 });
    await stage(2, '10:c', '11:d');
    await store.dropTablets([10]);
    expect(await read({ 11: 2 })).toEqual(['11:b@2']);
    await publish(2, { 10: 3, 11: 3 });
    expect(store.tablets().map((tablet) => tablet.tabletId)).toEqual([11]);
    const pinned = await read({ 11: 3 }, 'reader');
    expect(pinned).toEqual(['11:b@2', '11:d@3']);
    await store.dropTablets([11]);
    await quiet();
    expect(await files()).toBe(kind === 'file' ? 2 : 0);
    store.unpin('reader');
    store.unpin('q');
    await quiet();
    expect(await files()).toBe(0);
    await crash();
    expect(store.tablets()).toEqual([]);
  });

  it('C6: rejects are kept with the vote, after an abort as bounded diagnostics', async () => {
    const rows = [reject, { ...reject, offset: '9223372036854775807', column: null }];
    for (let txnId = 1; txnId <= 105; txnId++) {
      await store.stage({ ...(await request(txnId)), rejects: rows });
      if (txnId > 1) await store.abort(txnId, 1);
    }
    await publish(1, {});
    await crash();
    expect(await store.rejects(1)).toEqual(rows);
    expect(await store.rejects(4)).toEqual([]);
    expect(await store.rejects(105)).toEqual(rows);
    await store.forgetRejects([1, 105]);
    expect(await store.rejects(1)).toEqual([]);
    expect(await store.rejects(105)).toEqual([]);
    const kept = disk.keys().filter((key) => Buffer.from(key).toString().startsWith('rejects/'));
    expect(kept.length).toBe(99);
  });

  it('C6: rejects of the newest transactions are kept, older ones go with a round of compaction', async () => {
    await crash({ rejectsTxnsMax: 2 });
    const rejected = async (txnId: number) =>
      store.stage({ ...(await request(txnId)), rejects: [{ ...reject, offset: `${txnId}` }] });
    for (const txnId of [1, 2, 3, 4]) {
      await rejected(txnId);
      await publish(txnId, {});
    }
    await rejected(5);
    await store.compact(() => undefined);
    const kept = async () => {
      const found = await Promise.all([1, 2, 3, 4, 5].map((txnId) => store.rejects(txnId)));
      return found.flat().map(({ offset }) => offset);
    };
    expect(await kept()).toEqual(['3', '4', '5']);
    await crash();
    expect(await kept()).toEqual(['3', '4', '5']);
  });

  it('damaged rejects give an error', async () => {
    await store.stage({ ...(await request(1)), rejects: [reject] });
    const key = disk.keys().find((at) => Buffer.from(at).toString().startsWith('rejects/'))!;
    disk.tamper(key, (value) => value.with(20, value[20]! ^ 1));
    await expect(store.rejects(1)).rejects.toMatchObject({ code: 'REJECTS_DAMAGED' });
  });

  /** Flips a bit of a part's bytes, or takes them away. */
  const damagePart = async (partId: string, how: 'flip' | 'gone'): Promise<void> => {
    if (kind === 'inline') {
      const change = (value: Uint8Array) => value.with(0, value[0]! ^ 1);
      disk.tamper(Buffer.from(`part/${partId}`), how === 'flip' ? change : () => undefined);
      return;
    }
    const path = join(dir, 'parts', `${partId}.parquet`);
    const bytes = await readFile(path);
    bytes[0]! ^= 1;
    await (how === 'flip' ? writeFile(path, bytes) : rm(path));
  };

  it.each(['flip', 'gone'] as const)('D5: damage (%s) marks its tablets alone', async (how) => {
    const { partId } = await stage(1, '10:a', '11:b');
    await stage(2, '12:c');
    await publish(1, { 10: 2, 11: 2 });
    await publish(2, { 12: 2 });
    await crash();
    await damagePart(partId!, how);
    await expect(read({ 12: 2, 10: 2 })).rejects.toMatchObject({
      name: 'DamageError',
      code: 'TABLET_DAMAGED',
      details: { reason: { code: 'PART_DAMAGED' } },
    });
    expect(await read({ 12: 2 })).toEqual(['12:c@2']);
    await crash();
    expect(store.tablets().map((tablet) => tablet.damaged?.code)).toEqual([
      'PART_DAMAGED',
      'PART_DAMAGED',
      undefined,
    ]);
    await store.dropTablets([10, 11]);
    expect(store.tablets().length).toBe(1);
  });

  it('D4: tablets marked damaged refuse readers until they are dropped', async () => {
    await store.markDamaged([10, 55], { code: 'BE_BEHIND', message: 'expected 5, found 3' });
    for (const tabletId of [10, 55]) {
      await expect(read({ [tabletId]: 1 })).rejects.toMatchObject({ code: 'TABLET_DAMAGED' });
    }
    await store.dropTablets([55]);
    expect(await read({ 55: 1 })).toEqual([]);
  });

  const load = async (count: number, from = 1) => {
    for (let i = from; i < from + count; i++) {
      await stage(i, `10:t${i}`);
      await publish(i, { 10: i + 1 });
    }
  };
  const rows = (count: number) =>
    Array.from({ length: count }, (_, i) => `10:t${i + 1}@${i + 2}`).sort();

  it('V3: compaction changes no result, keeps older snapshots a while, then the bytes go', async () => {
    await load(6);
    await store.compact(() => schema);
    expect(store.tablets()[0]).toMatchObject({ version: 7, rows: 6, rowsets: 1 });
    for (const version of [2, 4, 7]) expect(await read({ 10: version })).toEqual(rows(version - 1));
    await crash();
    expect(await read({ 10: 7 })).toEqual(rows(6));
    await publish(3, { 10: 4 }); // C7
    await expect(publish(999, { 10: 4 })).resolves.toBeUndefined();
    now += 31_000;
    const reader = await read({ 10: 4 }, 'reader');
    store.unpin('q');
    await store.compact(() => schema);
    expect(reader).toEqual(rows(3));
    expect(await files()).toBe(kind === 'file' ? 4 : 0);
    await expect(read({ 10: 4 })).rejects.toMatchObject({ code: 'VERSION_GONE' });
    store.unpin('reader');
    await quiet();
    expect(await files()).toBe(kind === 'file' ? 1 : 0);
    expect(await read({ 10: 7 })).toEqual(rows(6));
    await load(6, 7);
    await store.compact(() => schema);
    // The first merged rowset weighs more than what came since, and is not written again for it.
    expect(store.tablets()[0]).toMatchObject({ version: 13, rowsets: 2 });
    await load(6, 13);
    await store.compact(() => schema);
    expect(store.tablets()[0]).toMatchObject({ version: 19, rowsets: 1 });
    for (const version of [7, 13, 15, 19]) {
      expect(await read({ 10: version })).toEqual(rows(version - 1));
    }
  });

  it('compaction leaves alone what it must: few rowsets, another schema, an unknown table', async () => {
    await load(3);
    await store.compact(() => schema);
    expect(store.tablets()[0]?.rowsets).toBe(3);
    await load(3, 4);
    await store.compact(() => ({ ...schema, schemaId: 4 }));
    await store.compact(() => undefined);
    expect(store.tablets()[0]?.rowsets).toBe(6);
  });

  it('a tablet dropped during its compaction stays dropped; a failed merge changes nothing', async () => {
    await load(6);
    const logged: string[] = [];
    const log: Log = { write: (level, message) => logged.push(`${level} ${message}`) };
    const merge: Engine['merge'] = async (spec, parts) => {
      await store.dropTablets([10]);
      return engine.merge(spec, parts);
    };
    await crash({ engine: { merge }, log });
    await store.compact(() => schema);
    await quiet();
    expect(store.tablets()).toEqual([]);
    expect(await files()).toBe(0);
    expect(logged).toEqual([]);
  });

  it('compaction meets a damaged part: the tablet is marked, the round goes on', async () => {
    await load(6);
    const { partId } = await stage(7, '10:x');
    await publish(7, { 10: 8 });
    await crash();
    await damagePart(partId!, 'flip');
    await store.compact(() => schema);
    expect(store.tablets()[0]?.damaged?.code).toBe('PART_DAMAGED');
  });

  it('D3: a part that could not be written fails its transaction, a journal write the store', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    let broken = kind === 'file';
    const files: Files = {
      ...nodeFiles,
      syncFile: (path) => (broken ? Promise.reject(full) : nodeFiles.syncFile(path)),
    };
    await crash({ files });
    if (kind === 'file') {
      await expect(stage(1, '10:a')).rejects.toMatchObject({
        code: 'PART_WRITE_FAILED',
        transient: true,
        details: { cause: 'ENOSPC' },
      });
      expect(await readdir(join(dir, 'parts'))).toEqual([]);
    }
    broken = false;
    await stage(2, '10:b');
    disk.failNextWrite(full);
    await expect(publish(2, { 10: 2 })).rejects.toBe(full);
    expect(await store.failed).toBe(full);
    await expect(stage(3, '10:c')).rejects.toBe(full);
    expect(store.inDoubt()).toEqual([{ txnId: 2, attempt: 1 }]);
    await crash();
    expect(store.inDoubt()).toEqual([{ txnId: 2, attempt: 1 }]);
    await publish(2, { 10: 2 });
    expect(await read({ 10: 2 })).toEqual(['10:b@2']);
  });

  it('refuses loads below the floor of free space, and what ends a transaction goes on', async () => {
    await stage(1, '10:a');
    await crash({ freeBytesMin: Number.MAX_SAFE_INTEGER });
    await expect(stage(2, '10:b')).rejects.toMatchObject({ code: 'DISK_FULL_SOON' });
    await publish(1, { 10: 2 });
    expect(await store.freeBytes()).toBeGreaterThan(0);
  });

  it('D5: sync of the file and its folder come before the vote', async () => {
    const steps: string[] = [];
    const note =
      <T extends unknown[], R>(name: string, fn: (...args: T) => R) =>
      (...args: T): R => {
        steps.push(name);
        return fn(...args);
      };
    await crash({
      files: {
        ...nodeFiles,
        adopt: note('adopt', nodeFiles.adopt),
        syncFile: note('sync file', nodeFiles.syncFile),
        syncDirectory: note('sync folder', nodeFiles.syncDirectory),
      },
    });
    const before = disk.writes.length;
    const write = disk.write.bind(disk);
    disk.write = note('write', write);
    await stage(1, '10:a');
    const file = ['adopt', 'sync file', 'sync folder', 'write'];
    expect(steps).toEqual(kind === 'file' ? file : ['write']);
    expect(disk.writes.slice(before)).toMatchObject([{ sync: true }]);
  });

  it('ranges come with the part, after a crash, a checkpoint and a merge; parts without stay so', async () => {
    const ranges: PartInput['ranges'] = [[1, '-5', '9223372036854775807']];
    const merge: Engine['merge'] = async (...args) => ({
      ...(await engine.merge(...args)),
      ranges,
    });
    const pinned = async (version: number) => {
      const inputs = await store.pin('q', [{ tabletId: 10, version }]);
      store.unpin('q');
      return inputs.map((input) => ('ranges' in input ? input.ranges : 'none'));
    };
    await store.stage({
      ...(await request(1, '10:a')),
      part: { ...(await part('10:a')), ranges },
    });
    await publish(1, { 10: 2 });
    await stage(2, '10:b');
    await publish(2, { 10: 3 });
    expect(await pinned(3)).toEqual([ranges, 'none']);
    await crash({ checkpointEntries: 1, engine: { merge } });
    expect(await pinned(3)).toEqual([ranges, 'none']);
    await load(4, 3);
    await store.compact(() => schema);
    expect(await pinned(7)).toEqual([ranges]);
    await crash();
    expect(await pinned(7)).toEqual([ranges]);
  });

  it('the fold from a checkpoint equals the fold of the entries', async () => {
    await crash({ checkpointEntries: 4 });
    await load(6);
    await store.stage({ ...(await request(50, '10:z')), rejects: [reject] });
    await store.compact(() => schema);
    await store.markDamaged([77], { code: 'X', message: 'x' });
    const before = [store.tablets(), store.inDoubt(), await read({ 10: 5 })];
    await store.close();
    disk = disk.reopen();
    store = await open(disk);
    expect([store.tablets(), store.inDoubt(), await read({ 10: 5 })]).toEqual(before);
    expect(await store.rejects(50)).toEqual([reject]);
    await expect(read({ 77: 1 })).rejects.toMatchObject({ code: 'TABLET_DAMAGED' });
  });
});

it('works on LevelDB, and a second open is refused', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-be-'));
  const clock = { now: () => 0, setTimeout: () => 0, clearTimeout: () => {} };
  const open = async () =>
    openTabletStore({
      store: await openLevelStore(join(dir, 'log')),
      dir,
      engine,
      clock,
      random: random(),
      log: silentLog,
    });
  const store = await open();
  await store.promiseTo(fe, 1);
  const data = { kind: 'inline', bytes: Buffer.from('10:a') } as const;
  const tablets = [{ tabletId: 10, rows: 1 }];
  const part = { rows: 1, tablets, data, tableId: 7, schema };
  await store.stage({ txnId: 1, attempt: 1, fe, label: 'l', rejects: [], part });
  await expect(open()).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  await store.close();
  const again = await open();
  expect(again.beId).toBe(store.beId);
  await again.publish({ txnId: 1, attempt: 1, versions: [{ tabletId: 10, version: 2 }] });
  const [input] = await again.pin('q', [{ tabletId: 10, version: 2 }]);
  expect(await linesOf(input!)).toEqual(['10:a@2']);
  await again.close();
  await rm(dir, { recursive: true });
});
