/**
 * Trees back to text, as StarRocks shows them: columns in backquotes, strings in single quotes. What is printed parses
 * to the same tree.
 */
import { unreachable } from '../base/assert.ts';
import type { SqlType } from '../base/sql-type.ts';
import type { Expr } from './ast/expr.ts';
import type {
  FromItem,
  OrderItem,
  Select,
  SelectBody,
  SelectItem,
  UnionSelect,
} from './ast/select.ts';

export function quoteIdent(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

const ESCAPED: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\b': '\\b',
  '\0': '\\0',
  '\x1a': '\\Z',
};

export function quoteString(text: string): string {
  return `'${text.replace(/[\\'\n\t\r\x08\0\x1a]/g, (c) => ESCAPED[c] ?? c)}'`;
}

export function printType(type: SqlType): string {
  if (type.name === 'CHAR' || type.name === 'VARCHAR') return `${type.name}(${type.length ?? 1})`;
  if (type.name === 'DECIMAL') return `DECIMAL(${type.precision ?? 10},${type.scale ?? 0})`;
  return type.name;
}

const path = (names: readonly string[]) => names.map(quoteIdent).join('.');
const list = (exprs: readonly Expr[]) => exprs.map(printExpr).join(', ');

/** What binds at least as tightly as an argument needs no parentheses. */
function operand(expr: Expr): string {
  switch (expr.kind) {
    case 'binary':
    case 'unary':
    case 'isNull':
    case 'isBool':
    case 'in':
    case 'inSelect':
    case 'between':
    case 'like':
      return `(${printExpr(expr)})`;
    default:
      return printExpr(expr);
  }
}

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'null':
      return 'NULL';
    case 'boolean':
      return expr.value ? 'TRUE' : 'FALSE';
    case 'number':
      return expr.text;
    case 'string':
      return quoteString(expr.value);
    case 'column':
      return path(expr.path);
    case 'star':
      return expr.path.length === 0 ? '*' : `${path(expr.path)}.*`;
    case 'variable':
      if (expr.scope === 'user') return `@${quoteIdent(expr.name)}`;
      return expr.scope === 'global' ? `@@global.${expr.name}` : `@@${expr.name}`;
    case 'unary':
      return expr.op === 'NOT' ? `NOT ${operand(expr.arg)}` : `${expr.op}${operand(expr.arg)}`;
    case 'binary':
      return `${operand(expr.left)} ${expr.op} ${operand(expr.right)}`;
    case 'isNull':
      return `${operand(expr.arg)} IS ${expr.not ? 'NOT ' : ''}NULL`;
    case 'isBool':
      return `${operand(expr.arg)} IS ${expr.not ? 'NOT ' : ''}${expr.value ? 'TRUE' : 'FALSE'}`;
    case 'in':
      return `${operand(expr.arg)} ${expr.not ? 'NOT ' : ''}IN (${list(expr.list)})`;
    case 'inSelect':
      return `${operand(expr.arg)} ${expr.not ? 'NOT ' : ''}IN (${printSelect(expr.select)})`;
    case 'exists':
      return `EXISTS (${printSelect(expr.select)})`;
    case 'scalarSelect':
      return `(${printSelect(expr.select)})`;
    case 'between': {
      const not = expr.not ? 'NOT ' : '';
      return `${operand(expr.arg)} ${not}BETWEEN ${operand(expr.low)} AND ${operand(expr.high)}`;
    }
    case 'like':
      return `${operand(expr.arg)} ${expr.not ? 'NOT ' : ''}${expr.op} ${operand(expr.pattern)}`;
    case 'case': {
      const head = expr.operand === undefined ? 'CASE' : `CASE ${printExpr(expr.operand)}`;
      const whens = expr.whens.map(
        ({ when, then }) => `WHEN ${printExpr(when)} THEN ${printExpr(then)}`,
      );
      const tail = expr.otherwise === undefined ? [] : [`ELSE ${printExpr(expr.otherwise)}`];
      return [head, ...whens, ...tail, 'END'].join(' ');
    }
    case 'cast':
      return `CAST(${printExpr(expr.arg)} AS ${printType(expr.type)})`;
    case 'call':
      return `${expr.name}(${expr.distinct ? 'DISTINCT ' : ''}${list(expr.args)})`;
    case 'interval':
      return `INTERVAL ${operand(expr.value)} ${expr.unit}`;
    case 'typed':
      return `${expr.type.name} ${quoteString(expr.text)}`;
    default:
      return unreachable(expr);
  }
}

