/** Random inputs from fixed seeds: fast ways against exact ones, and ours against others' implementations. */
import { crc32 } from 'node:zlib';
import Papa from 'papaparse';
import { describe, expect, it } from 'vitest';
import type { BytesColumn } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { bucketOf } from './bucket.ts';
import { daysOf, parseDatetime } from './cast/date.ts';
import { readMoment } from './cast/date-bytes.ts';
import { NumberTexts } from './cast/number-texts.ts';
import { castTextColumn } from './cast/text-cast.ts';
import { createBuilder } from './column-builder.ts';
import { takeColumn, takeRows } from './column-rows.ts';
import { decodeCsv } from './csv.ts';
import type { CsvFormat, DecodedBatch, DecodePlan, SourceField } from './decode.types.ts';
import { decodeJson } from './json.ts';
import { messages } from './messages.fixture.ts';
import { valueText } from './value-text.ts';

/** mulberry32 */
function chance(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { below, pick: <T>(from: readonly T[]): T => from[below(from.length)] as T };
}

type Chance = ReturnType<typeof chance>;

const textsAlone = ({ kind, valid, offsets, data }: BytesColumn): BytesColumn => ({
  kind,
  valid,
  offsets,
  data,
});

/** Without what a reader has seen on its way: rows, rejects and counts are what must be the same. */
function unseen(decoded: DecodedBatch): DecodedBatch {
  const columns = decoded.batch.columns.map((column) => {
    return column.kind === 'bytes' ? textsAlone(column) : column;
  });
  return { ...decoded, batch: { ...decoded.batch, columns } };
}
const CSV: CsvFormat = {
  kind: 'csv',
  columnSeparator: ',',
  rowDelimiter: '\n',
  trimSpace: false,
};
const TEXT: SqlType = { name: 'VARCHAR', length: 12 };
const TYPES: readonly SqlType[] = [
  { name: 'BOOLEAN' },
  { name: 'TINYINT' },
  { name: 'INT' },
  { name: 'BIGINT' },
  { name: 'LARGEINT' },
  { name: 'FLOAT' },
  { name: 'DOUBLE' },
  { name: 'DECIMAL', precision: 9, scale: 2 },
  { name: 'DECIMAL', precision: 30, scale: 3 },
  TEXT,
  { name: 'DATE' },
  { name: 'DATETIME' },
  { name: 'JSON' },
];

const fieldOf = (random: Chance, name: string): SourceField => ({
  name,
  type: random.pick(TYPES),
  nullable: true,
  calculated: random.below(2) === 0,
});

const VALUES = [
  ...['1', '-0', '0.5', '01', '1.', '-', '1e3', '1e400', '128', '99999999999999999999', '2.345'],
  ...['"x"', '""', '"12"', '" 7 "', '"é😀"', '"a\\nb"', '"\\ud800"', '"\\x"', '"0123456789abcd"'],
  ...['"2024-01-31"', '"2024-01-31 12:34:56.5"', '"2023-02-29"', '"2024-01-31abc"', '20240131'],
  ...['true', 'false', 'null', 'tru', 'nul', '{}', '[1, 2]', '{"b":1,"a":[]}', '[', '', '"x'],
];

function randomJson(random: Chance, keys: readonly string[]): Buffer {
  const blank = () => random.pick(['', '', '', ' ', '\n\t']);
  const members = Array.from({ length: random.below(6) }, () => {
    const key = random.pick([...keys, ...keys, 'other', '\\u0061', '__proto__', '']);
    // Mostly sound values, so that most rows load.
    const value =
      random.below(4) > 0 ? random.pick(['1', '"7"', 'null', '3.5']) : random.pick(VALUES);
    return `${blank()}"${key}"${blank()}:${blank()}${value}${blank()}`;
  });
  const bytes = Buffer.from(
    `${blank()}{${members.join(',')}}${random.pick(['', '', ' ', ',', 'x', '{}'])}`,
  );
  if (random.below(5) > 0) return bytes;
  bytes[random.below(bytes.length)] = random.pick([0, 34, 44, 58, 92, 123, 125, 0x80, 0xff]);
  return bytes;
}

