import { describe, expect, it } from 'vitest';
import type { BytesColumn, ColumnBatch } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { bucketOf } from './bucket.ts';
import { castTextColumn, textAppender } from './cast/text-cast.ts';
import { createBuilder } from './column-builder.ts';
import { decodeBatch, encodeBatch } from './column-codec.ts';
import { concatBatches, sliceBatch, takeRows } from './column-rows.ts';
import { valueText } from './value-text.ts';

const VARCHAR: SqlType = { name: 'VARCHAR', length: 100 };

function texts(...values: (string | null)[]): BytesColumn {
  const builder = createBuilder(VARCHAR);
  for (const value of values) value === null ? builder.appendNull() : builder.appendText(value);
  return builder.finish() as BytesColumn;
}

function cast(text: string, type: SqlType, mode: 'reader' | 'cast' = 'reader'): string | null {
  return valueText(castTextColumn(texts(text), 1, type, mode), 0, type);
}

describe('dates (semantics.md 11.5)', () => {
  it.each([
    ['2024-02-29', '2024-02-29', '2024-02-29 00:00:00'],
    ['2023-02-29', null, null],
    ['2024/1/5', '2024-01-05', '2024-01-05 00:00:00'],
    ['20240131', '2024-01-31', '2024-01-31 00:00:00'],
    ['240131', '2024-01-31', '2024-01-31 00:00:00'],
    ['700101', '1970-01-01', '1970-01-01 00:00:00'],
    ['2024 01 31', '2024-01-31', '2024-01-31 00:00:00'],
    ['20240131123456', '2024-01-31', '2024-01-31 12:34:56'],
    ['20240131T123456', '2024-01-31', '2024-01-31 12:34:56'],
    ['2024-01-31T12:34:56Z', '2024-01-31', '2024-01-31 12:34:56'],
    ['2024-01-31 12:34:56.5', '2024-01-31', '2024-01-31 12:34:56.500000'],
    ['2024-01-31 12:34:56+08:00', '2024-01-31', '2024-01-31 12:34:56'],
    ['2024-01-31 12:34:56 UTC', '2024-01-31', '2024-01-31 12:34:56'],
    ['2024-01-31 12:34', '2024-01-31', '2024-01-31 12:34:00'],
    ['2024-01-31 12:34:56.1234567', '2024-01-31', '2024-01-31 12:34:56.123456'],
    ['99-12-31', '1999-12-31', '1999-12-31 00:00:00'],
    ['31/01/2024', null, null],
    ['2024-01-31 24:00:00', null, null],
    ['2024-01', null, null],
    ['0000-00-00', null, null],
    ['1700000000', null, null],
    ['', null, null],
    ['1900-01-01', '1900-01-01', '1900-01-01 00:00:00'],
    ['0001-01-01', '0001-01-01', '0001-01-01 00:00:00'],
  ] as const)('%s', (text, date, datetime) => {
    expect(cast(text, { name: 'DATE' })).toBe(date);
    expect(cast(text, { name: 'DATETIME' })).toBe(datetime);
  });
});

