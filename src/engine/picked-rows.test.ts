/** What is read here is what DuckDB reads from the same files, which it does when it is not known that a part is whole. */
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TableSchema } from '../base/table-schema.ts';
import type { Select } from '../sql/ast/select.ts';
import { parseStatement } from '../sql/parser.ts';
import { resolveSelect } from '../sql/resolve.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, queryRows, schemaOf, type Text } from './engine.fixture.ts';
import type { BuiltPart, PartInput, QueryTable } from './engine.types.ts';
import { PickedRows } from './picked-rows.ts';

const dir = await mkdtemp(join(tmpdir(), 'picked-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 256, partDirs: [dir] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const schema = schemaOf([
  { name: 'id', type: { name: 'BIGINT' }, isKey: true },
  { name: 'small', type: { name: 'TINYINT' } },
  { name: 'mid', type: { name: 'SMALLINT' } },
  { name: 'flag', type: { name: 'BOOLEAN' } },
  { name: 'x', type: { name: 'DOUBLE' } },
  { name: 'f', type: { name: 'FLOAT' } },
  { name: 'day', type: { name: 'DATE' } },
  { name: 'at', type: { name: 'DATETIME' } },
  { name: 'name', type: { name: 'VARCHAR', length: 2_000 } },
  { name: 'note', type: { name: 'VARCHAR', length: 20 } },
  { name: 'price', type: { name: 'DECIMAL', precision: 9, scale: 2 } },
  { name: 'wide', type: { name: 'DECIMAL', precision: 30, scale: 2 } },
  { name: 'large', type: { name: 'LARGEINT' } },
]);
const ROWS = 150_000;
let files = 0;

/** Ids in no order within some 2,000 of each other; some columns have NULLs. */
function rowOf(place: number): Text[] {
  const id = place - (place % 2_000) + ((place * 1_999) % 2_000);
  return [
    String(id),
    String((id % 255) - 127),
    id % 7 === 0 ? null : String((id % 60_000) - 30_000),
    id % 5 === 0 ? null : String(id % 2),
    String(id / 8 - 0.5),
    String(id % 1_000),
    id % 11 === 0 ? null : `2024-0${1 + (id % 9)}-1${id % 10}`,
    `2024-01-01 00:${String(10 + (Math.floor(id / 60) % 50))}:${String(10 + (id % 50))}`,
    id % 1_000 === 1 ? 'ä'.repeat(700) : `customer ${id % 977}`,
    id % 3 === 0 ? null : `note ${id}`,
    `${id}.25`,
    `${id}.5`,
    String(id),
  ];
}

async function build(of: TableSchema, rows: readonly Text[][], tabletId = 1): Promise<BuiltPart> {
  const path = join(dir, `f-${files++}.parquet`);
  const writer = engine.openPart({ schema: of, path, inlineBytesMax: 0 });
  const kinds = of.columns.map(({ type }) => type);
  for (let at = 0; at < rows.length; at += 10_000) {
    const some = rows.slice(at, at + 10_000);
    await writer.append(batchOf(kinds, some), new Float64Array(some.length).fill(tabletId));
  }
  return writer.finish();
}

const input = ({ data, rows, ranges }: BuiltPart, isWhole = true): PartInput => ({
  partId: 'p',
  data,
  tablets: [{ tabletId: 1, version: 2, ...(isWhole ? { rows } : {}) }],
  merged: false,
  ...(isWhole ? { rows } : {}),
  ...(ranges === undefined ? {} : { ranges }),
});

const tableOf = (parts: readonly PartInput[], of = schema) =>
  ({ kind: 'stored', db: 'd', name: 't', schema: of, parts }) as const satisfies QueryTable;

function resolved(sql: string): Select {
  const statement = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  return resolveSelect(
    statement.select,
    (db = 'd', name) => ({ db, name, columns: schema.columns }),
    'd',
  );
}

