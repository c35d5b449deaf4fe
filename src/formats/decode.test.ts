import { describe, expect, it } from 'vitest';
import type { SqlType } from '../base/sql-type.ts';
import { decodeCsv } from './csv.ts';
import type { CsvFormat, DecodePlan, JsonFormat } from './decode.types.ts';
import { resolveByte, resolveDelimiter } from './delimiter.ts';
import { checkJsonPaths, decodeJson } from './json.ts';
import { messages } from './messages.fixture.ts';
import { valueText } from './value-text.ts';

const VARCHAR: SqlType = { name: 'VARCHAR', length: 26 };
const csv: CsvFormat = { kind: 'csv', columnSeparator: ',', rowDelimiter: '\n', trimSpace: false };
const json: JsonFormat = { kind: 'json', stripOuterArray: false };

function plan(
  format: CsvFormat | JsonFormat,
  fields: readonly (readonly [string, SqlType | undefined])[],
  strict = false,
): DecodePlan {
  return {
    format,
    strict,
    fields: fields.map(([name, type]) => ({
      name,
      nullable: true,
      ...(type === undefined ? {} : { type }),
    })),
  };
}

function run(p: DecodePlan, ...values: (string | Uint8Array | null)[]) {
  const decode = p.format.kind === 'csv' ? decodeCsv : decodeJson;
  const decoded = decode(p, messages(...values));
  const types = p.fields.flatMap(({ type }) => (type === undefined ? [] : [type]));
  const rows = Array.from({ length: decoded.batch.rows }, (_, row) =>
    decoded.batch.columns.map((column, i) => valueText(column, row, types[i] as SqlType)),
  );
  return { ...decoded, rows };
}

const two = [
  ['a', VARCHAR],
  ['b', VARCHAR],
] as const;

describe('CSV', () => {
  it('without enclose a quote is data, and the next message is not touched (Q11)', () => {
    const { rows, rejected } = run(plan(csv, two), 'Anna Karenina",Russia', 'Tess,US', '"x,y"');
    expect(rows).toEqual([
      ['Anna Karenina"', 'Russia'],
      ['Tess', 'US'],
      ['"x', 'y"'],
    ]);
    expect(rejected).toBe(0);
  });

  it.each([
    { name: 'NULL and empty', text: '\\N,', rows: [[null, '']] },
    {
      name: 'several rows in a message, empty ones read over',
      text: 'a,b\n\nc,d\n',
      rows: [
        ['a', 'b'],
        ['c', 'd'],
      ],
    },
    { name: 'byte order mark', text: '\ufeffa,b', rows: [['a', 'b']] },
    { name: 'NULL as text', text: 'NULL,null', rows: [['NULL', 'null']] },
  ])('$name', ({ text, rows }) => {
    expect(run(plan(csv, two), text).rows).toEqual(rows);
  });

  it.each([
    { name: 'enclosed separator and delimiter', text: '"a,1","b\n2"', rows: [['a,1', 'b\n2']] },
    { name: 'doubled enclose', text: '"say ""hi""",x', rows: [['say "hi"', 'x']] },
    { name: 'three encloses first', text: '"""a"" b",x', rows: [['"a" b', 'x']] },
    { name: 'empty enclosed', text: '"",""', rows: [['', '']] },
    { name: 'enclosed marker is text', text: '"\\\\N",\\N', rows: [['\\N', null]] },
    { name: 'escape', text: 'a\\,b,c', rows: [['a,b', 'c']] },
    { name: 'unclosed: the rest of its message alone', text: '"a,b', rows: [] },
  ])('with enclose and escape: $name', ({ text, rows }) => {
    const format = { ...csv, enclose: '"', escape: '\\' };
    const found = run(plan(format, two), text, 'next,one');
    expect(found.rows).toEqual([...rows, ['next', 'one']]);
    expect(found.rejected).toBe(rows.length === 0 ? 1 : 0);
  });

  it('trim_space trims outside of enclosures', () => {
    const format = { ...csv, enclose: '"', trimSpace: true };
    expect(run(plan(format, two), ' a , " b " ').rows).toEqual([['a', ' b ']]);
  });

  it('a separator of many bytes', () => {
    const format = { ...csv, columnSeparator: 'ab'.repeat(25) };
    expect(run(plan(format, two), `x${'ab'.repeat(25)}y`).rows).toEqual([['x', 'y']]);
  });

  it('rejects say why and which message', () => {
    const found = run(plan(csv, two), 'a,b', 'a,b,', 'a', Uint8Array.of(97, 0xff, 44, 98), 'c,d\r');
    expect(found.rows).toEqual([
      ['a', 'b'],
      ['c', 'd\r'],
    ]);
    expect(found.rejects.map(({ message }) => message)).toEqual([1, 2, 3]);
    expect(found.rejects[0]?.reason).toContain(
      "Target column count: 2 doesn't match source value column count: 3. Column separator: ',', Row delimiter: '\\n'. The row ends in a separator",
    );
    expect(found.rejects[2]?.reason).toContain('Invalid UTF-8 row (byte 1)');
  });

  it.each([
    { strict: false, rows: [[null], [null], [null], ['1']], rejected: 0, coerced: 2 },
    { strict: true, rows: [[null], ['1']], rejected: 2, coerced: 0 },
  ])('semantics.md 11.1 with strict $strict', ({ strict, ...expected }) => {
    const found = run(plan(csv, [['k', { name: 'TINYINT' }]], strict), '\\N', 'abc', '2000', '1');
    expect(found).toMatchObject(expected);
  });

  it('tombstones and empty messages make no row and no reject', () => {
    expect(run(plan(csv, two), null, '', '\n', 'a,b')).toMatchObject({
      empty: 3,
      rejected: 0,
      rows: [['a', 'b']],
      message: Uint32Array.of(3),
    });
  });

  it('a field without a type is read over', () => {
    expect(
      run(
        plan(csv, [
          ['a', VARCHAR],
          ['skip', undefined],
          ['b', VARCHAR],
        ]),
        '1,2,3',
      ).rows,
    ).toEqual([['1', '3']]);
  });
});