describe('numbers (semantics.md 11.6)', () => {
  const decimal: SqlType = { name: 'DECIMAL', precision: 5, scale: 2 };
  it.each([
    [' 7 ', '7', '7', '7', '7.00', '7', '1'],
    ['1.5', '1', '1', '1', '1.50', '1.5', '1'],
    ['-0.4', '0', '0', '0', '-0.40', '-0.4', '1'],
    ['1.455', '1', '1', '1', '1.46', '1.455', '1'],
    // Rounded on the whole text, which the reference truncates to 123.45.
    ['123.456', '123', '123', '123', '123.46', '123.456', '1'],
    ['1000', null, '1000', '1000', null, '1000', '1'],
    ['1e2', '100', '100', '100', '100.00', '100', '1'],
    ['true', null, null, null, null, null, '1'],
    ['inf', null, null, null, null, 'Infinity', null],
    ['', null, null, null, null, null, null],
    ['0x1F', null, null, null, null, null, null],
    ['12abc', null, null, null, null, null, null],
  ] as const)('%s', (text, tiny, int, big, dec, double, bool) => {
    expect(cast(text, { name: 'TINYINT' })).toBe(tiny);
    expect(cast(text, { name: 'INT' })).toBe(int);
    expect(cast(text, { name: 'BIGINT' })).toBe(big);
    expect(cast(text, decimal)).toBe(dec);
    expect(cast(text, { name: 'DOUBLE' })?.toLowerCase()).toBe(double?.toLowerCase());
    expect(cast(text, { name: 'BOOLEAN' })).toBe(bool);
  });

  it('keeps 64 and 128 bits exact', () => {
    expect(cast('-9223372036854775808', { name: 'BIGINT' })).toBe('-9223372036854775808');
    expect(cast('9223372036854775808', { name: 'BIGINT' })).toBeNull();
    const large = '-170141183460469231731687303715884105728';
    expect(cast(large, { name: 'LARGEINT' })).toBe(large);
    const wide: SqlType = { name: 'DECIMAL', precision: 38, scale: 2 };
    expect(cast('123456789012345678901234567890123456.78', wide)).toBe(
      '123456789012345678901234567890123456.78',
    );
  });

  it('CAST takes no fractions for integers, the reader does', () => {
    expect(cast('1.9', { name: 'INT' }, 'cast')).toBeNull();
    expect(cast('1.9', { name: 'INT' }, 'reader')).toBe('1');
  });
});

describe('what clients are shown', () => {
  it.each([
    ['1e20', '1e+20', '1e+20'],
    ['-12345678901234567890', '-1.2345679e+19', '-1.2345678901234567e+19'],
    ['1e15', '1000000000000000', '1000000000000000'],
    ['0.1', '0.1', '0.1'],
    ['16777217', '16777216', '16777217'],
    ['1e-45', '1e-45', '1e-45'],
    ['1e39', null, '1e+39'],
  ])('%s as FLOAT and DOUBLE', (text, float, double) => {
    expect(cast(text, { name: 'FLOAT' })).toBe(float);
    expect(cast(text, { name: 'DOUBLE' })).toBe(double);
  });
});

describe('text and JSON', () => {
  it('CAST leaves a long text to the sink, the reader does not take it', () => {
    const type: SqlType = { name: 'VARCHAR', length: 2 };
    expect(cast('abc', type, 'cast')).toBe('abc');
    expect(cast('abc', type, 'reader')).toBeNull();
  });

  it('strict mode takes no date with more behind it', () => {
    for (const text of ['2024-01-31abc', '2024-01-31 12:34:56+08:00', '2024-01-31 12:34:56 UTC']) {
      const append = textAppender({ name: 'DATETIME' }, true);
      expect(append(createBuilder({ name: 'DATETIME' }), Buffer.from(text), 0, text.length)).toBe(
        false,
      );
    }
  });

  it('counts bytes, not characters', () => {
    expect(cast('Antoine de Saint-Exupéry', { name: 'VARCHAR', length: 26 })).toBe(
      'Antoine de Saint-Exupéry',
    );
    expect(cast('Antoine de Saint-ExupÃ©ry', { name: 'VARCHAR', length: 26 })).toBeNull();
  });

  it.each([
    ['{"b":1,"a":[1,  {"z":true}]}', '{"a": [1, {"z": true}], "b": 1}'],
    ['12345678901234567890123', '12345678901234567890123'],
    ['{"a":1} x', null],
    ['{a:1}', null],
    ['[1,]', null],
    ['['.repeat(1000), null],
  ])('%s', (text, shown) => {
    expect(cast(text, { name: 'JSON' })).toBe(shown);
  });
});

const types: SqlType[] = [
  { name: 'BOOLEAN' },
  { name: 'SMALLINT' },
  { name: 'INT' },
  { name: 'BIGINT' },
  { name: 'LARGEINT' },
  { name: 'FLOAT' },
  { name: 'DOUBLE' },
  { name: 'DATETIME' },
  VARCHAR,
];

