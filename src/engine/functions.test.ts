import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { valueText } from '../formats/value-text.ts';
import { FUNCTIONS } from '../sql/functions.ts';
import { parseStatement } from '../sql/parser.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import type { EvalContext } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'functions-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

/** 2024-02-29 23:30:05 UTC, which is the next day in Shanghai. */
const NOW = Date.UTC(2024, 1, 29, 23, 30, 5, 678);
const shanghai: EvalContext = {
  timezone: 'Asia/Shanghai',
  nowMs: NOW,
  seed: 's',
  currentDb: 'db1',
  currentUser: "'root'@'%'",
  connectionId: 7,
  variables: { '@@time_zone': 'Asia/Shanghai', '@@wait_timeout': 28_800, '@x': null },
};

async function evaluate(expr: string, context = shanghai): Promise<string | null> {
  const statement = parseStatement(`SELECT ${expr}`);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  const result = await engine.query({ select: statement.select, context }, []);
  const { value } = await result.batches.next();
  await result.close();
  return valueText(value.columns[0], 0, result.columns[0]!.type);
}

type Case = readonly [expr: string, value: string | null];

const tables: Readonly<Record<string, readonly Case[]>> = {
  'text to integer (2.3)': [
    ["cast('12' as int)", '12'],
    ["cast(' 12 ' as int)", '12'],
    ["cast('+12' as bigint)", '12'],
    ["cast('0012' as smallint)", '12'],
    ["cast('' as int)", null],
    ["cast('  ' as int)", null],
    ["cast('128' as tinyint)", null],
    ["cast('-128' as tinyint)", '-128'],
    ["cast('1.9' as int)", null],
    ["cast('-1.9' as bigint)", null],
    ["cast('0x1F' as int)", null],
    ["cast('1_000' as int)", null],
    ["cast('1,000' as int)", null],
    ["cast('12abc' as int)", null],
    ["cast('true' as int)", null],
    [
      "cast('170141183460469231731687303715884105727' as largeint)",
      '170141183460469231731687303715884105727',
    ],
  ],
  'numbers and moments to integer': [
    ['cast(1.9 as int)', '1'],
    ['cast(-1.9 as int)', '-1'],
    ['cast(1.9e0 as int)', '1'],
    ['cast(-2.5e0 as bigint)', '-2'],
    ['cast(300 as tinyint)', null],
    ['cast(true as int)', '1'],
    ["cast(date '2024-01-31' as int)", '20240131'],
    ["cast(cast('2024-01-31 12:34:56' as datetime) as bigint)", '20240131123456'],
  ],
  'text to double (2.4)': [
    ["cast(' 1.5 ' as double)", '1.5'],
    ["cast('1e3' as double)", '1000'],
    ["cast('inf' as double)", null],
    ["cast('nan' as double)", null],
    ["cast('1e999' as double)", null],
    ["cast('' as double)", null],
    ["cast('abc' as float)", null],
  ],
  'text to decimal (2.5)': [
    ["cast('.5' as decimal(5,2))", '0.50'],
    ["cast('12.' as decimal(5,2))", '12.00'],
    ["cast('1.456' as decimal(5,2))", '1.46'],
    ["cast('-1.455' as decimal(5,2))", '-1.46'],
    ["cast('1.5e2' as decimal(5,2))", '150.00'],
    ["cast('1234.5' as decimal(5,2))", null],
    ["cast('' as decimal(5,2))", null],
    [
      "cast('12345678901234567890123456789012345678' as decimal(38,0))",
      '12345678901234567890123456789012345678',
    ],
    ['cast(1.455 as decimal(5,2))', '1.46'],
    ['cast(99999 as decimal(5,2))', null],
  ],
  'text to boolean (2.6)': [
    ["cast('TRUE' as boolean)", '1'],
    ["cast(' false ' as boolean)", '0'],
    ["cast('2' as boolean)", '1'],
    ["cast('0.0' as boolean)", '0'],
    ["cast('yes' as boolean)", null],
    ["cast('t' as boolean)", null],
    ['cast(5 as boolean)', '1'],
    ['cast(0.0 as boolean)', '0'],
  ],
  'text to moments (2.7, 11.5)': [
    ["cast('2024-02-29' as date)", '2024-02-29'],
    ["cast('2023-02-29' as date)", null],
    ["cast('2024/1/5' as datetime)", '2024-01-05 00:00:00'],
    ["cast('20240131' as date)", '2024-01-31'],
    ["cast('240131' as datetime)", '2024-01-31 00:00:00'],
    ["cast('2024 01 31' as date)", '2024-01-31'],
    ["cast('20240131123456' as datetime)", '2024-01-31 12:34:56'],
    ["cast('2024-01-31T12:34:56Z' as datetime)", '2024-01-31 12:34:56'],
    ["cast('2024-01-31 12:34:56.5' as datetime)", '2024-01-31 12:34:56.500000'],
    ["cast('2024-01-31 12:34:56 UTC' as datetime)", '2024-01-31 12:34:56'],
    ["cast('99-12-31' as date)", '1999-12-31'],
    ["cast('31/01/2024' as date)", null],
    ["cast('2024-01-31 24:00:00' as datetime)", null],
    ["cast('0000-00-00' as date)", null],
    ["cast('1700000000' as datetime)", null],
    ["cast('' as date)", null],
  ],
  'numbers to moments (2.7)': [
    ['cast(20240131 as date)', '2024-01-31'],
    ['cast(240131 as date)', '2024-01-31'],
    ['cast(700101 as date)', '1970-01-01'],
    ['cast(101 as date)', '2000-01-01'],
    ['cast(20240131123456 as datetime)', '2024-01-31 12:34:56'],
    ['cast(700000 as date)', null],
    ['cast(1 as date)', null],
  ],
  'anything to text': [
    ['cast(1.50 as varchar)', '1.50'],
    ['cast(1e0 as varchar)', '1'],
    ['cast(0.1e0 as string)', '0.1'],
    ['cast(true as varchar)', '1'],
    ["cast(date '2024-01-31' as varchar)", '2024-01-31'],
    ["cast(cast('2024-01-31 12:00:00' as datetime) as varchar)", '2024-01-31 12:00:00'],
    ["cast(cast('2024-01-31 12:00:00.5' as datetime) as varchar)", '2024-01-31 12:00:00.500000'],
    ["concat('n', 1, 2.5, true, NULL)", null],
    ["concat('n', 1, 2.5, true)", 'n12.51'],
  ],
  'comparisons of different types (5.3)': [
    ["1 = '1'", '1'],
    ["1 = '1.5'", '0'],
    ["true = 'TRUE'", '1'],
    ["'0' = (1 > 2)", '1'],
    ["true = 'x'", null],
    ["'10' > 9", '1'],
    ["1 = 'abc'", null],
    ["date '2024-01-31' = '20240131'", '1'],
    ["date '2024-01-31' = '2024-01-31 00:00:01'", '0'],
    ["date '2024-01-31' < '2024-01-31 00:00:01'", '1'],
    ["date '2024-01-31' = 'abc'", null],
    ["date '2024-01-31' = 20240131", '1'],
    ["5 between '1' and '10'", '1'],
    ["3 in ('1', '3')", '1'],
    ["'3' in (1, 3)", '1'],
    ["'a' in ('b', 'c')", '0'],
    ["2 not in ('1', 'x')", null],
    ["case 1 when '1' then 'one' else 'other' end", 'one'],
    ['NULL = NULL', null],
    ['NULL <=> NULL', '1'],
    ["'a' <=> NULL", '0'],
    ["'abc' like 'A%'", '0'],
    ["'a_b' like 'a\\_b'", '1'],
    ["'abc' regexp '^a.c$'", '1'],
  ],
  'arithmetic (5.3)': [
    ['1 / 0', null],
    ['7 / 2', '3.5'],
    ['7 div 2', '3'],
    ['-7 div 2', '-3'],
    ['9223372036854775807 div 1', '9223372036854775807'],
    ['7 % 0', null],
    ['7 % 4', '3'],
    ['mod(-7, 4)', '-3'],
    ["'3' + 4", '7'],
    ["'x' + 4", null],
    ['2147483647 + 1', '2147483648'],
    ['9223372036854775807 + 1', null],
    ['1.1 + 2.2', '3.3'],
    ['1.5 * 2', '3.0'],
    ['true + true', '2'],
    ['6 & 3', '2'],
    ['6 | 3', '7'],
    ['6 ^ 3', '5'],
    ['~ 0', '-1'],
    ['NULL + 1', null],
    ["not 'true'", '0'],
    ['1 and 0', '0'],
    ['1 xor 1', '0'],
    ['NULL or 1', '1'],
  ],
  'conditions and their types': [
    ['if(NULL, 1, 2)', '2'],
    ["if(1 > 0, 'a', 1)", 'a'],
    ["if(1 < 0, 'a', 1)", '1'],
    ["ifnull(NULL, 'x')", 'x'],
    ["coalesce(NULL, 1, 'abc')", '1'],
    ["nullif(1, '1')", null],
    ['nullif(1, 2)', '1'],
    ['greatest(1, 3, 2)', '3'],
    ['greatest(1, NULL)', null],
    ["least('b', 'a')", 'a'],
    ['isnull(NULL)', '1'],
    ["case when 0 then 'a' end", null],
    [
      "case when 1 then date '2024-01-01' else cast('2024-01-01 10:00:00' as datetime) end",
      '2024-01-01 00:00:00',
    ],
  ],
  'moments (5.4)': [
    ['from_unixtime(1196440219)', '2007-12-01 00:30:19'],
    ["from_unixtime(1196440219, '%Y%m%d')", '20071201'],
    ["from_unixtime(1196440219, 'yyyy-MM-dd HH:mm:ss')", '2007-12-01 00:30:19'],
    ["from_unixtime('1196440219')", '2007-12-01 00:30:19'],
    ['from_unixtime(-1)', null],
    ['from_unixtime(253402243200)', null],
    ['from_unixtime(524000000)', '1986-08-10 04:33:20'],
    ["unix_timestamp('2007-12-01 00:30:19')", '1196440219'],
    ["unix_timestamp('1969-01-01')", '0'],
    ["unix_timestamp('1986-08-10 04:33:20')", '524000000'],
    ['unix_timestamp()', '1709249405'],
    ['unix_timestamp(NULL)', null],
    ['now()', '2024-03-01 07:30:05'],
    ['curdate()', '2024-03-01'],
    ['utc_timestamp()', '2024-02-29 23:30:05'],
    ["str_to_date('2024-1-5 3:4:5', '%Y-%m-%d %H:%i:%s')", '2024-01-05 03:04:05'],
    ["str_to_date('31/01/2024', '%d/%m/%Y')", '2024-01-31'],
    ["str_to_date('x', '%Y')", null],
    ["str2date('20240131', '%Y%m%d')", '2024-01-31'],
    ["date_format('2009-10-04 22:23:00', '%W %M %Y')", 'Sunday October 2009'],
    ["date_format('1900-10-04 22:23:00', '%D %y %a %d %m %b %j')", '4th 00 Thu 04 10 Oct 277'],
    [
      "date_format('1997-10-04 22:23:00', '%H %k %I %r %T %S %w')",
      '22 22 10 10:23:00 PM 22:23:00 00 6',
    ],
    ["date_format('1999-01-01', '%X %V')", '1998 52'],
    ["date_format('2024-01-05', '100%% %q')", '100% q'],
    ["date_format(NULL, '%Y')", null],
    ["year('20200511')", '2020'],
    ["dayofweek('2024-01-07')", '1'],
    ["dayofyear('2024-12-31')", '366'],
    ["quarter('2024-12-31')", '4'],
    ["month('not a date')", null],
    ["date_trunc('month', '2024-02-29 12:00:00')", '2024-02-01 00:00:00'],
    ["date_add('2024-01-31', interval 1 month)", '2024-02-29 00:00:00'],
    ["date_sub('2024-03-01', interval 1 day)", '2024-02-29 00:00:00'],
    ["days_add('2024-02-28', 2)", '2024-03-01 00:00:00'],
    ["days_add('2024-02-28', 99999999999)", null],
    ["years_sub('2024-02-28', 999999999)", null],
    ["date_add('2024-02-28', interval 2000000000 year)", null],
    ["date '2024-01-01' + interval 2 hour", '2024-01-01 02:00:00'],
    ["datediff('2024-03-01 00:00:01', '2024-02-28 23:59:59')", '2'],
    ["hours_diff('2024-01-01 02:00:00', '2024-01-01 00:59:00')", '1'],
    ["last_day('2024-02-01')", '2024-02-29'],
    ["monthname('2024-02-01')", 'February'],
    ["date('2024-02-01 10:00:00')", '2024-02-01'],
  ],
  'texts (5.4)': [
    ["concat_ws(',', 'a', NULL, 'b')", 'a,b'],
    ["concat_ws(NULL, 'a', 'b')", null],
    ["substring('hello', 2)", 'ello'],
    ["substring('hello', -3, 2)", 'll'],
    ["substring('hello', 0)", ''],
    ["substring('hello', -9)", ''],
    ["substring('hello', 2, 0)", ''],
    ["substring('漢字かな', 2, 2)", '字か'],
    ['substring(NULL, 0)', null],
    ["left('hello', 2)", 'he'],
    ["left('hello', -1)", ''],
    ["right('hello', 2)", 'lo'],
    ["length('漢字')", '6'],
    ["char_length('漢字')", '2'],
    ["split_part('a,b,c', ',', 2)", 'b'],
    ["split_part('a,b,c', ',', -1)", 'c'],
    ["split_part('a,b,c', ',', 4)", null],
    ["split_part('a,b,c', ',', 0)", null],
    ["lpad('hi', 5, 'xyz')", 'xyzhi'],
    ["lpad('hello', 2, 'x')", 'he'],
    ["rpad('hi', 5)", 'hi   '],
    ["rpad('hi', 5, '')", 'hi'],
    ["lpad('hi', -1, 'x')", null],
    ["locate('l', 'hello')", '3'],
    ["instr('hello', 'z')", '0'],
    ["replace('a-b-c', '-', '')", 'abc'],
    ["reverse('äb')", 'bä'],
    ["upper('äb')", 'ÄB'],
    ["trim('  a ')", 'a'],
    ["regexp_extract('abc123', '([a-z]+)([0-9]+)', 2)", '123'],
    ["regexp_extract('abc', '([0-9]+)', 1)", ''],
    ["regexp_replace('a1b2', '([0-9])', '<\\\\1>')", 'a<1>b<2>'],
    ["md5('a')", '0cc175b9c0f1b6a831c399e269772661'],
    ["hex('abc')", '616263'],
    ['hex(255)', 'FF'],
    ["repeat('ab', 2)", 'abab'],
    ["null_or_empty('')", '1'],
    ['null_or_empty(NULL)', '1'],
    ["strcmp('a', 'b')", '-1'],
    ["starts_with('hello', 'he')", '1'],
    ["to_base64('abc')", 'YWJj'],
  ],
  JSON: [
    [`get_json_string('{"a":"x"}', '$.a')`, 'x'],
    [`get_json_string('{"a":{"b":1}}', '$.a')`, '{"b":1}'],
    [`get_json_string('no json', '$.a')`, null],
    [`get_json_int('{"a":"12"}', '$.a')`, '12'],
    [`get_json_int('{"a":"x"}', '$.a')`, null],
    [`get_json_double('{"a":1.5}', '$.a')`, '1.5'],
    [`get_json_bool('{"a":true}', '$.a')`, '1'],
    [`json_exists('{"a":1}', '$.b')`, '0'],
    [`parse_json('{"b":1,"a":[1,2]}')`, '{"a": [1, 2], "b": 1}'],
    ["parse_json('{')", null],
  ],
  'numbers (5.4)': [
    ['abs(-5)', '5'],
    ["abs('-1.5')", '1.5'],
    ['ceil(1.2)', '2'],
    ['floor(-1.2)', '-2'],
    ['round(2.5)', '3'],
    ['round(-2.5)', '-3'],
    ['round(1.245, 2)', '1.25'],
    ['truncate(1.999, 2)', '1.99'],
    ['pow(2, 10)', '1024'],
    ['sqrt(-1)', null],
    ['ln(0)', null],
    ['sign(-3)', '-1'],
  ],
  'of the session': [
    ['database()', 'db1'],
    ['user()', "'root'@'%'"],
    ['connection_id()', '7'],
    ['@@time_zone', 'Asia/Shanghai'],
    ['@@wait_timeout + 1', '28801'],
    ['@x', null],
    ['@never_set', null],
  ],
  aggregates: [
    ['count(*)', '1'],
    ['count(NULL)', '0'],
    ["sum('3')", '3'],
    ['sum(2) + 1', '3'],
    ['(select 1) + 1', '2'],
    ['abs((select -1))', '1'],
    ["avg('x')", null],
    ['max(NULL)', null],
    ["group_concat('a')", 'a'],
  ],
};

