import { describe, expect, it } from 'vitest';
import { countOnly } from './count-only.ts';
import { parseStatement } from './parser.ts';

const table = { db: 'd', name: 't' };

describe('countOnly', () => {
  it.each([
    { sql: 'SELECT count(*) FROM d.t', found: { table, name: 'count(*)' } },
    { sql: 'SELECT COUNT(*) AS n FROM d.t x', found: { table, name: 'n' } },
    { sql: 'SELECT count() n FROM d.t', found: { table, name: 'n' } },
    { sql: 'SELECT count(id) FROM d.t', found: undefined },
    { sql: 'SELECT count(DISTINCT id) FROM d.t', found: undefined },
    { sql: 'SELECT count(*), 1 FROM d.t', found: undefined },
    { sql: 'SELECT count(*) + 1 FROM d.t', found: undefined },
    { sql: 'SELECT sum(id) FROM d.t', found: undefined },
    { sql: 'SELECT count(*) FROM d.t WHERE id > 0', found: undefined },
    { sql: 'SELECT count(*) FROM d.t GROUP BY id', found: undefined },
    { sql: 'SELECT count(*) FROM d.t HAVING count(*) > 9', found: undefined },
    { sql: 'SELECT count(*) FROM d.t LIMIT 0', found: undefined },
    { sql: 'SELECT count(*) FROM d.t, d.u', found: undefined },
    { sql: 'SELECT count(*) FROM (SELECT * FROM d.t) q', found: undefined },
    { sql: 'WITH t AS (SELECT 1) SELECT count(*) FROM t', found: undefined },
    { sql: 'SELECT count(*) FROM d.t UNION ALL SELECT 1', found: undefined },
    { sql: 'SELECT count(*)', found: undefined },
  ])('$sql', ({ sql, found }) => {
    const statement = parseStatement(sql);
    if (statement.kind !== 'select') throw new Error('a SELECT');
    expect(countOnly(statement.select)).toEqual(found);
  });
});
