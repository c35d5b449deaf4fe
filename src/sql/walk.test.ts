import { expect, it } from 'vitest';
import { parseStatement } from './parser.ts';
import { variablesOf } from './walk.ts';

it.each([
  { sql: 'select id from t where id = 7', names: [] },
  { sql: 'select @A, @@time_zone from t', names: ['@a', '@@time_zone'] },
  { sql: 'select @@SESSION.sql_mode, @@global.version from t', names: ['@@sql_mode', '@@version'] },
  { sql: 'select id from t where id in (select b from u where c = @x) limit 1', names: ['@x'] },
  { sql: 'with q as (select @y as z) select * from q union select @v', names: ['@y', '@v'] },
  { sql: "select '@x', `@y` from t", names: [] },
])('the variables of: $sql', ({ sql, names }) => {
  const statement = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  expect(variablesOf(statement.select)).toEqual(names);
});
