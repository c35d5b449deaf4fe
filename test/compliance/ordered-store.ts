/** What every ordered store must do; LevelDB, memory and the simulation's disk run it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OrderedStore } from '../../src/storage/ordered-store.types.ts';

export interface StoreUnderTest {
  readonly store: OrderedStore;
  /** Closes it and opens the same bytes again. */
  reopen(): Promise<OrderedStore>;
  dispose(): Promise<void>;
}

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const put = (key: string, value: string) =>
  ({ type: 'put', key: bytes(key), value: bytes(value) }) as const;
const del = (key: string) => ({ type: 'del', key: bytes(key) }) as const;

export function orderedStoreCompliance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`ordered store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: OrderedStore;

    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(() => under.dispose());

    const get = async (key: string): Promise<string | undefined> => {
      const value = await store.get(bytes(key));
      return value === undefined ? undefined : Buffer.from(value).toString('latin1');
    };
    const scan = async (
      from: string,
      to: string,
      options: { limit?: number; reverse?: boolean } = {},
    ): Promise<string[]> => {
      const found: string[] = [];
      for await (const [key, value] of store.range({
        from: bytes(from),
        to: bytes(to),
        ...options,
      })) {
        const [k, v] = [key, value].map((part) => Buffer.from(part).toString('latin1'));
        found.push(`${k}=${v}`);
      }
      return found;
    };

    it('gives back what was written, and nothing for an unknown key', async () => {
      await store.write([put('a', '1'), put('empty', '')], { sync: true });
      expect(await get('a')).toBe('1');
      expect(await get('empty')).toBe('');
      expect(await get('b')).toBeUndefined();
    });

    it('applies the operations of a write in order', async () => {
      await store.write([put('a', '1'), put('a', '2'), put('b', '1'), del('b')], { sync: false });
      expect(await scan('a', 'z')).toEqual(['a=2']);
    });

    it('a later write wins', async () => {
      await store.write([put('a', '1')], { sync: false });
      await store.write([put('a', '2')], { sync: false });
      await store.write([del('never there')], { sync: false });
      expect(await get('a')).toBe('2');
    });

    it.each([
      { name: 'ascending', from: 'a', to: 'c', options: {}, found: ['a=1', 'aa=2', 'b=3'] },
      { name: 'limit', from: 'a', to: 'c', options: { limit: 2 }, found: ['a=1', 'aa=2'] },
      { name: 'limit 0', from: 'a', to: 'c', options: { limit: 0 }, found: [] },
      {
        name: 'descending',
        from: 'aa',
        to: 'd',
        options: { reverse: true },
        found: ['c=4', 'b=3', 'aa=2'],
      },
      {
        name: 'descending with limit',
        from: 'a',
        to: 'd',
        options: { reverse: true, limit: 1 },
        found: ['c=4'],
      },
      { name: 'empty range', from: 'd', to: 'd', options: {}, found: [] },
      { name: 'bytes above 0x7f', from: '\x80', to: '\xff', options: {}, found: ['\xfe\x00=6'] },
    ])('range: $name', async ({ from, to, options, found }) => {
      const ops = [put('b', '3'), put('a', '1'), put('c', '4'), put('aa', '2'), put('\xff', '5')];
      await store.write([...ops, put('\xfe\x00', '6')], { sync: false });
      expect(await scan(from, to, options)).toEqual(found);
    });

    it('range: thousands, in order, with and without a limit', async () => {
      const keys = Array.from({ length: 2_500 }, (_, i) => String(i).padStart(4, '0'));
      await store.write(
        keys.map((key) => put(key, 'v'.repeat(100))),
        { sync: false },
      );
      const found = async (options: { limit?: number; reverse?: boolean }) =>
        (await scan('0', ':', options)).map((entry) => entry.slice(0, 4));
      expect(await found({})).toEqual(keys);
      expect(await found({ limit: 1_700 })).toEqual(keys.slice(0, 1_700));
      expect(await found({ reverse: true, limit: 2_000 })).toEqual(
        keys.toReversed().slice(0, 2_000),
      );
    });

    it('a range may be left before its end', async () => {
      await store.write([put('a', '1'), put('b', '2')], { sync: false });
      for await (const _ of store.range({ from: bytes('a'), to: bytes('z') })) break;
      expect(await get('b')).toBe('2');
    });

    it('keeps nothing of the caller’s buffers', async () => {
      const value = Buffer.from('before');
      const writing = store.write([{ type: 'put', key: bytes('a'), value }], { sync: true });
      await writing;
      value.fill(0);
      expect(await get('a')).toBe('before');
    });

    it('has after a reopen what was synced', async () => {
      const many = Array.from({ length: 500 }, (_, i) => put(`k${i}`, `${i}`));
      await store.write(many, { sync: false });
      await store.write([del('k7')], { sync: true });
      store = await under.reopen();
      expect(await get('k499')).toBe('499');
      expect(await get('k7')).toBeUndefined();
      expect((await scan('k', 'l')).length).toBe(499);
    });

    it('refuses everything after its close, which may come twice', async () => {
      await store.close();
      await store.close();
      await expect(store.get(bytes('a'))).rejects.toMatchObject({ code: 'STORE_CLOSED' });
      await expect(store.write([put('a', '1')], { sync: true })).rejects.toMatchObject({
        code: 'STORE_CLOSED',
      });
      await expect(scan('a', 'z')).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    });
  });
}