describe('JSON: the fast way and the exact one', () => {
  it.each([
    { name: 'by name', paths: false, strict: false },
    { name: 'by name, strict', paths: false, strict: true },
    { name: 'by paths', paths: true, strict: false },
    { name: 'by paths, strict', paths: true, strict: true },
  ])('give the same, $name', ({ paths, strict }) => {
    const random = chance(strict ? 11 : 12);
    let loaded = 0;
    let rejected = 0;
    for (let round = 0; round < 60; round++) {
      const keys = ['a', 'b', 'key', 'é'].slice(0, 1 + random.below(4));
      const plan: DecodePlan = {
        format: {
          kind: 'json',
          stripOuterArray: false,
          ...(paths ? { jsonpaths: keys.map((key) => `$.${key}`) } : {}),
        },
        fields: keys.map((name) => fieldOf(random, name)),
        strict,
      };
      const batch = messages(...Array.from({ length: 50 }, () => randomJson(random, keys)));
      const fast = decodeJson(plan, batch);
      expect(unseen(fast)).toEqual(decodeJson(plan, batch, 'exact'));
      loaded += fast.batch.rows;
      rejected += fast.rejected;
    }
    // Else nothing was held against anything.
    expect(loaded).toBeGreaterThan(500);
    expect(rejected).toBeGreaterThan(500);
  });
});

/** Messages of one producer: the same bytes between the values, other values, now and then something else. */
function steadyJson(random: Chance, keys: readonly string[]): () => Buffer {
  const [before, behind] = [random.pick(['', ' ', '\n\t']), random.pick(['', ' '])];
  const order = [...keys, 'other'].filter(() => random.below(6) > 0);
  if (random.below(4) === 0) order.push('a');
  return () => {
    const names = random.below(12) === 0 ? order.slice(1) : order;
    const members = names.map((key) => {
      const value =
        random.below(6) > 0
          ? random.pick(['1', '-20', '"7"', 'null', '3.5', '"0123456"', '"2024-01-31"', '"äbc"'])
          : random.pick(VALUES);
      return `${before}"${key}":${behind}${value}`;
    });
    const bytes = Buffer.from(`{${members.join(`${behind},`)}}${behind}`);
    if (random.below(8) > 0) return bytes;
    bytes[random.below(bytes.length)] = random.pick([0, 34, 44, 58, 92, 123, 125, 0x80, 0xff, 49]);
    return bytes;
  };
}

it.each([
  { name: 'strict', strict: true },
  { name: 'not strict', strict: false },
])('JSON: the same, where messages have one layout, $name', ({ strict }) => {
  const random = chance(strict ? 13 : 14);
  let loaded = 0;
  for (let round = 0; round < 80; round++) {
    const keys = ['a', 'b', 'key', 'é', 'long enough'].slice(0, 1 + random.below(5));
    const plan: DecodePlan = {
      format: { kind: 'json', stripOuterArray: false },
      fields: keys.map((name) => fieldOf(random, name)),
      strict,
    };
    const next = steadyJson(random, keys);
    const batch = messages(...Array.from({ length: 60 }, next));
    const fast = decodeJson(plan, batch);
    expect(unseen(fast)).toEqual(decodeJson(plan, batch, 'exact'));
    loaded += fast.batch.rows;
  }
  expect(loaded).toBeGreaterThan(1_000);
});