let built: BuiltPart;
beforeAll(async () => {
  const rows = Array.from({ length: ROWS }, (_, place) => rowOf(place));
  built = await build(schema, rows);
});

const picked = new PickedRows();
/** How many rows the part has become; null: it stayed as it is. */
async function rowsLeft(sql: string, parts: readonly PartInput[], of = schema) {
  const [part] = await picked.of(resolved(sql), tableOf(parts, of), parts);
  if (part === undefined) return 0;
  if (part.data.kind === 'file') return null;
  const table = tableOf([part], of);
  return Number((await queryRows(engine, resolved('select count(*) from t'), [table]))[0]?.[0]);
}

const sorted = (rows: readonly Text[][]) => rows.map((row) => row.join()).sort();

describe('K1: the same rows as DuckDB reads', () => {
  const all = 'id, small, mid, flag, x, f, day, at, name, note, price';
  it.each<{ where: string; left: number }>([
    { where: 'id = 77777', left: 1 },
    { where: 'id = 0', left: 1 },
    { where: `id = ${ROWS - 1}`, left: 1 },
    { where: `id = ${ROWS}`, left: 0 },
    { where: 'id = 66001', left: 1 },
    { where: 'id in (3, 77777, 140001, -1)', left: 3 },
    { where: 'id between 70000 and 70999', left: 1_000 },
    { where: 'id >= 70000 and id < 71000 and id <> 70500', left: 1_001 },
    { where: 'id > 149990', left: 10 },
    { where: '5 > id', left: 6 },
    { where: 'id between 70000 and 70100 and small = 0', left: 0 },
    { where: 'id between 70000 and 70300 and small = 3', left: 2 },
    { where: 'id between 70000 and 70099 and x > 8757', left: 40 },
    { where: 'x = 1000', left: 1 },
    { where: 'x < 2.25', left: 23 },
    { where: "id < 4000 and day = '2024-03-12'", left: 41 },
    { where: "id < 3000 and at >= '2024-01-01 00:59:58'", left: 4 },
    { where: 'id < 4000 and mid = -29999', left: 1 },
    { where: 'id < 4000 and mid is null and small > 120', left: 120 },
    { where: "id < 3000 and name = 'customer 7' and note is not null", left: 3_001 },
    { where: "id = 77777 and name like 'c%' or id = 5", left: -1 },
  ])('$where', async ({ where, left }) => {
    const sql = `select ${all} from t where ${where}`;
    // The second time from what was seen the first time.
    const first = await rowsLeft(sql, [input(built)]);
    const second = await rowsLeft(sql, [input(built)]);
    expect([first, second]).toEqual(left < 0 ? [null, null] : [left, left]);
    const own = await queryRows(engine, resolved(sql), [tableOf([input(built)])]);
    const again = await queryRows(engine, resolved(sql), [tableOf([input(built)])]);
    const duck = await queryRows(engine, resolved(sql), [tableOf([input(built, false)])]);
    expect(sorted(own)).toEqual(sorted(duck));
    expect(again).toEqual(own);
  });

  it('of every row, one by one and some at a time', async () => {
    for (let id = 65_000; id < 68_000; id += 37) {
      const sql = `select id, name, note from t where id in (${id}, ${id + 1}, ${id + 1_000})`;
      const own = await queryRows(engine, resolved(sql), [tableOf([input(built)])]);
      const wanted = [id, id + 1, id + 1_000].map((one) => [
        String(one),
        one % 1_000 === 1 ? 'ä'.repeat(700) : `customer ${one % 977}`,
        one % 3 === 0 ? null : `note ${one}`,
      ]);
      expect(sorted(own)).toEqual(sorted(wanted));
    }
  });

  it.each([
    { name: 'a star', sql: 'select * from t where id = 7' },
    { name: 'an aggregate', sql: 'select count(*), sum(price) from t where id between 1 and 9' },
    { name: 'a join', sql: 'select t.name, u.id from t join u on t.id = u.id where t.id = 7' },
    { name: 'its alias', sql: 'select b.name from t as b where b.id = 7' },
    { name: 'a subquery', sql: 'select n from (select name as n from t where id = 7) q' },
    { name: 'EXISTS', sql: 'select name from t where id = 7 and exists (select 1 from u)' },
    { name: 'USING', sql: 'select name from t join u using (id, x) where t.id = 7' },
  ])('$name', async ({ sql }) => {
    const u = schemaOf([
      { name: 'id', type: { name: 'BIGINT' } },
      { name: 'x', type: { name: 'DOUBLE' } },
    ]);
    const lookup = (db = 'd', name: string) => ({
      db,
      name,
      columns: (name === 'u' ? u : schema).columns,
    });
    const statement = parseStatement(sql);
    if (statement.kind !== 'select') throw new Error('a query was asked for');
    const select = resolveSelect(statement.select, lookup, 'd');
    const other = await build(u, [['7', '0.375']]);
    const rowsOf = (isWhole: boolean) =>
      queryRows(engine, select, [
        tableOf([input(built, isWhole)]),
        { ...tableOf([input(other, isWhole)], u), name: 'u' },
      ]);
    const own = await rowsOf(true);
    expect(own).toEqual(await rowsOf(false));
    expect(own).toHaveLength(1);
  });

  it('NaN and both zeros', async () => {
    const of = schemaOf([{ name: 'x', type: { name: 'DOUBLE' } }]);
    const part = await build(of, [['nan'], ['0'], ['-0.0'], ['1'], ['-1'], [null]]);
    const statement = (where: string) => resolved(`select x from t where ${where}`);
    for (const where of ['x > 0', 'x >= 0', 'x = 0', 'x < 0', 'x <= 0']) {
      const own = await queryRows(engine, statement(where), [tableOf([input(part)], of)]);
      const duck = await queryRows(engine, statement(where), [tableOf([input(part, false)], of)]);
      expect(sorted(own)).toEqual(sorted(duck));
    }
  });
});

