/** Expressions → DuckDB's SQL, with StarRocks' meaning (semantics.md 5.3). */
import { LoadError } from '../base/errors.ts';
import type { Expr } from '../sql/ast/expr.ts';
import { callSql } from './call-sql.ts';
import { type Category, castSql, categoryOf, textSql } from './cast-sql.ts';
import { boolSql, comparable, numberOf, unify } from './coerce-sql.ts';
import { selectSql, selectTyped } from './select-sql.ts';
import { ident, text } from './sql-text.ts';
import type { TranslateOptions, Typed } from './translate.types.ts';
import { trySql } from './try-sql.ts';

const SQL_LENGTH_MAX = 1024 * 1024;

type Of<Kind extends Expr['kind']> = Extract<Expr, { kind: Kind }>;

export function exprSql(expr: Expr, options: TranslateOptions): string {
  return typedSql(expr, options).sql;
}

/** As a condition. */
export function conditionSql(expr: Expr, options: TranslateOptions): string {
  return boolSql(typedSql(expr, options));
}

export function typedSql(expr: Expr, options: TranslateOptions): Typed {
  const made = typed(expr, options);
  // Some translations name their arguments more than once, which grows with each level.
  if (made.sql.length > SQL_LENGTH_MAX)
    throw new LoadError('SQL_TOO_LONG', 'an expression is too complex', { errno: 1064 });
  return made;
}

function typed(expr: Expr, options: TranslateOptions): Typed {
  const go = (part: Expr): Typed => typedSql(part, options);
  const bool = (part: Expr): string => boolSql(go(part));
  const not = (part: { readonly not: boolean }): string => (part.not ? 'NOT ' : '');
  switch (expr.kind) {
    case 'null':
      return { sql: 'NULL', cat: 'null' };
    case 'boolean':
      return { sql: expr.value ? 'TRUE' : 'FALSE', cat: 'bool' };
    case 'number':
      return numberSql(expr.text);
    case 'string':
      return { sql: text(expr.value), cat: 'text' };
    case 'typed':
      return { sql: castSql(text(expr.text), expr.type, 'text'), cat: categoryOf(expr.type) };
    case 'column':
      return (
        options.column?.(expr.path) ?? { sql: expr.path.slice(-2).map(ident).join('.'), cat: 'any' }
      );
    case 'star':
      return { sql: [...expr.path.slice(-1).map(ident), '*'].join('.'), cat: 'any' };
    case 'variable':
      return variableSql(expr, options);
    case 'unary':
      return unarySql(expr, go);
    case 'binary':
      return binarySql(expr, go);
    case 'isNull':
      return { sql: `(${go(expr.arg).sql} IS ${not(expr)}NULL)`, cat: 'bool' };
    case 'isBool':
      return {
        sql: `(${bool(expr.arg)} IS ${not(expr)}${expr.value ? 'TRUE' : 'FALSE'})`,
        cat: 'bool',
      };
    case 'in':
      return inSql(expr, go);
    case 'inSelect': {
      const select = selectSql(expr.select, options);
      return { sql: `(${go(expr.arg).sql} ${not(expr)}IN (${select}))`, cat: 'bool' };
    }
    case 'exists':
      return { sql: `EXISTS (${selectSql(expr.select, options)})`, cat: 'bool' };
    case 'scalarSelect': {
      const { sql, columns } = selectTyped(expr.select, options);
      return { sql: `(${sql})`, cat: columns[0]?.cat ?? 'any' };
    }
    case 'between': {
      const arg = go(expr.arg);
      const [a, low] = comparable(arg, go(expr.low), { a: expr.arg, b: expr.low });
      const [b, high] = comparable(arg, go(expr.high), { a: expr.arg, b: expr.high });
      return { sql: `(${not(expr)}(${a} >= ${low} AND ${b} <= ${high}))`, cat: 'bool' };
    }
    case 'like': {
      const { arg, pattern, op } = expr;
      const a = asText(go(arg));
      const b = asText(go(pattern));
      const made = op === 'LIKE' ? `(${a} LIKE ${b} ESCAPE '\\')` : `regexp_matches(${a}, ${b})`;
      return { sql: expr.not ? `(NOT ${made})` : made, cat: 'bool' };
    }
    case 'case':
      return caseSql(expr, go);
    case 'cast': {
      const arg = go(expr.arg);
      return { sql: castSql(arg.sql, expr.type, arg.cat), cat: categoryOf(expr.type) };
    }
    case 'interval':
      if (!/^(year|quarter|month|week|day|hour|minute|second)$/i.test(expr.unit))
        throw new LoadError('SQL_UNSUPPORTED', `unknown unit "${expr.unit}"`);
      return {
        sql: `to_${expr.unit.toLowerCase()}s(CAST(${numberOf(go(expr.value)).sql} AS INTEGER))`,
        cat: 'any',
      };
    case 'call':
      return callSql(expr, options);
  }
}