function sample(rows: number): ColumnBatch {
  return {
    rows,
    columns: types.map((type) => {
      const values = Array.from({ length: rows }, (_, row) =>
        row % 3 === 2
          ? null
          : type.name === 'DATETIME'
            ? `2024-01-0${1 + (row % 9)} 01:02:03`
            : String(row % 2),
      );
      return castTextColumn(texts(...values), rows, type, 'reader');
    }),
  };
}

const show = (batch: ColumnBatch) =>
  Array.from({ length: batch.rows }, (_, row) =>
    batch.columns.map((column, i) => valueText(column, row, types[i] as SqlType)),
  );

describe('column batches', () => {
  it.each([0, 1, 7, 100])('%d rows come back from their encoding', (rows) => {
    expect(show(decodeBatch(encodeBatch(sample(rows))))).toEqual(show(sample(rows)));
  });

  it('every flipped bit and every cut is an error', () => {
    const bytes = encodeBatch(sample(5));
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(() => decodeBatch(changed)).toThrow();
      expect(() => decodeBatch(bytes.slice(0, at))).toThrow();
    }
  });

  it('joins, cuts and gathers', () => {
    const all = show(sample(9));
    const joined = concatBatches([sliceBatch(sample(9), 0, 4), sliceBatch(sample(9), 4, 9)]);
    expect(show(joined)).toEqual(all);
    expect(show(takeRows(sample(9), Uint32Array.of(8, 0, 0)))).toEqual([all[8], all[0], all[0]]);
  });

  it.each([0, 1, 63, 64, 100])('keeps every value while it grows from %d rows', (capacity) => {
    const expected = Array.from({ length: 300 }, (_, row) => String(1 + (row % 90)));
    for (const type of types.filter(({ name }) => !['BOOLEAN', 'DATETIME'].includes(name))) {
      const builder = createBuilder(type, capacity);
      const append = textAppender(type, false);
      for (const text of expected) append(builder, Buffer.from(text), 0, text.length);
      const column = builder.finish();
      expect(expected.map((_, row) => valueText(column, row, type))).toEqual(expected);
    }
  });

  it('takes back what was appended', () => {
    const builder = createBuilder(VARCHAR);
    builder.appendText('a');
    builder.appendNull();
    builder.appendText('b');
    builder.truncate(1);
    builder.appendText('c');
    expect(builder.finish()).toMatchObject({ valid: null, offsets: Uint32Array.of(0, 1, 2) });
  });
});

describe('buckets (semantics.md 11.7)', () => {
  const whole = 2 ** 32;
  const int: SqlType = { name: 'INT' };
  const one = { column: castTextColumn(texts('1'), 1, int, 'cast'), type: int };
  const abc = { column: texts('abc'), type: VARCHAR };

  it.each([
    { name: 'INT 1', columns: [one], crc: 0x99f8b879 },
    { name: "VARCHAR 'abc'", columns: [abc], crc: 0x352441c2 },
    { name: 'NULL', columns: [{ column: texts(null), type: VARCHAR }], crc: 0x2144df1c },
  ])('$name', ({ columns, crc }) => {
    expect(bucketOf(columns, 1, whole)[0]).toBe(crc % whole);
  });

  it('two columns are one text behind the other', () => {
    const joined = { column: texts('foobar'), type: VARCHAR };
    const parts = [texts('foo'), texts('bar')].map((column) => ({ column, type: VARCHAR }));
    expect(bucketOf(parts, 1, 1_000)).toEqual(bucketOf([joined], 1, 1_000));
  });

  it('a DATE is hashed as its text', () => {
    const type: SqlType = { name: 'DATE' };
    const date = { column: castTextColumn(texts('2024-01-31'), 1, type, 'cast'), type };
    const text = { column: texts('2024-01-31'), type: VARCHAR };
    expect(bucketOf([date], 1, 1_000)).toEqual(bucketOf([text], 1, 1_000));
  });
});