describe('texts that are read as numbers once', () => {
  const odd = [
    ...VALUES,
    ' 5',
    '5 ',
    '+7',
    '-0',
    '-0.0',
    '0.1e1',
    'inf',
    'nan',
    '1_0',
    '0x1F',
    '1.',
    '.5',
  ];
  const numeric = ['TINYINT', 'SMALLINT', 'INT', 'BIGINT', 'FLOAT', 'DOUBLE'] as const;
  const text: SqlType = { name: 'VARCHAR' };
  const generate = (random: Chance) => {
    const digits = (count: number) =>
      Array.from({ length: count }, () => String(random.below(10))).join('');
    const whole = random.pick(['', '-']) + digits(1 + random.below(18));
    const kinds = [whole, whole, `${whole}.${digits(1 + random.below(6))}`, random.pick(odd), null];
    return random.pick(kinds);
  };

  /** Every type from one reading, against a cast of its own for each. */
  const check = (column: BytesColumn, rows: number) => {
    const texts = new NumberTexts(column, rows);
    for (const name of numeric) {
      for (const mode of ['reader', 'cast'] as const) {
        const expected = castTextColumn(textsAlone(column), rows, { name }, mode);
        expect(texts.as({ name }, mode), `${name} ${mode}`).toEqual(expected);
      }
    }
  };

  it('are what a cast makes of them', () => {
    const random = chance(21);
    for (let round = 0; round < 30; round++) {
      const builder = createBuilder(text, 4);
      for (let row = 0; row < 200; row++) {
        const value = round < 3 ? String(row - 100) : generate(random);
        if (value === null) builder.appendNull();
        else builder.appendText(value);
      }
      check(builder.finish() as BytesColumn, 200);
    }
  });

  it.each([
    { name: 'JSON', format: { kind: 'json', stripOuterArray: false } as const, decode: decodeJson },
    { name: 'CSV', format: CSV, decode: decodeCsv },
  ])('are so too where the reader has seen them: $name', ({ format, decode }) => {
    const random = chance(22);
    const fields = ['a', 'b'].map((name) => ({
      name,
      type: text,
      nullable: true,
      calculated: true,
    }));
    const plan: DecodePlan = { format, fields, strict: false };
    const isJson = format.kind === 'json';
    let seen = 0;
    for (let round = 0; round < 30; round++) {
      const value = () => {
        const made = generate(random);
        if (made === null) return isJson ? 'null' : '\\N';
        return !isJson || random.below(3) > 0 ? made : JSON.stringify(made);
      };
      const values = Array.from({ length: 200 }, () =>
        isJson ? `{"a": ${value()}, "b": ${value()}}` : `${value()},${value()}`,
      );
      const decoded = decode(plan, messages(...values));
      const { batch } = decoded;
      const some = Uint32Array.from({ length: 50 }, () => random.below(batch.rows));
      for (const [i, column] of takeRows(batch, some).columns.entries()) {
        check(column as BytesColumn, some.length);
        const taken = takeColumn(textsAlone(batch.columns[i] as BytesColumn), some);
        expect(textsAlone(column as BytesColumn)).toEqual(taken);
      }
      for (const column of batch.columns as BytesColumn[]) {
        check(column, batch.rows);
        seen += column.numbers?.forms.reduce((sum, form) => sum + (form > 0 ? 1 : 0), 0) ?? 0;
      }
      expect(unseen(decoded)).toEqual(decode(plan, messages(...values), 'exact'));
    }
    // Else nothing was held against anything.
    expect(seen).toBeGreaterThan(1_000);
  });
});

it('JSON and CSV: numbers of the fast way are those of the exact one', () => {
  const random = chance(15);
  const types: readonly SqlType[] = [
    ...['INT', 'BIGINT', 'DOUBLE', 'FLOAT', 'LARGEINT'].map((name) => ({ name }) as SqlType),
    TEXT,
  ];
  const digits = (count: number) =>
    Array.from({ length: count }, () => String(random.below(10))).join('');
  const numbers = Array.from({ length: 3_000 }, () => {
    const whole = random.pick(['', '-']) + (digits(random.below(20)).replace(/^0+/, '') || '0');
    if (random.below(2) === 0) return whole;
    return `${whole}.${digits(1 + random.below(18))}${random.pick(['', '', 'e5', 'E-7', 'e308'])}`;
  });
  for (const type of types) {
    const fields = [{ name: 'a', type, nullable: true }];
    const json: DecodePlan = {
      format: { kind: 'json', stripOuterArray: false },
      fields,
      strict: false,
    };
    const objects = messages(...numbers.map((number) => `{"a":${number}}`));
    expect(unseen(decodeJson(json, objects))).toEqual(decodeJson(json, objects, 'exact'));
    if (type.name !== 'DOUBLE') continue;
    // Against JavaScript's own reading too, which no code of ours takes part in; what is too large is NULL.
    const read = numbers.map((number) => (number === '-0' ? 0 : Number(number)));
    const [column] = decodeJson(json, objects).batch.columns;
    const values = (column as { values: Float64Array }).values;
    expect([...values]).toEqual(read.map((value) => (Number.isFinite(value) ? value : 0)));
  }
});