describe('K2: left to DuckDB', () => {
  it.each([
    { name: 'no condition', sql: 'select id from t' },
    { name: 'a condition of no range', sql: "select id from t where name = 'a'" },
    { name: 'too many rows', sql: 'select id from t where id < 5000' },
    { name: 'a column that cannot be read', sql: 'select wide from t where id = 7' },
    { name: 'another one', sql: 'select * from t where id = 7 and large = 7' },
  ])('$name', async ({ sql }) => {
    expect(await rowsLeft(sql, [input(built)])).toBe(null);
  });

  it.each<{ name: string; part: () => PartInput }>([
    { name: 'tablets that are not wanted', part: () => input(built, false) },
    { name: 'a merged part', part: () => ({ ...input(built), merged: true }) },
  ])('$name', async ({ part }) => {
    expect(await rowsLeft('select id from t where id = 7', [part()])).toBe(null);
  });

  it('a part that DuckDB wrote', async () => {
    const spec = { schema, path: join(dir, 'merged.parquet'), inlineBytesMax: 0 };
    const merged = await engine.merge(spec, [input(built)]);
    expect(await rowsLeft('select id from t where id = 7', [input(merged)])).toBe(null);
  });

  it('a file that ends too early', async () => {
    const cut = await build(schema, [rowOf(1)]);
    if (cut.data.kind !== 'file') throw new Error('a file was asked for');
    await truncate(cut.data.path, cut.data.length - 100);
    expect(await rowsLeft('select id from t where id = 7', [input(cut)])).toBe(null);
  });

  it('AGGREGATE tables', async () => {
    const of = schemaOf(
      [
        { name: 'id', type: { name: 'BIGINT' }, isKey: true },
        { name: 'x', type: { name: 'BIGINT' }, agg: 'SUM' },
      ],
      'AGGREGATE',
    );
    const part = await build(of, [['1', '2']]);
    expect(await rowsLeft('select id from t where id = 1', [input(part)], of)).toBe(null);
  });
});