function asText({ sql, cat }: Typed): string {
  return cat === 'text' ? sql : textSql(sql, cat);
}

const WHOLE_MAX = 2n ** 63n;

function numberSql(written: string): Typed {
  if (!/^([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i.test(written))
    throw new LoadError('SQL_BAD_NUMBER', `bad number "${written.slice(0, 100)}"`);
  if (/e/i.test(written)) return { sql: written, cat: 'float' };
  if (written.includes('.')) {
    const long = written.length > 38;
    return long
      ? { sql: `CAST('${written}' AS DOUBLE)`, cat: 'float' }
      : { sql: written, cat: 'decimal' };
  }
  if (written.length > 38) return { sql: `CAST('${written}' AS DOUBLE)`, cat: 'float' };
  return { sql: written, cat: BigInt(written) < WHOLE_MAX ? 'int' : 'large' };
}

function variableSql(expr: Of<'variable'>, { context }: TranslateOptions): Typed {
  const name = `${expr.scope === 'user' ? '@' : '@@'}${expr.name.toLowerCase()}`;
  const value = context.variables?.[name];
  if (value !== undefined && value !== null)
    return typeof value === 'number'
      ? { sql: String(value), cat: Number.isInteger(value) ? 'int' : 'float' }
      : { sql: text(value), cat: 'text' };
  // A variable of the user that was never set is NULL.
  if (expr.scope === 'user' || value === null) return { sql: 'NULL', cat: 'null' };
  throw new LoadError('UNKNOWN_VARIABLE', `Unknown system variable '${expr.name}'`, {
    errno: 1193,
    sqlState: 'HY000',
  });
}

function unarySql(expr: Of<'unary'>, go: (part: Expr) => Typed): Typed {
  const arg = go(expr.arg);
  if (expr.op === 'NOT') return { sql: `(NOT ${boolSql(arg)})`, cat: 'bool' };
  if (expr.op === '~')
    return { sql: `(~ ${castSql(arg.sql, { name: 'BIGINT' }, arg.cat)})`, cat: 'int' };
  const { sql, cat } = numberOf(arg);
  return expr.op === '-' ? { sql: `(- ${sql})`, cat } : { sql: `(+ ${sql})`, cat };
}

const COMPARE: Readonly<Record<string, string>> = {
  '=': '=',
  '<=>': 'IS NOT DISTINCT FROM',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

function binarySql(expr: Of<'binary'>, go: (part: Expr) => Typed): Typed {
  const { op } = expr;
  const [left, right] = [go(expr.left), go(expr.right)];
  const compare = COMPARE[op];
  if (compare !== undefined) {
    const [a, b] = comparable(left, right, { a: expr.left, b: expr.right });
    return { sql: `(${a} ${compare} ${b})`, cat: 'bool' };
  }
  switch (op) {
    case 'AND':
    case 'OR':
      return { sql: `(${boolSql(left)} ${op} ${boolSql(right)})`, cat: 'bool' };
    case 'XOR':
      return { sql: `(${boolSql(left)} <> ${boolSql(right)})`, cat: 'bool' };
    case '->':
      return { sql: `json_extract(${left.sql}, ${right.sql})`, cat: 'text' };
    case '&':
    case '|':
    case '^': {
      const [a, b] = [left, right].map(({ sql, cat }) => castSql(sql, { name: 'BIGINT' }, cat));
      return { sql: op === '^' ? `xor(${a}, ${b})` : `(${a} ${op} ${b})`, cat: 'int' };
    }
    default:
      return mathSql(expr, left, right);
  }
}

function mathSql(expr: Of<'binary'>, left: Typed, right: Typed): Typed {
  const { op } = expr;
  if (expr.right.kind === 'interval') {
    const moment = castSql(left.sql, { name: 'DATETIME' }, left.cat);
    return { sql: trySql(expr, `${moment} ${op} ${right.sql}`), cat: 'datetime' };
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  const cats = new Set<Category>([a.cat, b.cat]);
  const double = ({ sql, cat }: Typed) => (cat === 'float' ? sql : `CAST(${sql} AS DOUBLE)`);
  if (op === '/') return { sql: `(${double(a)} / nullif(${double(b)}, 0))`, cat: 'float' };
  const whole = [...cats].every((cat) => cat === 'int' || cat === 'large' || cat === 'null');
  if (op === 'DIV') {
    // Whole numbers stay exact; what is beyond BIGINT is NULL.
    if (whole) return { sql: `(${wide(a)} // nullif(${wide(b)}, 0))`, cat: 'int' };
    return { sql: `TRY_CAST(trunc(${double(a)} / nullif(${double(b)}, 0)) AS BIGINT)`, cat: 'int' };
  }
  const divisor = op === '%' ? `nullif(${whole ? wide(b) : b.sql}, 0)` : whole ? wide(b) : b.sql;
  const sql = `${whole ? wide(a) : a.sql} ${op} ${divisor}`;
  if (cats.has('float')) return { sql: `(${sql})`, cat: 'float' };
  return { sql: trySql(expr, sql), cat: cats.has('large') ? 'large' : whole ? 'int' : 'decimal' };
}

/** The sum of two INTs is a BIGINT. */
function wide({ sql, cat }: Typed): string {
  return `CAST(${sql} AS ${cat === 'large' ? 'HUGEINT' : 'BIGINT'})`;
}

function inSql(expr: Of<'in'>, go: (part: Expr) => Typed): Typed {
  const arg = go(expr.arg);
  const pairs = expr.list.map((item) => comparable(arg, go(item), { a: expr.arg, b: item }));
  const not = expr.not ? 'NOT ' : '';
  if (pairs.every(([a]) => a === pairs[0]?.[0])) {
    const list = pairs.map(([, b]) => b).join(', ');
    return { sql: `(${pairs[0]?.[0] ?? arg.sql} ${not}IN (${list}))`, cat: 'bool' };
  }
  return { sql: `(${not}(${pairs.map(([a, b]) => `${a} = ${b}`).join(' OR ')}))`, cat: 'bool' };
}

function caseSql(expr: Of<'case'>, go: (part: Expr) => Typed): Typed {
  const { operand, whens, otherwise } = expr;
  const values = [...whens.map((w) => w.then), ...(otherwise === undefined ? [] : [otherwise])];
  const { sqls, cat } = unify(values.map(go));
  const made = whens.map(({ when }, i) => {
    if (operand === undefined) return `WHEN ${boolSql(go(when))} THEN ${sqls[i]}`;
    const [a, b] = comparable(go(operand), go(when), { a: operand, b: when });
    return `WHEN ${a} = ${b} THEN ${sqls[i]}`;
  });
  const tail = otherwise === undefined ? '' : ` ELSE ${sqls.at(-1)}`;
  return { sql: `CASE ${made.join(' ')}${tail} END`, cat };
}