describe('CSV', () => {
  const plan = (format: CsvFormat, count: number): DecodePlan => ({
    format,
    fields: Array.from({ length: count }, (_, i) => ({
      name: `c${i}`,
      type: { name: 'VARCHAR', length: 1000 },
      nullable: true,
    })),
    strict: false,
  });
  const rowsOf = (format: CsvFormat, count: number, text: string) => {
    const { batch, rejects } = decodeCsv(plan(format, count), messages(text));
    expect(rejects).toEqual([]);
    return Array.from({ length: batch.rows }, (_, row) =>
      batch.columns.map((column) => valueText(column, row, TEXT)),
    );
  };
  const pieces = ['a', 'é', '"', ',', '\n', ' ', '\\', '\r', 'xyz', ''];
  const field = (random: Chance, from: readonly string[]) =>
    Array.from({ length: random.below(6) }, () => random.pick(from)).join('');

  it('enclosed rows as papaparse writes and reads them', () => {
    const random = chance(21);
    for (let round = 0; round < 200; round++) {
      const rows = Array.from({ length: 1 + random.below(5) }, () =>
        Array.from({ length: 3 }, () => field(random, pieces)),
      );
      const text = Papa.unparse(rows, { newline: '\n', quotes: random.below(2) === 0 });
      const theirs = Papa.parse(text, { delimiter: ',', newline: '\n', quoteChar: '"' }).data;
      const ours = rowsOf({ ...CSV, enclose: '"' }, 3, text);
      expect(ours).toEqual(rows);
      expect(ours).toEqual(theirs);
    }
  });

  it.each([
    { name: 'comma', columnSeparator: ',', rowDelimiter: '\n' },
    { name: 'tab and zero byte', columnSeparator: '\t', rowDelimiter: '\0' },
    { name: 'a letter, which words may hold', columnSeparator: 'x', rowDelimiter: 'e' },
    { name: 'a digit, which is for the exact way', columnSeparator: '1', rowDelimiter: '\n' },
  ])('the fast way and the exact one give the same: $name', ({ columnSeparator, rowDelimiter }) => {
    const random = chance(23);
    const values = [
      ...[
        '1',
        '-0',
        '007',
        '0.5',
        '1.',
        '-',
        '+3',
        '1e3',
        ' 7 ',
        '128',
        '99999999999',
        '2.345',
        '',
      ],
      ...['2024-01-31', '2024-01-31 12:34:56.5', '2023-02-29', '2024-01-31abc', '\\N', 'true'],
      ...['abc', 'äbcdef', '0123456789ab', '0123456789abc', '"a"', '\r', '\\', 'a\nb', '\ufeffx'],
    ];
    let loaded = 0;
    let rejected = 0;
    for (let round = 0; round < 80; round++) {
      const count = 1 + random.below(4);
      const fields = Array.from({ length: count }, (_, i) => {
        const field = fieldOf(random, `c${i}`);
        return random.below(8) === 0 ? { name: field.name, nullable: true } : field;
      });
      const format: CsvFormat = { ...CSV, columnSeparator, rowDelimiter };
      const given: DecodePlan = { format, fields, strict: random.below(2) === 0 };
      const rows = Array.from({ length: 50 }, () => {
        const length = random.below(10) === 0 ? random.below(6) : count;
        const row = Array.from({ length }, () =>
          random.below(3) > 0 ? random.pick(['1', '42', '7']) : random.pick(values),
        );
        const bytes = Buffer.from(
          row.join(columnSeparator) + random.pick(['', '', '', '', rowDelimiter]),
        );
        if (bytes.length > 0 && random.below(10) === 0) {
          bytes[random.below(bytes.length)] = random.pick([0, 10, 44, 0x80, 0xff]);
        }
        return bytes;
      });
      const batch = messages(...rows);
      const fast = decodeCsv(given, batch);
      expect(unseen(fast)).toEqual(decodeCsv(given, batch, 'exact'));
      loaded += fast.batch.rows;
      rejected += fast.rejected;
    }
    expect(loaded).toBeGreaterThan(500);
    expect(rejected).toBeGreaterThan(100);
  });

  it.each([
    [',', '\n'],
    ['||', '\r\n'],
    ['é', '#-#'],
  ])('plain rows as a split by %j and %j', (columnSeparator, rowDelimiter) => {
    const random = chance(22);
    const plain = pieces.filter((one) => ![',', '\n', '\r', 'é'].includes(one));
    for (let round = 0; round < 100; round++) {
      const text = Array.from({ length: 1 + random.below(5) }, () =>
        Array.from({ length: 3 }, () => field(random, plain)).join(columnSeparator),
      ).join(rowDelimiter);
      const expected = text.split(rowDelimiter).map((row) => row.split(columnSeparator));
      expect(rowsOf({ ...CSV, columnSeparator, rowDelimiter }, 3, text)).toEqual(expected);
    }
  });
});

