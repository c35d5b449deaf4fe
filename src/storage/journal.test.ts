import { describe, expect, it } from 'vitest';
import { openJournal } from './journal.ts';
import type { FoldSpec, OpenJournalOptions } from './journal.types.ts';
import { ENTRY_BYTES_MAX } from './journal-record.ts';
import { JournalKeys } from './keys.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

type Entry =
  | { readonly type: 'add'; readonly name: string; readonly by: bigint }
  | { readonly type: 'drop'; readonly name: string };
type State = Map<string, bigint>;

const spec: FoldSpec<Entry, State> = {
  version: 1,
  types: ['add', 'drop'],
  empty: () => new Map(),
  apply(state, entry) {
    if (entry.type === 'drop') state.delete(entry.name);
    else state.set(entry.name, (state.get(entry.name) ?? 0n) + entry.by);
  },
  *save(state) {
    yield { count: state.size };
    for (const [name, value] of state) yield { name, value };
  },
  load(sections) {
    const state: State = new Map();
    for (const section of sections as Iterable<{ name?: string; value: bigint }>) {
      if (section.name !== undefined) state.set(section.name, section.value);
    }
    return state;
  },
};

const keys = new JournalKeys('t/');
const open = (store: MemoryStore, options?: OpenJournalOptions, using = spec) =>
  openJournal(store, 't/', using, options);
const add = (i: number): Entry => ({ type: 'add', name: `n${i % 7}`, by: BigInt(i) });

/** The state after the first `count` of `add(1)`, `add(2)`, … */
function stateAfter(count: number): State {
  const state = spec.empty();
  for (let i = 1; i <= count; i++) spec.apply(state, add(i), i);
  return state;
}

async function filled(count: number, options?: OpenJournalOptions): Promise<MemoryStore> {
  const store = createMemoryStore();
  const journal = await open(store, options);
  for (let i = 1; i <= count; i++) {
    await journal.append(add(i)).durable;
  }
  await journal.close();
  return store;
}

describe('appending', () => {
  it('applies to head at once, to durable when the disk has it', async () => {
    const store = createMemoryStore();
    const journal = await open(store);
    const news: string[] = [];
    journal.onHead((_, seq) => news.push(`head ${seq}`));
    const stop = journal.onDurable((_, seq) => news.push(`durable ${seq}`));
    const release = store.holdWrites();
    const first = journal.append(add(1));
    journal.append(add(2));
    expect([journal.headSeq, journal.durableSeq]).toEqual([2, 0]);
    expect([journal.head, journal.durable]).toEqual([stateAfter(2), new Map()]);
    release();
    await first.durable.then(() => news.push('answered 1'));
    await journal.flush();
    expect(journal.durable).toEqual(stateAfter(2));
    expect(journal.durableSeq).toBe(2);
    stop();
    await journal.append(add(3)).durable;
    expect(news).toEqual([
      ...['head 1', 'head 2', 'durable 1', 'durable 2', 'answered 1', 'head 3'],
    ]);
  });

  it('D2: one write in flight, what waits goes with the next, with one sync', async () => {
    const store = createMemoryStore();
    const journal = await open(store);
    const release = store.holdWrites();
    journal.append(add(1));
    await Promise.resolve();
    await Promise.resolve();
    for (let i = 2; i <= 50; i++) journal.append(add(i));
    release();
    await journal.flush();
    expect(store.writes.map((write) => write.ops.length)).toEqual([1, 49]);
    expect(store.writes.every((write) => write.sync)).toBe(true);
  });

  it('extra operations go in the same write; keys of the journal are refused', async () => {
    const store = createMemoryStore();
    const journal = await open(store);
    const extra = [{ type: 'put', key: Buffer.from('x'), value: Buffer.from('y') }] as const;
    await journal.append(add(1), { extra }).durable;
    expect(store.writes[0]?.ops.map((op) => op.type)).toEqual(['put', 'put']);
    expect(() => journal.append(add(2), { extra: [{ type: 'del', key: keys.entry(1) }] })).toThrow(
      'a key of ours',
    );
    expect(journal.headSeq).toBe(1);
  });

  it('a listener may append; the others hear of the entries in order', async () => {
    const journal = await open(createMemoryStore());
    const heard: number[] = [];
    journal.onHead((_, seq) => seq === 1 && journal.append(add(2)));
    journal.onHead((_, seq) => heard.push(seq));
    journal.append(add(1));
    expect(heard).toEqual([1, 2]);
    await journal.flush();
  });

  it('J2: what the caller does to an entry later changes nothing', async () => {
    const journal = await open(createMemoryStore());
    const entry = { type: 'add', name: 'a', by: 1n };
    const { durable } = journal.append(entry as Entry);
    entry.by = 100n;
    await durable;
    expect(journal.durable.get('a')).toBe(1n);
  });

  it('refuses an entry above the limit, and goes on', async () => {
    const journal = await open(createMemoryStore());
    const name = 'x'.repeat(ENTRY_BYTES_MAX);
    expect(() => journal.append({ type: 'drop', name })).toThrow(
      expect.objectContaining({ code: 'JOURNAL_ENTRY_TOO_LARGE' }),
    );
    await journal.append(add(1)).durable;
    expect(journal.durable).toEqual(stateAfter(1));
  });
});