for (const [name, cases] of Object.entries(tables)) {
  describe(name, () => {
    it.each(cases.map(([expr, value]) => ({ name: expr, value })))(
      '$name is $value',
      async ({ name: expr, value }) => {
        expect(await evaluate(expr)).toBe(value);
      },
    );
  });
}

describe('time zones', () => {
  it.each([
    { name: 'an offset', timezone: '+05:30', text: '2007-11-30 22:00:19' },
    { name: 'an offset to the west', timezone: '-03:00', text: '2007-11-30 13:30:19' },
    { name: 'a zone with summer time', timezone: 'America/New_York', text: '2007-11-30 11:30:19' },
    { name: 'UTC', timezone: 'UTC', text: '2007-11-30 16:30:19' },
    { name: 'the short name of China', timezone: 'CST', text: '2007-12-01 00:30:19' },
  ])('$name', async ({ timezone, text }) => {
    const context = { ...shanghai, timezone, nowMs: 1_196_440_219_000 };
    expect(await evaluate('from_unixtime(1196440219)', context)).toBe(text);
    expect(await evaluate(`unix_timestamp('${text}')`, context)).toBe('1196440219');
    expect(await evaluate('now()', context)).toBe(text);
  });

  it('one that is none', async () => {
    const context = { ...shanghai, timezone: 'Nowhere/None' };
    await expect(evaluate('now()', context)).rejects.toMatchObject({ errno: 1298 });
  });
});

describe('every function of the list is one that the engine has', () => {
  const literal = {
    any: '1',
    text: "'1'",
    int: '1',
    double: '1',
    datetime: "'2024-01-01'",
    interval: 'interval 1 day',
  };
  const formats = new Set(['date_format', 'str_to_date', 'str2date']);
  it.each([...FUNCTIONS.values()].map((one) => ({ name: one.name, one })))(
    '$name',
    async ({ one }) => {
      const count = Math.max(one.min, Math.min(one.max, 3, one.args.length));
      const args = Array.from(
        { length: count },
        (_, i) => literal[one.args[Math.min(i, one.args.length - 1)]!],
      );
      if (formats.has(one.name)) args[1] = "'%Y'";
      if (one.name === 'from_unixtime' && count > 1) args[1] = "'%Y'";
      if (one.name === 'date_trunc') args[0] = "'day'";
      if (one.name.includes('json_') && count > 1) args[1] = "'$.a'";
      await evaluate(`${one.name}(${args.join(', ')})`);
    },
  );
});
