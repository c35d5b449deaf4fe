/** The stand-in gives what DuckDB gives, over generated schemas, batches, tablets, versions and merges. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../../src/base/sql-type.ts';
import type { TableSchema } from '../../src/base/table-schema.ts';
import { createDuckDbEngine } from '../../src/engine/duckdb-engine.ts';
import {
  batchOf,
  context,
  queryRows,
  rowsOf,
  schemaOf,
  selectOf,
  type Text,
} from '../../src/engine/engine.fixture.ts';
import type { BuiltPart, Engine, PartInput } from '../../src/engine/engine.types.ts';
import { VirtualClock } from './clock.ts';
import { Disk } from './disk.ts';
import { standInEngine } from './engine.ts';
import { Points } from './points.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import { Trace } from './trace.ts';

const dir = await mkdtemp(join(tmpdir(), 'stand-in-'));
const real = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 256, partDirs: [dir] });
afterAll(async () => {
  await real.close();
  await rm(dir, { recursive: true });
});

function standIn(seed: string): Engine {
  const random = seededRandom(seed);
  const clock = new VirtualClock(random, 0);
  const trace = new Trace(() => 0, 10);
  const disk = new Disk(
    'be-1',
    { clock, random, trace, points: new Points(), files: new Map() },
    { writeError: 0, syncMsMax: 1 },
  );
  return standInEngine(disk, 0);
}

/** Of each type: its edges, and something between. */
const VALUES: readonly (readonly [SqlType, readonly Text[]])[] = [
  [{ name: 'BIGINT' }, ['-9223372036854775808', '9223372036854775807', '0', '1']],
  [{ name: 'INT' }, ['-2147483648', '2147483647', '7']],
  [{ name: 'BOOLEAN' }, ['0', '1']],
  [{ name: 'DOUBLE' }, ['1.1', '-0.001', '1e+300']],
  [{ name: 'DECIMAL', precision: 18, scale: 4 }, ['1.5000', '-99999999999999.9999']],
  [
    { name: 'VARCHAR', length: 100 },
    ['', 'a', '漢字', 'quite a long text, more than twelve bytes'],
  ],
  [{ name: 'DATE' }, ['0001-01-01', '2024-02-29', '9999-12-31']],
  [{ name: 'DATETIME' }, ['1969-12-31 23:59:59.999999', '2024-02-29 12:00:00']],
];

interface Generated {
  readonly schema: TableSchema;
  readonly types: readonly SqlType[];
  /** By transaction: rows with their tablets. */
  readonly parts: readonly { readonly rows: Text[][]; readonly tablets: number[] }[];
}

function generate(random: SeededRandom): Generated {
  const chosen = Array.from({ length: random.whole(1, 6) }, () => random.pick(VALUES));
  const types = chosen.map(([type]) => type);
  const isSum = random.chance(0.4);
  if (isSum) types.push({ name: 'BIGINT' });
  const schema = schemaOf(
    types.map((type, i) =>
      isSum && i === chosen.length
        ? { name: `c${i}`, type, agg: 'SUM' as const }
        : { name: `c${i}`, type, isKey: isSum },
    ),
    isSum ? 'AGGREGATE' : 'DUPLICATE',
  );
  const parts = Array.from({ length: random.whole(1, 5) }, () => {
    const count = random.pick([1, 2, 20, 300]);
    const rows = Array.from({ length: count }, () =>
      types.map((_, i) => {
        if (random.chance(0.2)) return null;
        return chosen[i] === undefined ? String(random.whole(-9, 9)) : random.pick(chosen[i][1]);
      }),
    );
    return { rows, tablets: rows.map(() => random.whole(1, 4)) };
  });
  return { schema, types, parts };
}

async function build(
  engine: Engine,
  { schema, types, parts }: Generated,
  path: (n: number) => string,
  inlineBytesMax: number,
): Promise<BuiltPart[]> {
  const built: BuiltPart[] = [];
  for (const [n, { rows, tablets }] of parts.entries()) {
    const writer = engine.openPart({ schema, path: path(n), inlineBytesMax });
    for (let from = 0; from < rows.length; from += 70) {
      const some = rows.slice(from, from + 70);
      await writer.append(batchOf(types, some), Float64Array.from(tablets.slice(from, from + 70)));
    }
    built.push(await writer.finish());
  }
  return built;
}

const byTablet = (part: BuiltPart) =>
  [...part.tablets].sort((a, b) => a.tabletId - b.tabletId).map((one) => ({ ...one }));