describe('D3: a failed write', () => {
  it.each([{ stored: false }, { stored: true }])('answers nobody ($stored)', async (outcome) => {
    const store = createMemoryStore();
    const journal = await open(store);
    await journal.append(add(1)).durable;
    store.failNextWrite(new Error('ENOSPC'), outcome);
    const lost = [journal.append(add(2)), journal.append(add(3))];
    await expect(lost[0]!.durable).rejects.toThrow('ENOSPC');
    await expect(lost[1]!.durable).rejects.toThrow('ENOSPC');
    expect((await journal.failed).message).toBe('ENOSPC');
    await expect(journal.append(add(4)).durable).rejects.toThrow('ENOSPC');
    await expect(journal.flush()).rejects.toThrow('ENOSPC');
    expect(journal.durable).toEqual(stateAfter(1));
    await expect(store.get(Buffer.from('x'))).rejects.toThrow();
    await journal.close();
    const again = await open(store.crash());
    expect(again.durable).toEqual(stateAfter(outcome.stored ? 3 : 1));
  });
});

describe('opening', () => {
  it('a crash at any write leaves a prefix that was not yet more than answered', async () => {
    const store = createMemoryStore();
    const journal = await open(store, { checkpointEntries: 10 });
    const answered: number[] = [];
    for (let i = 1; i <= 60; i++) {
      const appended = journal.append(add(i));
      appended.durable.then(() => {
        answered[store.writes.length] = i;
      });
      if (i % 3 === 0) await appended.durable;
    }
    await journal.close();
    let promised = 0;
    for (let writes = 0; writes <= store.writes.length; writes++) {
      promised = answered[writes] ?? promised;
      const again = await open(store.prefix(writes), { checkpointEntries: 10 });
      expect(again.durable).toEqual(stateAfter(again.durableSeq));
      expect(again.head).toEqual(again.durable);
      expect(again.durableSeq).toBeGreaterThanOrEqual(promised);
      await again.append(add(again.durableSeq + 1)).durable;
      expect(again.durable).toEqual(stateAfter(again.durableSeq));
      await again.close();
    }
    expect(promised).toBe(60);
  });

  it('D1: each flipped bit of each entry is found and named', async () => {
    const store = await filled(3);
    for (const seq of [1, 2, 3]) {
      const length = (await store.reopen().get(keys.entry(seq)))!.length;
      for (let bit = 0; bit < length * 8; bit++) {
        const broken = store.reopen();
        broken.tamper(keys.entry(seq), (value) => {
          value[bit >> 3]! ^= 1 << (bit & 7);
          return value;
        });
        await expect(open(broken)).rejects.toMatchObject({ code: 'JOURNAL_CRC', details: { seq } });
      }
    }
  });

  it.each([
    {
      name: 'a hole',
      code: 'JOURNAL_GAP',
      details: { expected: 2, found: 3 },
      break: (store: MemoryStore) => store.tamper(keys.entry(2), () => undefined),
    },
    {
      name: 'a lost beginning',
      code: 'JOURNAL_GAP',
      details: { expected: 1, found: 2 },
      break: (store: MemoryStore) => store.tamper(keys.entry(1), () => undefined),
    },
    {
      name: 'a torn record',
      code: 'JOURNAL_CRC',
      details: { seq: 3 },
      break: (store: MemoryStore) => store.tamper(keys.entry(3), (value) => value.slice(0, 9)),
    },
    {
      name: 'an empty record',
      code: 'JOURNAL_CRC',
      details: { seq: 3 },
      break: (store: MemoryStore) => store.tamper(keys.entry(3), () => new Uint8Array()),
    },
  ])('D1: $name', async ({ code, details, break: damage }) => {
    const store = (await filled(4)).reopen();
    damage(store);
    await expect(open(store)).rejects.toMatchObject({ name: 'DamageError', code, details });
  });

  it('D1: an entry in another one’s place, and one of another history', async () => {
    const store = await filled(4);
    const misplaced = store.reopen();
    const second = (await store.reopen().get(keys.entry(2)))!;
    misplaced.tamper(keys.entry(3), () => second);
    await expect(open(misplaced)).rejects.toMatchObject({ code: 'JOURNAL_MISPLACED' });

    const other = createMemoryStore();
    const journal = await open(other);
    for (let i = 1; i <= 3; i++) journal.append(add(i + 100));
    await journal.close();
    const stale = store.reopen();
    const foreign = (await other.reopen().get(keys.entry(3)))!;
    stale.tamper(keys.entry(3), () => foreign);
    await expect(open(stale)).rejects.toMatchObject({ code: 'JOURNAL_CHAIN', details: { seq: 3 } });
  });

  it('J1: an unknown type and a newer version stop the start', async () => {
    const store = await filled(2);
    await expect(open(store.reopen(), {}, { ...spec, types: ['drop'] })).rejects.toMatchObject({
      code: 'JOURNAL_NEWER',
      details: { seq: 1 },
    });
    await expect(open(store.reopen(), {}, { ...spec, version: 0 })).rejects.toMatchObject({
      code: 'JOURNAL_NEWER',
      message: expect.stringContaining('format version 1'),
    });
  });

  it('J1: an older entry is upcast when read', async () => {
    const upcast = (entry: unknown): Entry => ({ ...(entry as Entry & { type: 'add' }), by: 5n });
    const journal = await open(
      await filled(2).then((s) => s.reopen()),
      {},
      {
        ...spec,
        version: 2,
        upcast,
      },
    );
    expect([...journal.durable.values()]).toEqual([5n, 5n]);
  });
});

