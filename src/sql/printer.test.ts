import { describe, expect, it } from 'vitest';
import type { BinaryOp, Expr } from './ast/expr.ts';
import { parseExpr, parseStatement } from './parser.ts';
import { printExpr, printSelect } from './printer.ts';

/** A small generator of numbers, the same for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NAMES = ['a', 'order', 'with space', 'tick`tick', 'Timestamp', 'interval', '1a', 'é', 'a.b'];
const STRINGS = ['', "it's", '\\', '\\%x\\_', '"', 'new\nline\t\0\x1a', '%Y%m%d', '--', '漢字'];
const NUMBERS = ['0', '12', '1.50', '1e3', '9223372036854775808', '.5'];
const OPERATORS: readonly BinaryOp[] = [
  ...(['OR', 'AND', 'XOR', '=', '<=>', '<>', '<', '<=', '>', '>='] as const),
  ...(['+', '-', '*', '/', '%', 'DIV', '&', '|', '^'] as const),
];

function generate(next: (below: number) => number, depth: number): Expr {
  const pick = <T>(from: readonly T[]): T => from[next(from.length)]!;
  const sub = () => generate(next, depth - 1);
  const not = next(2) === 0;
  switch (next(depth <= 0 ? 7 : 19)) {
    case 0:
      return { kind: 'null' };
    case 1:
      return { kind: 'boolean', value: not };
    case 2:
      return { kind: 'number', text: pick(NUMBERS) };
    case 3:
      return { kind: 'string', value: pick(STRINGS) };
    case 4:
      return { kind: 'column', path: not ? [pick(NAMES)] : [pick(NAMES), pick(NAMES)] };
    case 5:
      return { kind: 'variable', scope: pick(['user', 'session', 'global']), name: 'sql_mode' };
    case 6:
      return { kind: 'typed', type: { name: pick(['DATE', 'DATETIME']) }, text: '2020-05-08' };
    case 7:
    case 8:
      return { kind: 'unary', op: pick(['-', '+', '~', 'NOT']), arg: sub() };
    case 9:
    case 10:
    case 11:
      return { kind: 'binary', op: pick(OPERATORS), left: sub(), right: sub() };
    case 12:
      return {
        kind: 'binary',
        op: '->',
        left: sub(),
        right: { kind: 'string', value: pick(STRINGS) },
      };
    case 13:
      return not
        ? { kind: 'isNull', arg: sub(), not: next(2) === 0 }
        : { kind: 'isBool', arg: sub(), value: next(2) === 0, not: next(2) === 0 };
    case 14:
      return { kind: 'in', arg: sub(), list: [sub(), sub()], not };
    case 15:
      return { kind: 'between', arg: sub(), low: sub(), high: sub(), not };
    case 16:
      return { kind: 'like', op: pick(['LIKE', 'REGEXP']), arg: sub(), pattern: sub(), not };
    case 17:
      return {
        kind: 'case',
        ...(not ? { operand: sub() } : {}),
        whens: [{ when: sub(), then: sub() }],
        ...(next(2) === 0 ? { otherwise: sub() } : {}),
      };
    default:
      return not
        ? { kind: 'cast', arg: sub(), type: { name: 'DECIMAL', precision: 10, scale: 2 } }
        : {
            kind: 'call',
            name: pick(['coalesce', 'if', 'replace', 'count', 'date']),
            args: [sub(), { kind: 'interval', value: sub(), unit: pick(['DAY', 'MICROSECOND']) }],
            distinct: next(2) === 0,
          };
  }
}

describe('what is printed parses to the same tree', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', (seed) => {
    const next = seeded(seed);
    for (let i = 0; i < 500; i++) {
      const tree = generate(next, 4);
      const text = printExpr(tree);
      let parsed: unknown;
      try {
        parsed = parseExpr(text);
      } catch (error) {
        throw new Error(`${text}: ${String(error)}`);
      }
      expect(parsed, text).toEqual(tree);
    }
  });
});

/** What was written between items is gone after printing; it names columns only. */
const withoutTexts = (tree: unknown): unknown =>
  JSON.parse(
    JSON.stringify(tree, function (this: Record<string, unknown>, key, value: unknown) {
      return key === 'text' && 'expr' in this ? undefined : value;
    }),
  );

describe('queries print to what parses to the same tree', () => {
  it.each([
    'SELECT 1 UNION SELECT 2 INTERSECT SELECT 3',
    '(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3',
    'SELECT 1 EXCEPT (SELECT 2 UNION SELECT 3) ORDER BY 1 LIMIT 2, 3',
    'SELECT (SELECT 1 UNION SELECT 2 UNION ALL SELECT 3) IN (SELECT 1 UNION SELECT 2 UNION SELECT 3)',
    'SELECT * FROM (SELECT 1 UNION SELECT 2 EXCEPT SELECT 3) t',
    'SELECT * FROM a JOIN (b JOIN c ON 1) ON 2, d',
    'SELECT * FROM a LEFT JOIN b USING (x, y) CROSS JOIN c WHERE EXISTS (SELECT 1) GROUP BY 1 HAVING 2 ORDER BY 3 DESC NULLS LAST LIMIT 1',
    'WITH a AS (SELECT 1), b AS (SELECT 2) SELECT DISTINCT a.*, count(*) AS `x y` FROM a',
    '(SELECT 1 LIMIT 1) UNION ALL (SELECT 2 ORDER BY 1)',
  ])('%s', (sql) => {
    const tree = parseStatement(sql);
    if (tree.kind !== 'select') throw new Error(tree.kind);
    const again = parseStatement(printSelect(tree.select));
    expect(withoutTexts(again)).toEqual(withoutTexts(tree));
  });
});