async function rowsOfTablet(
  engine: Engine,
  schema: TableSchema,
  parts: readonly PartInput[],
): Promise<Text[][]> {
  const table = { kind: 'stored', db: 'd', name: 't', schema, parts } as const;
  return queryRows(engine, selectOf(schema.columns.map(({ name }) => name)), [table]);
}

/** What it holds of one tablet, part after part: a part has its version in the order of transactions. */
const inputs = (built: readonly BuiltPart[], tabletId: number): PartInput[] =>
  built.map(({ data }, n) => ({
    partId: `p${n}`,
    data,
    merged: false,
    tablets: [{ tabletId, version: n + 2 }],
  }));

const sorted = (rows: readonly Text[][]) => rows.map((row) => JSON.stringify(row)).sort();

describe('the stand-in', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => ({ seed })))('seed $seed', async ({ seed }) => {
    const random = seededRandom(`stand-in/${seed}`);
    const made = generate(random);
    const { schema } = made;
    const inlineBytesMax = random.pick([0, 1e6]);
    const other = standIn(String(seed));
    const mine = await build(other, made, (n) => `/be-1/staging/${n}`, inlineBytesMax);
    const theirs = await build(real, made, (n) => join(dir, `${seed}-${n}`), inlineBytesMax);
    for (const [n, part] of mine.entries()) {
      const twin = theirs[n] as BuiltPart;
      expect(part.rows).toBe(twin.rows);
      expect(byTablet(part)).toEqual(byTablet(twin));
    }
    for (const tabletId of [1, 2, 3, 4, 9]) {
      const found = await rowsOfTablet(other, schema, inputs(mine, tabletId));
      const expected = await rowsOfTablet(real, schema, inputs(theirs, tabletId));
      expect(sorted(found)).toEqual(sorted(expected));
    }
    // A merge of all, then read back tablet by tablet.
    const all = (built: readonly BuiltPart[]): PartInput[] =>
      built.map(({ data }, n) => ({
        partId: `p${n}`,
        data,
        merged: false,
        tablets: [1, 2, 3, 4].map((tabletId) => ({ tabletId, version: n + 2 })),
      }));
    const spec = { schema, inlineBytesMax };
    const merged = await other.merge({ ...spec, path: '/be-1/staging/m' }, all(mine));
    const twin = await real.merge({ ...spec, path: join(dir, `${seed}-m`) }, all(theirs));
    expect(merged.rows).toBe(twin.rows);
    expect(byTablet(merged)).toEqual(byTablet(twin));
    for (const tabletId of [1, 2, 3, 4]) {
      const input = ({ data }: BuiltPart): PartInput[] => [
        {
          partId: 'm',
          data,
          merged: true,
          tablets: [{ tabletId, version: made.parts.length + 1 }],
        },
      ];
      const found = await rowsOfTablet(other, schema, input(merged));
      const expected = await rowsOfTablet(real, schema, input(twin));
      expect(sorted(found)).toEqual(sorted(expected));
    }
  });

  it('takes rows without expressions as the engine does: NULL in NOT NULL, too long a text', async () => {
    const schema = schemaOf([
      { name: 'id', type: { name: 'BIGINT' }, nullable: false },
      { name: 'name', type: { name: 'VARCHAR', length: 5 } },
    ]);
    const fields = [
      { name: 'id', type: { name: 'BIGINT' } },
      { name: 'name', type: { name: 'VARCHAR', length: 65_533 } },
    ] as const;
    const plan = {
      fields,
      schema,
      sources: [
        { kind: 'field', field: 0 },
        { kind: 'field', field: 1 },
      ],
      strict: false,
      context,
    } as const;
    const rows = [
      ['1', 'a'],
      [null, 'b'],
      ['3', 'much too long'],
      ['4', null],
    ];
    const types = fields.map(({ type }) => type);
    const found = await standIn('t').transform(plan, batchOf(types, rows));
    const expected = await real.transform(plan, batchOf(types, rows));
    const own = schema.columns.map(({ type }) => type);
    expect(rowsOf(found.batch, own)).toEqual(rowsOf(expected.batch, own));
    expect(found.rejects).toEqual(expected.rejects);
    expect(found.rejected).toBe(expected.rejected);
  });

  it('refuses what it does not know', async () => {
    const schema = schemaOf([{ name: 'id', type: { name: 'BIGINT' } }]);
    const plan = {
      fields: [{ name: 'id', type: { name: 'BIGINT' } }],
      schema,
      sources: [{ kind: 'field', field: 0 }],
      where: { kind: 'column', path: ['id'] },
      strict: false,
      context,
    } as const;
    const batch = batchOf([{ name: 'BIGINT' }], [['1']]);
    await expect(standIn('w').transform(plan, batch)).rejects.toThrow(/stand-in does not know/);
  });
});
