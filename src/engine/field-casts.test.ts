import { expect, it } from 'vitest';
import { fieldCasts } from './field-casts.ts';

it.each([
  { name: 'a field', sql: 'ms_to_bigint(CAST(f0 AS VARCHAR)) + 1', expected: 'f0→BIGINT + 1' },
  {
    name: 'two, one of them twice',
    sql: 'ms_to_double(CAST(f1 AS VARCHAR)) * ms_to_date(CAST(c12 AS VARCHAR)) - ms_to_double(CAST(f1 AS VARCHAR))',
    expected: 'f1→DOUBLE * c12→DATE - f1→DOUBLE',
  },
  {
    name: 'what a user wrote is left as it is',
    sql: `concat('it''s ms_to_bigint(CAST(f0 AS VARCHAR))', "ms_to_bigint(CAST(f0 AS VARCHAR))")`,
    expected: `concat('it''s ms_to_bigint(CAST(f0 AS VARCHAR))', "ms_to_bigint(CAST(f0 AS VARCHAR))")`,
  },
  {
    name: 'behind a text too',
    sql: `'x' || ms_to_bigint(CAST(f0 AS VARCHAR))`,
    expected: `'x' || f0→BIGINT`,
  },
  {
    name: 'other types and other texts are asked in the statement',
    sql: 'ms_to_json(CAST(f0 AS VARCHAR)), ms_to_bigint(CAST(upper(f0) AS VARCHAR)), xms_to_bigint(CAST(f0 AS VARCHAR))',
    expected:
      'ms_to_json(CAST(f0 AS VARCHAR)), ms_to_bigint(CAST(upper(f0) AS VARCHAR)), xms_to_bigint(CAST(f0 AS VARCHAR))',
  },
])('$name', ({ sql, expected }) => {
  expect(fieldCasts(sql, (column, { name }) => `${column}→${name}`)).toBe(expected);
});
