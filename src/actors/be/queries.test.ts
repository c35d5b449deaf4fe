import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { schemaOf } from '../../engine/engine.fixture.ts';
import type { PartInput, QueryResult, QueryTable } from '../../engine/engine.types.ts';
import { createLocalHub, type LocalHub } from '../../protocol/local/local-bus.ts';
import { createPartHub } from '../../protocol/local/part-hub.ts';
import { connectPartStore } from '../../protocol/local/part-store.ts';
import { beSubject, type QueryRunRequest } from '../messages.ts';
import type { BeContext } from './be.ts';
import { BeQueries } from './queries.ts';

const ports = { clock: systemClock, log: silentLog };
const schema = schemaOf([{ name: 'id', type: { name: 'INT' } }]);

/** Two BEs: `a` coordinates, `b` has the parts. */
let hub: LocalHub;
let pinned: string[];
let unpinned: string[];
let partsOfB: readonly PartInput[];
let tables: readonly QueryTable[];
let query: (signal?: AbortSignal) => Promise<QueryResult>;
let closed: number;
let a: BeQueries;
let schemasOfB: Map<number, unknown>;

beforeEach(() => {
  hub = createLocalHub(ports);
  const partHub = createPartHub(ports);
  pinned = [];
  unpinned = [];
  closed = 0;
  partsOfB = [];
  schemasOfB = new Map();
  const be = (name: string, schemas: Map<number, unknown>) => {
    const bus = hub.bus(name);
    const context = {
      ...ports,
      bus,
      schemas,
      parts: connectPartStore(partHub, name, ports),
      store: {
        beId: name,
        incarnation: 'i',
        pin: async (queryId: string) => {
          pinned.push(`${name} ${queryId}`);
          return name === 'b' ? partsOfB : [];
        },
        unpin: (queryId: string) => unpinned.push(`${name} ${queryId}`),
      },
      engine: {
        query: (_: unknown, given: readonly QueryTable[], signal?: AbortSignal) => {
          tables = given;
          return query(signal);
        },
      },
    } as unknown as BeContext;
    const queries = new BeQueries(context);
    queries.respond((verb, handler) =>
      bus.respond(beSubject(name, 'i', verb), (body) => handler(body as never)),
    );
    return queries;
  };
  a = be('a', new Map());
  be('b', schemasOfB);
  query = async () => result([]);
});
afterEach(() => hub.close());

function result(batches: readonly (number | Error)[]): QueryResult {
  async function* pull() {
    for (const rows of batches) {
      if (rows instanceof Error) throw rows;
      yield { rows, columns: [] };
    }
  }
  return {
    columns: [],
    batches: pull(),
    close: async () => {
      closed += 1;
    },
  };
}

const request = (queryId: string): QueryRunRequest =>
  ({
    queryId,
    select: {},
    context: {},
    tables: [
      {
        kind: 'stored',
        db: 'd',
        name: 't',
        schema,
        tablets: [
          { tabletId: 1, bucket: 0, beId: 'a', incarnation: 'i', version: 2 },
          { tabletId: 2, bucket: 1, beId: 'b', incarnation: 'i', version: 2 },
        ],
      },
    ],
  }) as unknown as QueryRunRequest;

const ask = <Reply>(verb: string, body: unknown) =>
  hub.bus('fe').request<Reply>(beSubject('a', 'i', verb), body, { timeoutMs: 5_000 });
const everywhere = ['a q', 'b q'];
/** Rows of a batch that fill a message. */
const MANY = 8 * 1024;
const until = async (done: () => boolean) => {
  for (let i = 0; i < 1_000 && !done(); i++) await new Promise((resolve) => setImmediate(resolve));
  expect(done()).toBe(true);
};

describe('parts of other BEs', () => {
  it.each([
    { name: 'a few', count: 3 },
    { name: 'T2: more than a message holds', count: 2_000 },
  ])('$name', async ({ count }) => {
    const tablets = Array.from({ length: 8 }, (_, i) => ({ tabletId: 2 + i, version: 7, rows: 1 }));
    partsOfB = Array.from({ length: count }, (_, i) => ({
      partId: `p${i}`,
      merged: false,
      rows: 8,
      tablets,
      ...(i % 2 === 0 ? { ranges: [[1, '-5', '9223372036854775807']] } : {}),
      data:
        i % 2 === 0
          ? { kind: 'file', path: `/parts/${i}`, length: 9 }
          : { kind: 'inline', bytes: Uint8Array.of(i % 256, 1, 2) },
    }));
    const open = await a.open(request('q'));
    const [table] = tables;
    expect(table?.kind === 'stored' && table.parts).toEqual(partsOfB);
    expect(schemasOfB.get(schema.tableId)).toEqual(schema);
    await open.close();
  });
});

describe('V3: pins end with the query', () => {
  it.each([
    { name: 'small, which goes with the first answer', batches: [1, 2], pulls: 0, close: false },
    { name: 'read to its end', batches: [1, MANY, 2], pulls: 1, close: false },
    { name: 'that fails', batches: [MANY, new LoadError('X', 'x')], pulls: 1, close: false },
    { name: 'that fails at once', batches: [new LoadError('X', 'x')], pulls: 0, close: false },
    { name: 'closed before its end', batches: [MANY, MANY, 3], pulls: 1, close: true },
    { name: 'never read on', batches: [MANY, 1], pulls: 0, close: true },
  ])('$name', async ({ batches, pulls, close }) => {
    query = async () => result(batches);
    await ask('query-run', request('q')).catch(() => {});
    expect(pinned.sort()).toEqual(everywhere);
    for (let i = 0; i < pulls; i++)
      await ask('query-next', { queryId: 'q', seq: i + 1 }).catch(() => {});
    if (close) await ask('query-close', { queryId: 'q' });
    await until(() => unpinned.length === 2);
    expect(unpinned.sort()).toEqual(everywhere);
    expect(closed).toBe(1);
    await expect(ask('query-next', { queryId: 'q', seq: pulls + 1 })).rejects.toMatchObject({
      code: 'QUERY_GONE',
    });
  });

  it('that could not begin', async () => {
    query = async () => {
      throw new LoadError('ENGINE_ERROR', 'no');
    };
    await expect(a.open(request('q'))).rejects.toMatchObject({ code: 'ENGINE_ERROR' });
    await until(() => unpinned.length === 2);
  });

  it('E1: a close that comes before the result stops the query', async () => {
    query = (signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const running = ask('query-run', request('q'));
    running.catch(() => {});
    await until(() => pinned.length === 2);
    expect(await ask('query-alive', { queryIds: ['q', 'other'] })).toEqual({ alive: ['q'] });
    await ask('query-close', { queryId: 'q' });
    await expect(running).rejects.toMatchObject({ code: 'QUERY_CANCELLED' });
    await until(() => unpinned.length === 2);
    expect(await ask('query-alive', { queryIds: ['q'] })).toEqual({ alive: [] });
  });

  it('of INSERT … SELECT, which reads it here', async () => {
    query = async () => result([1, 2]);
    const open = await a.open(request('q'));
    const rows: number[] = [];
    for await (const batch of open.batches) rows.push(batch.rows);
    expect(rows).toEqual([1, 2]);
    await until(() => unpinned.length === 2);
    await open.close();
    expect(closed).toBe(1);
  });
});
