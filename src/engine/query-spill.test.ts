/** What a query sorts or groups may be larger than its memory: it goes to the disk meanwhile. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parseStatement } from '../sql/parser.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, context, queryRows } from './engine.fixture.ts';
import type { QueryTable } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'spill-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
const spilled = () => readdir(join(dir, 'queries'));
afterAll(() => rm(dir, { recursive: true }));

const columns = [{ name: 'id', type: { name: 'BIGINT' } }] as const;
const ROWS = 2_000;
const table: QueryTable = {
  kind: 'rows',
  db: 'd',
  name: 't',
  columns,
  batch: batchOf(
    [{ name: 'BIGINT' }],
    Array.from({ length: ROWS }, (_, i) => [String(i)]),
  ),
};
/** Four million values, in no order. */
const wide = '(select (a.id * 2000 + b.id) * 7919 % 4000037 as n from d.t a cross join d.t b) as q';

function selectOf(sql: string) {
  const statement = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  return statement.select;
}

it('T3: a result that is sorted on the disk is read to its end, and leaves nothing there', async () => {
  const select = selectOf(`select n, n + 1 as m from ${wide} order by n desc, m`);
  const result = await engine.query({ select, context }, [table]);
  let rows = 0;
  let last = 2n ** 62n;
  for await (const { columns, rows: count } of result.batches) {
    // Without this all of it may have been in memory.
    if (rows === 0) expect(await spilled()).not.toEqual([]);
    rows += count;
    const [column] = columns;
    if (column?.kind !== 'i64') throw new Error('a BIGINT was asked for');
    expect(column.values[0]! < last).toBe(true);
    last = column.values.at(-1)!;
  }
  expect(rows).toBe(ROWS * ROWS);
  expect(await spilled()).toEqual([]);
});

it('T3: so are groups, and an engine that ends meanwhile leaves nothing either', async () => {
  const counted = selectOf(`select count(distinct n), count(*) from ${wide}`);
  const all = String(ROWS * ROWS);
  expect(await queryRows(engine, counted, [table])).toEqual([[all, all]]);
  const sorted = selectOf(`select n, n + 1 as m from ${wide} order by n desc, m`);
  const result = await engine.query({ select: sorted, context }, [table]);
  await result.batches.next();
  expect(await spilled()).not.toEqual([]);
  await engine.close();
  await expect(spilled()).rejects.toThrow('ENOENT');
});