describe('JSON', () => {
  const fields = [
    ['id', { name: 'BIGINT' }],
    ['d', { name: 'DECIMAL', precision: 38, scale: 2 }],
    ['t', VARCHAR],
    ['j', { name: 'JSON' }],
  ] as const;

  it.each([
    {
      name: '64 bits and decimals are exact',
      text: '{"id":9223372036854775807,"d":123456789012345678901234567890.12}',
      row: ['9223372036854775807', '123456789012345678901234567890.12', null, null],
    },
    {
      name: 'numbers and booleans as text',
      text: '{"t":1.50,"j":true}',
      row: [null, null, '1.50', 'true'],
    },
    { name: 'true is 1 in text', text: '{"t":true}', row: [null, null, '1', null] },
    { name: 'truncated integers', text: '{"id":12.9}', row: ['12', null, null, null] },
    {
      name: 'objects as text and as JSON',
      text: '{"t":{"b":1, "a":2},"j":{"b":1, "a":[2,"x"]}}',
      row: [null, null, '{"b":1,"a":2}', '{"a": [2, "x"], "b": 1}'],
    },
    { name: 'escapes', text: '{"t":"a\\u00e9\\n\\"","id":"7"}', row: ['7', null, 'aé\n"', null] },
    { name: 'the first of equal keys', text: '{"id":1,"id":2}', row: ['1', null, null, null] },
    {
      name: 'keys of prototypes are keys',
      text: '{"__proto__":1,"constructor":2,"id":3}',
      row: ['3', null, null, null],
    },
    { name: 'over several lines', text: '{\n  "id" : 5\n}\n', row: ['5', null, null, null] },
  ])('$name', ({ text, row }) => {
    expect(run(plan(json, fields), text).rows).toEqual([row]);
  });

  it('a bad message is one reject; its neighbours are loaded', () => {
    const bad = ['no json', '{"id":1', '{"id":01}', '[1]', '7', '{"id":1} x', '['.repeat(500)];
    const found = run(plan(json, fields), '{"id":1}', ...bad, '{"id":2}');
    expect(found.rows.map(([id]) => id)).toEqual(['1', '2']);
    expect(found.rejected).toBe(bad.length);
    expect(found.rejects.map(({ message }) => message)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('several documents in one message are rows, all or none', () => {
    expect(run(plan(json, fields), '{"id":1}{"id":2}\n{"id":3}').element).toEqual(
      Uint32Array.of(0, 1, 2),
    );
    expect(run(plan(json, fields), '{"id":1}{"id":', '{"id":9}').rows.map(([id]) => id)).toEqual([
      '9',
    ]);
  });

  it.each([
    {
      name: 'array stripped',
      format: { stripOuterArray: true },
      text: '[{"id":1},{"id":2}]',
      ids: ['1', '2'],
    },
    {
      name: 'root with strip',
      format: { stripOuterArray: true, jsonRoot: '$.data' },
      text: '{"data":[{"id":1},{"id":2}]}',
      ids: ['1', '2'],
    },
    {
      name: 'root without strip',
      format: { jsonRoot: '$.data' },
      text: '{"data":{"id":1}}',
      ids: ['1'],
    },
    {
      name: 'root over an array',
      format: { jsonRoot: '$.data' },
      text: '[{"data":{"id":1}},{"data":{"id":2}}]',
      ids: ['1', '2'],
    },
    {
      name: 'object where an array is wanted',
      format: { stripOuterArray: true },
      text: '{"id":1}',
      ids: [],
    },
  ])('$name', ({ format, text, ids }) => {
    const found = run(plan({ ...json, ...format }, fields), text);
    expect(found.rows.map(([id]) => id)).toEqual(ids);
    expect(found.rejected).toBe(ids.length === 0 ? 1 : 0);
  });

  it('a byte order mark is no data', () => {
    expect(run(plan(json, fields), '\ufeff{"id":1}').rows[0]?.[0]).toBe('1');
  });

  it('a path over every item gives an array', () => {
    const format = { ...json, jsonpaths: ['$.a[*].b', '$.c[*].b'] };
    const found = run(plan(format, two), '{"a":[{"b":1},{"x":0},{"b":"z"}],"c":7}');
    expect(found.rows).toEqual([['[1,"z"]', null]]);
  });

  it('jsonpaths feed fields by position', () => {
    const format = { ...json, jsonpaths: ['$.a.b[1]', '$."x.y"', 'c'] };
    const found = run(
      plan(format, [
        ['p', VARCHAR],
        ['q', VARCHAR],
        ['r', VARCHAR],
        ['s', VARCHAR],
      ]),
      '{"a":{"b":[1,2]},"x.y":"dot","c":3}',
    );
    expect(found.rows).toEqual([['2', 'dot', '3', null]]);
  });

  it('strict mode rejects the row with the value', () => {
    const found = run(plan(json, fields, true), '{"id":"abc"}', '{"id":true}', '{"id":1}');
    expect(found.rows.length).toBe(1);
    expect(found.rejects.map(({ reason }) => reason)).toEqual([
      'Unable to cast string value to BIGINT. value=abc, column=id',
      'Unsupported value type. Numeric type is required. column=id',
    ]);
  });

  it.each(['$.a', '["$.a", 1]', '["$.a["]', ''])('jsonpaths %s is refused', (text) => {
    expect(() => checkJsonPaths(text)).toThrow('Invalid json path');
  });
});

describe('delimiters', () => {
  it.each([
    ['\\t', '\t'],
    ['\\x01', '\x01'],
    ['\\\\x0102', '\x01\x02'],
    ['0x2c', ','],
    [',', ','],
    ['x', 'x'],
    ['a'.repeat(50), 'a'.repeat(50)],
  ])('%s', (text, resolved) => {
    expect(resolveDelimiter(text)).toBe(resolved);
  });

  it.each(['', 'a'.repeat(51), '\\x', '\\x1', '\\xzz'])('%s is refused', (text) => {
    expect(() => resolveDelimiter(text)).toThrow();
  });

  it('enclose is one byte', () => {
    expect(resolveByte('"', 'enclose')).toBe('"');
    expect(() => resolveByte('""', 'enclose')).toThrow("'enclose' is [1, 1]");
  });
});
