/** Inputs that a producer can send by mistake or in malice: clear rejects, bounded time, no crash. */
import { crc32c } from '@node-rs/crc32';
import { describe, expect, it } from 'vitest';
import type { SqlType } from '../base/sql-type.ts';
import { normalJson } from './cast/json-text.ts';
import { decodeBatch, encodeBatch } from './column-codec.ts';
import { decodeCsv } from './csv.ts';
import type { CsvFormat, DecodePlan, Format, JsonFormat } from './decode.types.ts';
import { resolveDelimiter } from './delimiter.ts';
import { decodeJson } from './json.ts';
import { messages } from './messages.fixture.ts';
import { valueText } from './value-text.ts';

const TEXT: SqlType = { name: 'VARCHAR', length: 1_048_576 };
const csv: CsvFormat = { kind: 'csv', columnSeparator: ',', rowDelimiter: '\n', trimSpace: false };
const json: JsonFormat = { kind: 'json', stripOuterArray: false };

function decode(format: Format, names: string, ...values: (string | Uint8Array)[]) {
  const fields = [...names].map((name) => ({ name, type: TEXT, nullable: true }));
  const plan: DecodePlan = { format, fields, strict: false };
  const batch = messages(...values);
  const decoded = format.kind === 'csv' ? decodeCsv(plan, batch) : decodeJson(plan, batch);
  const rows = Array.from({ length: decoded.batch.rows }, (_, row) =>
    decoded.batch.columns.map((column) => valueText(column, row, TEXT)),
  );
  return { ...decoded, rows };
}

describe('sizes', () => {
  it('a string of megabytes is a value that does not fit, not a crash', () => {
    const long = 'x'.repeat(8_000_000);
    expect(decode(json, 'ab', `{"a":"${long}","b":1}`)).toMatchObject({
      rows: [[null, '1']],
      coerced: 1,
    });
    expect(normalJson(`"${long}"`)?.length).toBe(long.length + 2);
  });

  it('a number of megabytes is no double', () => {
    const digits = '1'.repeat(4_000_000);
    const fields = [{ name: 'a', type: { name: 'DOUBLE' } as const, nullable: true }];
    expect(decodeCsv({ format: csv, fields, strict: false }, messages(digits)).coerced).toBe(1);
    expect(
      decodeJson({ format: json, fields, strict: false }, messages(`{"a":${digits}}`)),
    ).toMatchObject({ coerced: 1, rejected: 0 });
  });

  it('an array of very many rows', () => {
    const text = `[${'{"a":1},'.repeat(200_000)}{"a":2}]`;
    expect(decode({ ...json, stripOuterArray: true }, 'a', text).rows.length).toBe(200_001);
  });

  it('keeps few rejects and counts all', () => {
    const found = decode(csv, 'ab', 'x\n'.repeat(1_000));
    expect(found.rejects.length).toBe(50);
    expect(found.rejected).toBe(1_000);
  });

  it('shows at most 1 KiB of a row', () => {
    expect(decode(csv, 'ab', '\x01'.repeat(9_000)).rejects[0]?.row.length).toBe(1_024);
  });
});

describe('UTF-8', () => {
  it('a character cut between two messages makes both bad', () => {
    const whole = Buffer.from('aé');
    const found = decode(csv, 'a', whole.subarray(0, 2), whole.subarray(2), 'ok');
    expect(found.rows).toEqual([['ok']]);
    expect(found.rejects.map(({ message }) => message)).toEqual([0, 1]);
  });

  it('a bad message spoils no other', () => {
    const bad = Uint8Array.of(123, 34, 97, 34, 58, 34, 0xff, 34, 125);
    expect(decode(json, 'a', '{"a":"é"}', bad, '{"a":"z"}').rows).toEqual([['é'], ['z']]);
  });

  it.each(['0xff', '\\xc3'])('%s is no delimiter', (text) => {
    expect(() => resolveDelimiter(text)).toThrow('it is no UTF-8 text');
  });

  it('half of a surrogate pair is no text', () => {
    expect(decode(json, 'a', '{"a":"\\ud800"}', '{"a":"\\ud83d\\ude00"}')).toMatchObject({
      rows: [['😀']],
      rejected: 1,
    });
  });
});

