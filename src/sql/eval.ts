/**
 * A small evaluator for what the FE answers by itself: WHERE of SHOW statements, VALUES, and SELECTs of literals and
 * variables. Three-valued; whole numbers stay exact. What it does not know is an error of the statement.
 */
import { LoadError } from '../base/errors.ts';
import type { Expr } from './ast/expr.ts';
import type { ShowFilter } from './ast/statement.ts';
import { printExpr } from './printer.ts';

export type Value = string | number | bigint | boolean | null;

export interface EvalScope {
  /** `undefined`: no such column. */
  column?(path: readonly string[]): Value | undefined;
  variable?(scope: 'user' | 'session' | 'global', name: string): Value | undefined;
  /** `undefined`: not known here. */
  call?(name: string, args: readonly Value[]): Value | undefined;
}

/** What only the engine can compute; callers may catch it by its code. */
export function notHere(expr: Expr): LoadError {
  return new LoadError(
    'EVAL_UNSUPPORTED',
    `the expression ${printExpr(expr)} is not supported here`,
  );
}

export function evalExpr(expr: Expr, scope: EvalScope = {}): Value {
  const value = (one: Expr) => evalExpr(one, scope);
  switch (expr.kind) {
    case 'null':
      return null;
    case 'boolean':
      return expr.value;
    case 'number':
      return number(expr.text);
    case 'string':
      return expr.value;
    case 'typed':
      return expr.text;
    case 'column': {
      const found = scope.column?.(expr.path);
      if (found !== undefined) return found;
      throw new LoadError('UNKNOWN_COLUMN', `Column '${expr.path.join('.')}' cannot be resolved`, {
        errno: 1054,
        sqlState: '42S22',
      });
    }
    case 'variable': {
      const found = scope.variable?.(expr.scope, expr.name);
      if (found !== undefined) return found;
      if (expr.scope === 'user') return null;
      throw new LoadError('UNKNOWN_VARIABLE', `Unknown system variable '${expr.name}'`, {
        errno: 1193,
      });
    }
    case 'unary':
      return unary(expr, value(expr.arg));
    case 'binary':
      if (expr.op === 'AND' || expr.op === 'OR')
        return logical(expr.op, value(expr.left), () => value(expr.right));
      return binary(expr, value(expr.left), value(expr.right));
    case 'isNull':
      return (value(expr.arg) === null) !== expr.not;
    case 'isBool': {
      const found = truth(value(expr.arg));
      return (found === expr.value) !== expr.not;
    }
    case 'in': {
      const found = expr.list.map((one) => compare(value(expr.arg), value(one)));
      const hit = found.some((order) => order === 0);
      if (!hit && found.includes(null)) return null;
      return hit !== expr.not;
    }
    case 'between': {
      const arg = value(expr.arg);
      const low = compare(arg, value(expr.low));
      const high = compare(arg, value(expr.high));
      if (low === null || high === null) return null;
      return (low >= 0 && high <= 0) !== expr.not;
    }
    case 'like': {
      const arg = value(expr.arg);
      const pattern = value(expr.pattern);
      if (arg === null || pattern === null) return null;
      if (expr.op !== 'LIKE') throw notHere(expr);
      return likeMatches(String(arg), String(pattern)) !== expr.not;
    }
    case 'case': {
      const operand = expr.operand === undefined ? undefined : value(expr.operand);
      for (const { when, then } of expr.whens) {
        const test = value(when);
        const hit = operand === undefined ? truth(test) === true : compare(operand, test) === 0;
        if (hit) return value(then);
      }
      return expr.otherwise === undefined ? null : value(expr.otherwise);
    }
    case 'call': {
      const found = scope.call?.(expr.name, expr.args.map(value));
      if (found !== undefined) return found;
      throw notHere(expr);
    }
    default:
      throw notHere(expr);
  }
}

/** A number's exact value where a double or a bigint has it; else its text is kept as a decimal literal. */
function number(text: string): Value {
  if (/^[0-9]+$/.test(text)) {
    const exact = BigInt(text);
    return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(text) : exact;
  }
  // 1.50 stays "1.50": a DECIMAL column wants its digits, not a double.
  return /e/i.test(text) ? Number(text) : text;
}

function truth(value: Value): boolean | null {
  if (value === null) return null;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return Number(value) !== 0;
  return value !== 0 && value !== 0n;
}

function logical(op: 'AND' | 'OR', left: Value, right: () => Value): Value {
  const stop = op === 'OR';
  const first = truth(left);
  if (first === stop) return stop;
  const second = truth(right());
  if (second === stop) return stop;
  return first === null || second === null ? null : !stop;
}

function unary(expr: Extract<Expr, { kind: 'unary' }>, arg: Value): Value {
  if (arg === null) return null;
  switch (expr.op) {
    case 'NOT': {
      const found = truth(arg);
      return found === null ? null : !found;
    }
    case '+':
      return arg;
    case '-':
      if (typeof arg === 'string') return arg.startsWith('-') ? arg.slice(1) : `-${arg}`;
      return typeof arg === 'bigint' ? -arg : -Number(arg);
    default:
      throw notHere(expr);
  }
}

