import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../base/sql-type.ts';
import type { ColumnDef } from '../base/table-schema.ts';
import { parseExpr } from '../sql/parser.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, rowsOf, schemaOf, type Text } from './engine.fixture.ts';
import type { ColumnSource, TransformPlan } from './engine.types.ts';
import { localText } from './local-time.ts';

const dir = await mkdtemp(join(tmpdir(), 'transform-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const TEXT: SqlType = { name: 'VARCHAR', length: 65_533 };
const INT: SqlType = { name: 'INT' };
const context = { timezone: '+08:00', nowMs: Date.UTC(2024, 1, 29, 20, 0, 0), seed: 'seed' };

interface Case {
  readonly fields: Readonly<Record<string, SqlType>>;
  readonly columns: readonly (Pick<ColumnDef, 'name' | 'type'> & Partial<ColumnDef>)[];
  /** A field's name, an expression after `=`, or a source of another kind. */
  readonly sources: readonly (string | ColumnSource)[];
  readonly where?: string;
  readonly strict?: boolean;
}

function planOf(one: Case): TransformPlan {
  const fields = Object.entries(one.fields).map(([name, type]) => ({ name, type }));
  return {
    fields,
    schema: schemaOf(one.columns),
    sources: one.sources.map((source): ColumnSource => {
      if (typeof source !== 'string') return source;
      if (source.startsWith('=')) return { kind: 'expr', expr: parseExpr(source.slice(1)) };
      return { kind: 'field', field: fields.findIndex(({ name }) => name === source) };
    }),
    ...(one.where === undefined ? {} : { where: parseExpr(one.where) }),
    strict: one.strict ?? false,
    context,
  };
}

async function transform(one: Case, rows: readonly Text[][]) {
  const plan = planOf(one);
  const input = batchOf(Object.values(one.fields), rows);
  const output = await engine.transform(plan, input);
  const types = one.columns.map(({ type }) => type);
  const from = [...(output.inputRow ?? rows.keys())];
  return { ...output, input, rows: rowsOf(output.batch, types), from };
}

describe('from_unixtime into a DATETIME, in zones with and without changes', () => {
  const seconds = [
    0, 1, 524_000_000, 684_867_599, 684_867_600, 686_377_799, 686_377_800, 1_700_000_000,
  ];

  it.each(['Asia/Shanghai', 'America/New_York', 'Asia/Kolkata', 'UTC', '-03:30'])(
    '%s',
    async (timezone) => {
      const one: Case = {
        fields: { f: TEXT },
        columns: [{ name: 'x', type: { name: 'DATETIME' } }],
        sources: ['=from_unixtime(f)'],
      };
      const rows = [...seconds.map(String), '-1', '253402243200', 'x', null];
      const input = batchOf(
        [TEXT],
        rows.map((row) => [row]),
      );
      const output = await engine.transform(
        { ...planOf(one), context: { ...context, timezone } },
        input,
      );
      const expected = seconds.map((at) => localText(timezone, at * 1000));
      const texts = rowsOf(output.batch, [{ name: 'DATETIME' }]).map(([text]) => text);
      expect(texts).toEqual([...expected, null, null, null, null]);
    },
  );
});

describe('columns', () => {
  it('fields without an expression pass as they came, uncopied', async () => {
    const one: Case = {
      fields: { a: INT, b: TEXT },
      columns: [
        { name: 'x', type: TEXT },
        { name: 'y', type: INT },
      ],
      sources: ['b', 'a'],
    };
    const { batch, input, rejected, unselected } = await transform(one, [['1', 'one']]);
    expect(batch.columns[0]).toBe(input.columns[1]);
    expect(batch.columns[1]).toBe(input.columns[0]);
    expect([rejected, unselected]).toEqual([0, 0]);
  });

  it('defaults, NULLs and the time of the job’s zone', async () => {
    const one: Case = {
      fields: { a: INT },
      columns: [
        { name: 'a', type: INT },
        { name: 'b', type: { name: 'DECIMAL', precision: 5, scale: 2 } },
        { name: 'c', type: TEXT },
        { name: 'd', type: { name: 'DATETIME' } },
        { name: 'e', type: { name: 'DATE' } },
      ],
      sources: [
        'a',
        { kind: 'literal', text: '1.5' },
        { kind: 'null' },
        { kind: 'now' },
        { kind: 'now' },
      ],
    };
    const made = await transform(one, [['1'], ['2']]);
    const rest = ['1.50', null, '2024-03-01 04:00:00', '2024-03-01'];
    expect(made.rows).toEqual([
      ['1', ...rest],
      ['2', ...rest],
    ]);
  });

  it.each([
    { name: 'arithmetic of a text', expr: 'f * 2', type: INT, in: '21', out: '42' },
    { name: 'a text that is no number', expr: 'f * 2', type: INT, in: 'x', out: null },
    {
      name: 'a text result becomes the column’s type',
      expr: "concat(f, '5')",
      type: INT,
      in: '1',
      out: '15',
    },
    { name: 'by CAST: 1.9 is no INT', expr: "concat(f, '.9')", type: INT, in: '1', out: null },
    ...[
      { text: '1196440219', type: 'DATETIME', out: '2007-12-01 00:30:19' },
      { text: '1196440219', type: 'DATE', out: '2007-12-01' },
      { text: ' 1196440219 ', type: 'DATE', out: '2007-12-01' },
      { text: '-1', type: 'DATETIME', out: null },
      { text: '253402243200', type: 'DATETIME', out: null },
      { text: '1.5', type: 'DATETIME', out: null },
      { text: 'x', type: 'DATE', out: null },
    ].map(({ text, type, out }) => {
      const name = `a moment of "${text}" as ${type}, by no parser of texts`;
      return { name, expr: 'from_unixtime(f)', type: { name: type } as SqlType, in: text, out };
    }),
    {
      name: 'a date from digits',
      expr: "concat('2024', f)",
      type: { name: 'DATE' } as SqlType,
      in: '0131',
      out: '2024-01-31',
    },
    {
      name: 'overflow',
      expr: 'f * 1000',
      type: { name: 'TINYINT' } as SqlType,
      in: '5',
      out: null,
    },
    {
      name: 'what fails for a row',
      expr: "date_trunc(f, '2024-01-01')",
      type: TEXT,
      in: 'no unit',
      out: null,
    },
    { name: 'a constant', expr: "'x'", type: TEXT, in: null, out: 'x' },
    {
      name: 'now()',
      expr: 'now()',
      type: { name: 'DATETIME' } as SqlType,
      in: null,
      out: '2024-03-01 04:00:00',
    },
    {
      name: 'JSON',
      expr: 'parse_json(f)',
      type: { name: 'JSON' } as SqlType,
      in: '{"b":1,"a":2}',
      out: '{"a": 2, "b": 1}',
    },
  ])('$name: $expr', async ({ expr, type, in: value, out }) => {
    const one: Case = {
      fields: { f: TEXT },
      columns: [{ name: 'c', type }],
      sources: [`=${expr}`],
    };
    expect((await transform(one, [[value]])).rows).toEqual([[out]]);
  });

  it('a row for which an expression fails leaves the others as they are', async () => {
    const one: Case = {
      fields: { f: TEXT },
      columns: [{ name: 'c', type: { name: 'DATE' } }],
      sources: ["=date_trunc(f, '2024-05-17')"],
    };
    const made = await transform(one, [['month'], ['no unit'], ['year'], [null]]);
    expect(made.rows.flat()).toEqual(['2024-05-01', null, '2024-01-01', null]);
  });

  it('E1: uuid() is another value in each row, and the same again for the same seed', async () => {
    const one: Case = {
      fields: { f: INT },
      columns: [{ name: 'u', type: TEXT }],
      sources: ['=uuid()'],
    };
    const input = Array.from({ length: 5_000 }, () => ['1']);
    const { rows } = await transform(one, input);
    expect(new Set(rows.flat()).size).toBe(5_000);
    expect(rows[0]?.[0]).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const again = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
    const first = await again.transform(planOf(one), batchOf([INT], input));
    const other = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
    const second = await other.transform(planOf(one), batchOf([INT], input));
    expect(rowsOf(first.batch, [TEXT])).toEqual(rowsOf(second.batch, [TEXT]));
    await Promise.all([again.close(), other.close()]);
  });

  it('batches of any size, in order, with one plan and side by side', async () => {
    const one: Case = {
      fields: { f: TEXT },
      columns: [{ name: 'c', type: { name: 'BIGINT' } }],
      sources: ['=f + 1'],
      where: 'c % 3 <> 0',
    };
    const plan = planOf(one);
    const sizes = [1, 2_047, 2_048, 2_049, 10_000, 0, 3];
    const outputs = await Promise.all(
      sizes.map((size) =>
        engine.transform(
          plan,
          batchOf(
            [TEXT],
            Array.from({ length: size }, (_, i) => [String(i)]),
          ),
        ),
      ),
    );
    outputs.forEach((output, i) => {
      const all = Array.from({ length: sizes[i]! }, (_, row) => row).filter(
        (row) => (row + 1) % 3 !== 0,
      );
      expect([...(output.inputRow ?? all)]).toEqual(all);
      expect(rowsOf(output.batch, [{ name: 'BIGINT' }]).flat()).toEqual(
        all.map((row) => String(row + 1)),
      );
      expect(output.unselected).toBe(sizes[i]! - all.length);
    });
  });
});

describe('WHERE', () => {
  const one: Case = {
    fields: { a: TEXT, b: INT },
    columns: [
      { name: 'a', type: INT },
      { name: 'x', type: { name: 'BIGINT' } },
    ],
    sources: ['=a', '=b * 10'],
  };
  const rows = [
    ['1', '1'],
    ['2', null],
    ['x', '3'],
    ['4', '4'],
  ];
  it.each([
    { where: 'x > 10', from: [2, 3] },
    { where: 'a > 1', from: [1, 3] },
    { where: 'b is null', from: [1] },
    { where: 'A is null or X = 40', from: [2, 3] },
    { where: 'true', from: [0, 1, 2, 3] },
    { where: '0', from: [] },
    { where: "x = '30'", from: [2] },
    { where: 'NULL', from: [] },
  ])('names table columns first, then fields: $where', async ({ where, from }) => {
    const made = await transform({ ...one, where }, rows);
    expect(made.from).toEqual(from);
    expect(made.unselected).toBe(4 - from.length);
  });

  it('an unknown name', async () => {
    await expect(transform({ ...one, where: 'nothing = 1' }, rows)).rejects.toMatchObject({
      errno: 1054,
    });
  });
});

describe('the sink', () => {
  it.each([
    {
      name: 'NULL in a column that takes none',
      column: { name: 'c', type: INT, nullable: false },
      value: null,
      reason: "NULL value in non-nullable column 'c'",
    },
    {
      name: 'a text that is too long, in bytes',
      column: { name: 'c', type: { name: 'VARCHAR', length: 5 } as SqlType },
      value: 'äää',
      reason: "String 'äää...'(length=6) is too long. The max length of 'c' is 5",
    },
  ])('$name', async ({ column, value, reason }) => {
    const type = column.type.name === 'VARCHAR' ? TEXT : column.type;
    const one: Case = { fields: { c: type }, columns: [column], sources: ['c'] };
    const good = type === TEXT ? 'ok' : '1';
    const made = await transform(one, [[good], [value], [good]]);
    expect(made.from).toEqual([0, 2]);
    expect(made).toMatchObject({ rejected: 1, rejects: [{ row: 1, column: 'c', reason }] });
  });

  it.each([
    { precision: 9, wider: 18 },
    { precision: 20, wider: 38 },
  ])('a DECIMAL of $precision digits that has more', async ({ precision, wider }) => {
    const of = (digits: number): SqlType => ({ name: 'DECIMAL', precision: digits, scale: 0 });
    const edge = '9'.repeat(precision);
    const over = `1${'0'.repeat(precision)}`;
    const one: Case = {
      fields: { c: of(wider) },
      columns: [{ name: 'c', type: of(precision) }],
      sources: ['c'],
    };
    const made = await transform(one, [[edge], [over], [`-${edge}`], [`-${over}`], [null]]);
    expect(made.from).toEqual([0, 2, 4]);
    expect(made.rejects[0]?.reason).toContain(`Decimal '${over}' is out of range.`);
  });

  it('keeps at most fifty texts, and counts all', async () => {
    const one: Case = {
      fields: { c: INT },
      columns: [{ name: 'c', type: INT, nullable: false }],
      sources: ['c'],
    };
    const made = await transform(
      one,
      Array.from({ length: 80 }, (_, i) => [i === 7 ? '1' : null]),
    );
    expect([made.rejected, made.rejects.length, made.from]).toEqual([79, 50, [7]]);
  });
});

describe('strict mode of fields that expressions use as well', () => {
  const one: Case = {
    fields: { a: TEXT, b: TEXT },
    columns: [
      { name: 'a', type: INT },
      { name: 'b', type: { name: 'DATE' } },
      { name: 'c', type: TEXT },
    ],
    sources: ['a', 'b', "=concat(a, '/', b)"],
    where: "c <> '9/2024-01-09'",
  };
  const rows = [
    ['1', '2024-01-01'],
    ['x', 'y'],
    ['1.9', null],
    ['9', '2024-01-09'],
    ['4', 'z'],
  ];

  it('on: such a row is filtered once, before WHERE', async () => {
    const made = await transform({ ...one, strict: true }, rows);
    expect(made.rows).toEqual([['1', '2024-01-01', '1/2024-01-01']]);
    expect(made.from).toEqual([0]);
    // The third has c NULL, which WHERE does not choose.
    expect(made).toMatchObject({ rejected: 2, unselected: 2, coerced: 0 });
    expect(made.rejects).toEqual([
      {
        row: 1,
        column: 'a',
        reason: "Value 'x' is out of range. The type of 'a' is INT",
        rowText: '[x, y]',
      },
      {
        row: 4,
        column: 'b',
        reason: "Value 'z' is out of range. The type of 'b' is DATE",
        rowText: '[4, z]',
      },
    ]);
  });

  it('off: the values are NULL, and counted', async () => {
    const made = await transform(one, rows);
    expect(made.rows).toEqual([
      ['1', '2024-01-01', '1/2024-01-01'],
      [null, null, 'x/y'],
      ['4', null, '4/z'],
    ]);
    expect(made).toMatchObject({ rejected: 0, unselected: 2, coerced: 3 });
  });
});
