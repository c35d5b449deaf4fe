/** Implicit conversions: what StarRocks makes of operands of different types, and DuckDB refuses or reads otherwise. */
import { parseDatetime } from '../formats/cast/date.ts';
import type { Expr } from '../sql/ast/expr.ts';
import { type Category, castSql, isNumber, textSql } from './cast-sql.ts';
import type { Typed } from './translate.types.ts';

const isTime = (cat: Category): boolean => cat === 'date' || cat === 'datetime';

/** A condition: numbers are TRUE where they are not 0. */
export function boolSql({ sql, cat }: Typed): string {
  return cat === 'bool' ? sql : castSql(sql, { name: 'BOOLEAN' }, cat);
}

/** An operand of arithmetic. */
export function numberOf(value: Typed): Typed {
  const { sql, cat } = value;
  if (cat === 'text') return { sql: castSql(sql, { name: 'DOUBLE' }, cat), cat: 'float' };
  if (cat === 'bool') return { sql: `CAST(${sql} AS TINYINT)`, cat: 'int' };
  if (isTime(cat)) return { sql: castSql(sql, { name: 'BIGINT' }, cat), cat: 'int' };
  // Nothing is known: a number stays one, a text becomes one.
  if (cat === 'any') return { sql: castSql(sql, { name: 'DOUBLE' }, cat), cat: 'float' };
  return value;
}

/** `a` and `b` such that they can be compared. `exprs`: as they were written, for literals. */
export function comparable(
  a: Typed,
  b: Typed,
  exprs: { readonly a?: Expr; readonly b?: Expr } = {},
): [string, string] {
  if (a.cat === 'text' && b.cat !== 'text') {
    const [y, x] = comparable(b, a, { ...(exprs.a === undefined ? {} : { b: exprs.a }) });
    return [x, y];
  }
  if (b.cat !== 'text') {
    if (isTime(a.cat) && isNumber(b.cat))
      return [a.sql, castSql(b.sql, { name: 'DATETIME' }, b.cat)];
    if (isNumber(a.cat) && isTime(b.cat))
      return [castSql(a.sql, { name: 'DATETIME' }, a.cat), b.sql];
    return [a.sql, b.sql];
  }
  const literal = exprs.b?.kind === 'string' ? exprs.b.value : undefined;
  if (a.cat === 'bool') return [a.sql, castSql(b.sql, { name: 'BOOLEAN' }, 'text')];
  if (isNumber(a.cat)) {
    // A literal that is a plain number is compared exactly, and the filter reaches the files.
    if (literal !== undefined && /^\s*[+-]?[0-9]{1,30}(\.[0-9]{1,8})?\s*$/.test(literal))
      return [numberOf(a).sql, literal.trim().replace(/^\+/, '')];
    return [castSql(a.sql, { name: 'DOUBLE' }, a.cat), castSql(b.sql, { name: 'DOUBLE' }, 'text')];
  }
  if (isTime(a.cat)) {
    const micros = literal === undefined ? undefined : parseDatetime(literal.trim(), false);
    if (micros === undefined)
      return [`CAST(${a.sql} AS TIMESTAMP)`, castSql(b.sql, { name: 'DATETIME' }, 'text')];
    const day = a.cat === 'date' && micros % 86_400_000_000n === 0n;
    return [a.sql, day ? `CAST(make_timestamp(${micros}) AS DATE)` : `make_timestamp(${micros})`];
  }
  return [a.sql, b.sql];
}

/** The one type of CASE, IF, COALESCE and their like. */
export function unify(values: readonly Typed[]): {
  readonly sqls: readonly string[];
  readonly cat: Category;
} {
  const cats = new Set(values.map(({ cat }) => cat).filter((cat) => cat !== 'null'));
  const sqls = values.map(({ sql }) => sql);
  const [only] = cats;
  if (only === undefined) return { sqls, cat: 'null' };
  if (cats.size === 1) return { sqls, cat: only };
  if (cats.has('any')) return { sqls, cat: 'any' };
  const all = [...cats];
  if (all.every((cat) => isNumber(cat) || cat === 'bool')) {
    const numbers = values.map((value) => (value.cat === 'bool' ? numberOf(value).sql : value.sql));
    const cat = cats.has('float')
      ? 'float'
      : cats.has('decimal')
        ? 'decimal'
        : cats.has('large')
          ? 'large'
          : 'int';
    return { sqls: numbers, cat };
  }
  if (all.every(isTime))
    return { sqls: values.map(({ sql }) => `CAST(${sql} AS TIMESTAMP)`), cat: 'datetime' };
  return {
    sqls: values.map(({ sql, cat }) => (cat === 'null' ? sql : textSql(sql, cat))),
    cat: 'text',
  };
}