function binary(expr: Extract<Expr, { kind: 'binary' }>, left: Value, right: Value): Value {
  if (expr.op === '<=>') {
    return left === null || right === null ? left === right : compare(left, right) === 0;
  }
  if (left === null || right === null) return null;
  const order = compare(left, right);
  switch (expr.op) {
    case '=':
      return order === 0;
    case '<>':
      return order !== 0;
    case '<':
      return order !== null && order < 0;
    case '<=':
      return order !== null && order <= 0;
    case '>':
      return order !== null && order > 0;
    case '>=':
      return order !== null && order >= 0;
    case '+':
    case '-':
    case '*':
      return arithmetic(expr, left, right);
    default:
      throw notHere(expr);
  }
}

function arithmetic(expr: Extract<Expr, { kind: 'binary' }>, left: Value, right: Value): Value {
  const whole = (value: Value): bigint | undefined =>
    typeof value === 'bigint'
      ? value
      : Number.isSafeInteger(value)
        ? BigInt(Number(value))
        : undefined;
  const a = whole(left);
  const b = whole(right);
  // Decimals are the engine's: a double would lose digits.
  if (a === undefined || b === undefined) throw notHere(expr);
  const result = expr.op === '+' ? a + b : expr.op === '-' ? a - b : a * b;
  const small = Number(result);
  return Number.isSafeInteger(small) ? small : result;
}

/** `null` where one side is NULL. Text that looks like a number is compared as one with numbers. */
export function compare(left: Value, right: Value): number | null {
  if (left === null || right === null) return null;
  if (typeof left === 'string' && typeof right === 'string') {
    return left < right ? -1 : left > right ? 1 : 0;
  }
  const a = numeric(left);
  const b = numeric(right);
  return a < b ? -1 : a > b ? 1 : 0;
}

function numeric(value: Exclude<Value, null>): number | bigint {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return /^\s*-?[0-9]+\s*$/.test(value) ? BigInt(value) : Number(value);
}

/** LIKE with `%`, `_` and backslash: greedy with one point of return, so that no pattern takes exponential time. */
export function likeMatches(text: string, pattern: string): boolean {
  const chars = [...text];
  const parts: { char: string; kind: 'one' | 'any' | 'many' }[] = [];
  const points = [...pattern];
  for (let i = 0; i < points.length; i++) {
    const char = points[i] ?? '';
    if (char === '\\' && i + 1 < points.length) {
      i += 1;
      parts.push({ char: points[i] ?? '', kind: 'one' });
    } else {
      parts.push({ char, kind: char === '%' ? 'many' : char === '_' ? 'any' : 'one' });
    }
  }
  let at = 0;
  let part = 0;
  let back = -1;
  let backAt = 0;
  while (at < chars.length) {
    const one = parts[part];
    if (one?.kind === 'many') {
      back = part++;
      backAt = at;
    } else if (one !== undefined && (one.kind === 'any' || one.char === chars[at])) {
      part += 1;
      at += 1;
    } else if (back >= 0) {
      part = back + 1;
      at = ++backAt;
    } else return false;
  }
  while (parts[part]?.kind === 'many') part += 1;
  return part === parts.length;
}

export type Row = readonly (string | null)[];

/**
 * LIKE, WHERE, ORDER BY and LIMIT of a SHOW statement over rows of text. Columns named in `numeric` compare as numbers;
 * names fold their case. LIKE goes to `likeColumn` (default: the first) without regard to case.
 */
export function applyShowFilter(
  rows: readonly Row[],
  columns: readonly string[],
  filter: ShowFilter,
  options: { likeColumn?: number; numeric?: readonly string[] } = {},
): Row[] {
  const index = new Map(columns.map((name, i) => [name.toLowerCase(), i]));
  const numbers = new Set(options.numeric?.map((name) => name.toLowerCase()));
  const scopeOf = (row: Row): EvalScope => ({
    column(path) {
      const name = (path.at(-1) ?? '').toLowerCase();
      const i = index.get(name);
      if (i === undefined) return undefined;
      const text = row[i] ?? null;
      return text !== null && numbers.has(name) ? (number(text) ?? text) : text;
    },
  });
  let found = rows.filter((row) => {
    if (filter.like !== undefined) {
      const text = row[options.likeColumn ?? 0] ?? '';
      if (!likeMatches(text.toLowerCase(), filter.like.toLowerCase())) return false;
    }
    return filter.where === undefined || truth(evalExpr(filter.where, scopeOf(row))) === true;
  });
  for (const { expr, descending } of [...(filter.orderBy ?? [])].reverse()) {
    const keyed = found.map((row) => ({ row, key: evalExpr(expr, scopeOf(row)) }));
    keyed.sort((a, b) => {
      const order =
        a.key === null || b.key === null ? nullOrder(a.key, b.key) : (compare(a.key, b.key) ?? 0);
      return descending ? -order : order;
    });
    found = keyed.map(({ row }) => row);
  }
  if (filter.limit === undefined) return found;
  const { count, offset } = filter.limit;
  return found.slice(offset, offset + count);
}

function nullOrder(a: Value, b: Value): number {
  return Number(b === null) - Number(a === null);
}