describe('delimiters', () => {
  it('one that overlaps itself', () => {
    expect(decode({ ...csv, rowDelimiter: 'aa' }, 'x', 'baaa').rows).toEqual([['b'], ['a']]);
  });

  it('half of one at the end of a message does not reach into the next', () => {
    const format = { ...csv, rowDelimiter: '\r\n', columnSeparator: '||' };
    expect(decode(format, 'ab', 'x||y\r', '\nz||w|', '|v').rows).toEqual([
      ['x', 'y\r'],
      ['\nz', 'w|'],
    ]);
  });
});

describe('enclose and escape', () => {
  const both = { ...csv, enclose: '"', escape: '\\' };
  it.each([
    { name: 'text behind the enclosure', text: '"abc"x,y', row: ['abcx', 'y'] },
    { name: 'escape behind the enclosure', text: '"abc"\\,x,y', row: ['abc,x', 'y'] },
    { name: 'enclose in the middle is data', text: 'ab"cd,y', row: ['ab"cd', 'y'] },
    { name: 'doubled before the end', text: '"a""","""b"', row: ['a"', '"b'] },
    {
      name: 'escape inside an enclosure keeps it',
      text: '"a \\.br\\ ,b",c',
      row: ['a .br ,b', 'c'],
    },
    { name: 'escaped enclose', text: '"a\\"b",c', row: ['a"b', 'c'] },
    { name: 'escape as the last byte is data', text: 'a,b\\', row: ['a', 'b\\'] },
    { name: 'escaped delimiter', text: 'a\\\nb,c', row: ['a\nb', 'c'] },
    { name: 'empty fields', text: ',', row: ['', ''] },
  ])('$name', ({ text, row }) => {
    expect(decode(both, 'ab', text).rows).toEqual([row]);
  });

  it('an escape stands for a whole separator', () => {
    expect(decode({ ...both, columnSeparator: '||' }, 'ab', 'a\\||b||c').rows).toEqual([
      ['a||b', 'c'],
    ]);
  });

  it('an enclose that is its own escape', () => {
    expect(decode({ ...both, escape: '"' }, 'ab', '"a""b","c"').rows).toEqual([['a"b', 'c']]);
  });

  it('blanks around an enclosure', () => {
    expect(decode({ ...both, trimSpace: true }, 'ab', ' " a "  , \\N ').rows).toEqual([
      [' a ', null],
    ]);
  });

  it('a field that is never closed is a reject even where the count fits', () => {
    const found = decode(both, 'a', '"abc', 'd');
    expect(found.rows).toEqual([['d']]);
    expect(found.rejects[0]?.reason).toBe('An enclosed field is never closed');
  });
});

describe('the column encoding', () => {
  const sealed = (bytes: Uint8Array): Uint8Array => {
    new DataView(bytes.buffer).setUint32(4, crc32c(bytes.subarray(8)), true);
    return bytes;
  };
  const plain = () => encodeBatch(decode(csv, 'ab', 'x,y', 'z,w').batch);

  it('may begin at any byte of a pooled buffer', () => {
    const bytes = plain();
    const pool = Buffer.alloc(bytes.length + 16);
    for (let at = 0; at < 8; at++) {
      pool.set(bytes, at);
      expect(decodeBatch(pool.subarray(at, at + bytes.length)).rows).toBe(2);
    }
  });

  it.each([
    { name: 'rows', at: 8 },
    { name: 'columns', at: 12 },
    { name: 'kind', at: 16 },
    { name: 'data length', at: 20 },
    { name: 'first offset', at: 24 },
    { name: 'offset', at: 28 },
  ])('a wrong $name under a right checksum is damage', ({ at }) => {
    for (const value of [3, 1_000, 2 ** 31, 2 ** 32 - 1]) {
      const bytes = plain();
      new DataView(bytes.buffer).setUint32(at, value, true);
      expect(() => decodeBatch(sealed(bytes))).toThrow(
        expect.objectContaining({ name: 'DamageError', code: 'COLUMN_CODEC' }),
      );
    }
  });
});

it('JSON shows keys in the order of their text, not of their quotes', () => {
  expect(normalJson('{"a b":1,"a":2,"a!":3}')).toBe('{"a": 2, "a b": 1, "a!": 3}');
});