describe('J3: checkpoints', () => {
  const headers = async (store: MemoryStore): Promise<number[]> => {
    const found: number[] = [];
    for await (const [key] of store.range(keys.headers())) found.push(keys.seqOf(key));
    return found;
  };
  const entries = async (store: MemoryStore): Promise<number[]> => {
    const found: number[] = [];
    for await (const [key] of store.range(keys.entriesFrom(0))) found.push(keys.seqOf(key));
    return found;
  };

  it('keeps the newest, the one before and its entries', async () => {
    const store = (await filled(35, { checkpointEntries: 10 })).reopen();
    const [before, newest] = await headers(store);
    expect(newest).toBeGreaterThanOrEqual(30);
    expect(before).toBeGreaterThanOrEqual(20);
    expect((await entries(store))[0]).toBe(before! + 1);
    const journal = await open(store);
    expect(journal.durable).toEqual(stateAfter(35));
    expect(journal.head).toEqual(stateAfter(35));
  });

  it('is due by bytes as well', async () => {
    const store = (await filled(35, { checkpointBytes: 500 })).reopen();
    expect((await headers(store)).length).toBe(2);
  });

  it('entries go on becoming durable while one is written', async () => {
    const store = createMemoryStore();
    const journal = await open(store, { checkpointEntries: 5 });
    for (let i = 1; i <= 200; i++) await journal.append(add(i)).durable;
    await journal.close();
    const again = await open(store.crash());
    expect(again.durable).toEqual(stateAfter(200));
  });

  it('a damaged newest one, at any byte, falls back to the one before', async () => {
    const store = (await filled(35, { checkpointEntries: 10 })).reopen();
    const newest = (await headers(store)).at(-1)!;
    const own = [...store.keys()].filter((key) => {
      const letter = String.fromCharCode(key[2]!);
      return (letter === 'h' || letter === 's') && keys.seqOf(key) === newest;
    });
    expect(own.length).toBe(9);
    for (const key of own) {
      const logged: string[] = [];
      const log = { write: (_: string, message: string) => logged.push(message) };
      const flipped = store.reopen();
      flipped.tamper(key, (value) => {
        value[value.length >> 1]! ^= 4;
        return value;
      });
      const journal = await open(flipped, { log });
      expect(journal.durable).toEqual(stateAfter(35));
      expect(logged).toEqual(['damaged checkpoint, used the one before']);
      const lost = store.reopen();
      lost.tamper(key, () => undefined);
      const other = await open(lost, { checkpointEntries: 1 });
      expect(other.durable).toEqual(stateAfter(35));
      await other.append(add(36)).durable;
      await other.close();
      expect((await open(lost.crash())).durable).toEqual(stateAfter(36));
    }
  });

  it('damage of both, or of entries that the one before needs, stops the start', async () => {
    const store = (await filled(35, { checkpointEntries: 10 })).reopen();
    const [before, newest] = (await headers(store)) as [number, number];
    const both = store.reopen();
    both.tamper(keys.header(before), () => undefined);
    both.tamper(keys.section(newest, 1), (value) => value.slice(1));
    await expect(open(both)).rejects.toMatchObject({ code: 'CHECKPOINT_DAMAGED' });

    const short = store.reopen();
    for (let seq = newest; seq <= 35; seq++) short.tamper(keys.entry(seq), () => undefined);
    expect((await open(short.reopen())).durableSeq).toBe(newest);
    short.tamper(keys.section(newest, 1), (value) => value.slice(1));
    await expect(open(short)).rejects.toMatchObject({ code: 'CHECKPOINT_DAMAGED' });
  });

  it('a failed checkpoint write ends the journal', async () => {
    const store = createMemoryStore();
    const journal = await open(store, { checkpointEntries: 2 });
    await journal.append(add(1)).durable;
    journal.onDurable((_, seq) => seq === 2 && store.failNextWrite(new Error('EIO')));
    journal.append(add(2));
    expect((await journal.failed).message).toBe('EIO');
    await expect(journal.append(add(3)).durable).rejects.toThrow('EIO');
  });
});