export function printSelect(select: Select): string {
  const withs = select.with.map((one) => `${quoteIdent(one.name)} AS (${printSelect(one.select)})`);
  const head = withs.length === 0 ? '' : `WITH ${withs.join(', ')} `;
  return head + printBody(select.body);
}

function printBody(body: SelectBody): string {
  const tail = printOrder(body.orderBy) + printLimit(body.limit);
  if (body.kind === 'union') {
    const left = leansLeft(body) ? printSelect(body.left) : printTerm(body.left);
    return `${left} ${body.op} ${printTerm(body.right)}${tail}`;
  }
  const parts = [
    `SELECT ${body.distinct ? 'DISTINCT ' : ''}${body.items.map(printItem).join(', ')}`,
  ];
  if (body.from !== undefined) parts.push(`FROM ${printFrom(body.from)}`);
  if (body.where !== undefined) parts.push(`WHERE ${printExpr(body.where)}`);
  if (body.groupBy.length > 0) parts.push(`GROUP BY ${list(body.groupBy)}`);
  if (body.having !== undefined) parts.push(`HAVING ${printExpr(body.having)}`);
  return parts.join(' ') + tail;
}

/** Parsed without parentheses it is the same tree; with them a subquery would start with two of them. */
function leansLeft({ op, left }: UnionSelect): boolean {
  const { body } = left;
  if (left.with.length > 0 || body.kind !== 'union') return false;
  if (body.orderBy.length > 0 || body.limit !== undefined) return false;
  return op !== 'INTERSECT' || body.op === 'INTERSECT';
}

function printTerm(select: Select): string {
  const plain = select.with.length === 0 && select.body.kind === 'select';
  return plain ? printSelect(select) : `(${printSelect(select)})`;
}

function printItem({ expr, alias }: SelectItem): string {
  return alias === undefined ? printExpr(expr) : `${printExpr(expr)} AS ${quoteIdent(alias)}`;
}

function printFrom(item: FromItem): string {
  switch (item.kind) {
    case 'table': {
      const { db, name } = item.table;
      const table = db === undefined ? quoteIdent(name) : path([db, name]);
      return item.alias === undefined ? table : `${table} AS ${quoteIdent(item.alias)}`;
    }
    case 'select':
      return `(${printSelect(item.select)}) AS ${quoteIdent(item.alias)}`;
    case 'join': {
      const right =
        item.right.kind === 'join' ? `(${printFrom(item.right)})` : printFrom(item.right);
      const on = item.on === undefined ? '' : ` ON ${printExpr(item.on)}`;
      const using =
        item.using === undefined ? '' : ` USING (${item.using.map(quoteIdent).join(', ')})`;
      return `${printFrom(item.left)} ${item.type} JOIN ${right}${on}${using}`;
    }
    default:
      return unreachable(item);
  }
}

export function printOrder(items: readonly OrderItem[]): string {
  if (items.length === 0) return '';
  const texts = items.map(({ expr, descending, nullsFirst }) => {
    const nulls = nullsFirst === undefined ? '' : nullsFirst ? ' NULLS FIRST' : ' NULLS LAST';
    return `${printExpr(expr)}${descending ? ' DESC' : ''}${nulls}`;
  });
  return ` ORDER BY ${texts.join(', ')}`;
}

function printLimit(limit: { count: number; offset: number } | undefined): string {
  if (limit === undefined) return '';
  return ` LIMIT ${limit.count}${limit.offset === 0 ? '' : ` OFFSET ${limit.offset}`}`;
}