describe('dates', () => {
  it('the fast way counts days as the calendar does', () => {
    const moment = { days: 0, seconds: 0, micros: 0 };
    let compared = 0;
    for (let year = 0; year <= 9999; year += 7) {
      for (const [month, day] of [
        [1, 1],
        [2, 28],
        [2, 29],
        [3, 1],
        [12, 31],
      ] as const) {
        const two = (value: number) => String(value).padStart(2, '0');
        const text = Buffer.from(`${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`);
        if (!readMoment(text, 0, text.length, moment)) continue;
        expect(moment.days).toBe(daysOf(year, month, day));
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(5_000);
  });

  it('what the fast way takes, the general one reads alike', () => {
    const random = chance(31);
    const moment = { days: 0, seconds: 0, micros: 0 };
    let taken = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(
        '2024-02-28 23:59:58.123456'.slice(0, random.pick([10, 19, 21, 24, 26])),
      );
      for (let i = random.below(3); i > 0; i--) {
        bytes[random.below(bytes.length)] = random.pick([...Buffer.from('0123459-T: Z')]);
      }
      if (!readMoment(bytes, 0, bytes.length, moment)) continue;
      taken += 1;
      const micros =
        BigInt(moment.days * 86_400 + moment.seconds) * 1_000_000n + BigInt(moment.micros);
      expect(parseDatetime(bytes.toString(), true)).toBe(micros);
    }
    expect(taken).toBeGreaterThan(5_000);
  });
});

it('buckets as zlib counts them, over all types', () => {
  const little = (value: bigint, width: number) => {
    const bytes = Buffer.alloc(width);
    for (let i = 0; i < width; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return bytes;
  };
  const cases: readonly (readonly [SqlType, string | null, Buffer])[] = [
    [{ name: 'BOOLEAN' }, '1', little(1n, 1)],
    [{ name: 'TINYINT' }, '-3', little(-3n, 1)],
    [{ name: 'SMALLINT' }, '-300', little(-300n, 2)],
    [{ name: 'INT' }, '1', little(1n, 4)],
    [{ name: 'BIGINT' }, '-9223372036854775808', little(-(2n ** 63n), 8)],
    [{ name: 'LARGEINT' }, '-12345678901234567890123', little(-12345678901234567890123n, 16)],
    [{ name: 'DECIMAL', precision: 9, scale: 2 }, '-1.25', little(-125n, 4)],
    [{ name: 'DECIMAL', precision: 18, scale: 2 }, '-1.25', little(-125n, 8)],
    [{ name: 'DECIMAL', precision: 38, scale: 2 }, '-1.25', little(-125n, 16)],
    [TEXT, 'abc', Buffer.from('abc')],
    [TEXT, '', Buffer.alloc(0)],
    [{ name: 'DATE' }, '2024-01-31', Buffer.from('2024-01-31')],
    [{ name: 'DATETIME' }, '2024-01-31 12:34:56', Buffer.from('2024-01-31 12:34:56')],
    [{ name: 'DATETIME' }, '2024-01-31 00:00:00.5', Buffer.from('2024-01-31 00:00:00.500000')],
    [{ name: 'INT' }, null, Buffer.alloc(4)],
    [TEXT, null, Buffer.alloc(4)],
  ];
  const columns = cases.map(([type, text]) => {
    const builder = createBuilder({ name: 'VARCHAR', length: 100 });
    text === null ? builder.appendNull() : builder.appendText(text);
    const texts = builder.finish();
    if (texts.kind !== 'bytes') throw new Error('texts are bytes');
    return { column: castTextColumn(texts, 1, type, 'reader'), type };
  });
  for (const [i, column] of columns.entries()) {
    const bytes = cases[i]?.[2] ?? Buffer.alloc(0);
    expect(bucketOf([column], 1, 997)[0]).toBe(crc32(bytes) % 997);
  }
  const all = crc32(Buffer.concat(cases.map(([, , bytes]) => bytes)));
  expect(bucketOf(columns, 1, 997)[0]).toBe(all % 997);
});
