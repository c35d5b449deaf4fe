import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLevelStore } from '../../src/storage/level-store.ts';
import { createMemoryStore } from '../../src/storage/memory-store.ts';
import { orderedStoreCompliance } from './ordered-store.ts';

const folder = () => mkdtemp(join(tmpdir(), 'millrace-store-'));

orderedStoreCompliance('memory', async () => {
  const store = createMemoryStore();
  return { store, reopen: async () => store.crash(), dispose: () => store.close() };
});

orderedStoreCompliance('LevelDB', async () => {
  const path = await folder();
  let store = await openLevelStore(path);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await openLevelStore(path);
      return store;
    },
    dispose: async () => {
      await store.close();
      await rm(path, { recursive: true });
    },
  };
});

it('LevelDB: a second open is refused with a sentence', async () => {
  const path = await folder();
  const store = await openLevelStore(path);
  await expect(openLevelStore(path)).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    message: `"${path}" is in use by another process`,
  });
  await store.close();
  await (await openLevelStore(path)).close();
  await rm(path, { recursive: true });
});

it('memory: a crash loses what was not synced, on request only a part of it', async () => {
  const key = (n: number) => Uint8Array.of(n);
  const store = createMemoryStore();
  for (const [n, sync] of [true, false, false].entries()) {
    await store.write([{ type: 'put', key: key(n), value: key(n) }], { sync });
  }
  expect(store.crash().keys().length).toBe(1);
  expect(store.crash({ keepUnsynced: 1 }).keys().length).toBe(2);
});
