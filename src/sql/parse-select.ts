/** SELECT: items, FROM with joins and subqueries, WITH, UNION, ORDER BY, LIMIT. */
import type { Expr } from './ast/expr.ts';
import type {
  FromItem,
  OrderItem,
  Select,
  SelectBody,
  SelectCore,
  SelectItem,
  TableName,
  UnionSelect,
} from './ast/select.ts';
import { ExprParser } from './parse-expr.ts';
import type { TokenCursor } from './token-cursor.ts';

export function parseExpression(cursor: TokenCursor): Expr {
  return new ExprParser(cursor, parseSelect).parse();
}

export function parseTableName(cursor: TokenCursor): TableName {
  const first = cursor.name();
  if (!cursor.accept('.')) return { name: first };
  return { db: first, name: cursor.nameAfterDot() };
}

export function parseSelect(cursor: TokenCursor): Select {
  const withs: { name: string; select: Select }[] = [];
  if (cursor.accept('WITH')) {
    withs.push(
      ...cursor.list(() => {
        const name = cursor.name();
        cursor.expect('AS');
        const select = cursor.inParentheses(() => cursor.nested(() => parseSelect(cursor)));
        return { name, select };
      }),
    );
  }
  return { with: withs, body: parseBody(cursor) };
}

type SetOp = UnionSelect['op'];

function parseSetOp(cursor: TokenCursor, words: readonly string[]): SetOp | undefined {
  const word = cursor.acceptOneOf(...words);
  if (word === undefined) return undefined;
  if (word === 'UNION' && cursor.accept('ALL')) return 'UNION ALL';
  cursor.accept('DISTINCT');
  return word === 'UNION' ? 'UNION' : word === 'INTERSECT' ? 'INTERSECT' : 'EXCEPT';
}

/** Loosest first: INTERSECT binds tighter than the others; all lean to the left. */
const SET_LEVELS: readonly (readonly string[])[] = [['UNION', 'EXCEPT', 'MINUS'], ['INTERSECT']];

function parseSetLevel(cursor: TokenCursor, level: number): SelectBody {
  const words = SET_LEVELS[level];
  if (words === undefined) return parseTerm(cursor);
  let body = parseSetLevel(cursor, level + 1);
  for (let op = parseSetOp(cursor, words); op !== undefined; op = parseSetOp(cursor, words)) {
    cursor.countNode();
    cursor.grow(cursor.height + 1);
    const left: Select = { with: [], body };
    const right: Select = { with: [], body: parseSetLevel(cursor, level + 1) };
    body = { kind: 'union', op, left, right, orderBy: [] };
  }
  return body;
}

function parseBody(cursor: TokenCursor): SelectBody {
  const body = parseSetLevel(cursor, 0);
  const orderBy = parseOrderBy(cursor);
  const limit = parseLimit(cursor);
  if (orderBy.length === 0 && limit === undefined) return body;
  return { ...body, orderBy, ...(limit === undefined ? {} : { limit }) };
}

function parseTerm(cursor: TokenCursor): SelectBody {
  if (cursor.accept('(')) {
    const inner = cursor.nested(() => parseSelect(cursor));
    cursor.expect(')');
    if (
      inner.with.length === 0 &&
      inner.body.orderBy.length === 0 &&
      inner.body.limit === undefined
    ) {
      return inner.body;
    }
    const from: FromItem = { kind: 'select', select: inner, alias: '_t' };
    const star: SelectItem = { expr: { kind: 'star', path: [] }, text: '*' };
    return { kind: 'select', distinct: false, items: [star], from, groupBy: [], orderBy: [] };
  }
  return parseCore(cursor);
}

function parseCore(cursor: TokenCursor): SelectCore {
  cursor.expect('SELECT');
  const distinct = cursor.acceptOneOf('DISTINCT', 'ALL') === 'DISTINCT';
  const items = cursor.list(() => parseItem(cursor));
  const from = cursor.accept('FROM') && !cursor.accept('DUAL') ? parseFrom(cursor) : undefined;
  const where = cursor.accept('WHERE') ? parseExpression(cursor) : undefined;
  const groupBy = cursor.acceptPhrase('GROUP', 'BY')
    ? cursor.list(() => parseExpression(cursor))
    : [];
  const having = cursor.accept('HAVING') ? parseExpression(cursor) : undefined;
  return {
    kind: 'select',
    distinct,
    items,
    groupBy,
    orderBy: [],
    ...(from === undefined ? {} : { from }),
    ...(where === undefined ? {} : { where }),
    ...(having === undefined ? {} : { having }),
  };
}

function parseItem(cursor: TokenCursor): SelectItem {
  const start = cursor.token.start;
  const expr = parseExpression(cursor);
  const text = cursor.sql.slice(start, cursor.endOfPrevious);
  const alias = parseAlias(cursor, true);
  return { expr, text, ...(alias === undefined ? {} : { alias }) };
}

function parseAlias(cursor: TokenCursor, strings: boolean): string | undefined {
  if (cursor.accept('AS')) {
    if (strings && cursor.token.kind === 'string') return cursor.string();
    return cursor.name();
  }
  if (strings && cursor.token.kind === 'string') return cursor.string();
  const { kind } = cursor.token;
  return (kind === 'word' || kind === 'quoted') && cursor.atName() ? cursor.name() : undefined;
}

function parseFrom(cursor: TokenCursor): FromItem {
  let left = parseJoins(cursor);
  while (cursor.accept(',')) {
    cursor.countNode();
    left = { kind: 'join', type: 'CROSS', left, right: parseJoins(cursor) };
    cursor.grow(cursor.height + 1);
  }
  return left;
}

function parseJoins(cursor: TokenCursor): FromItem {
  let left = parseFromItem(cursor);
  for (;;) {
    const type = parseJoinType(cursor);
    if (type === undefined) return left;
    cursor.countNode();
    const right = parseFromItem(cursor);
    cursor.grow(cursor.height + 1);
    if (cursor.accept('ON')) {
      left = { kind: 'join', type, left, right, on: parseExpression(cursor) };
    } else if (cursor.accept('USING')) {
      const using = cursor.inParentheses(() => cursor.list(() => cursor.name()));
      left = { kind: 'join', type, left, right, using };
    } else {
      if (type !== 'CROSS' && type !== 'INNER') cursor.fail();
      left = { kind: 'join', type: 'CROSS', left, right };
    }
  }
}

type JoinType = Extract<FromItem, { kind: 'join' }>['type'];

function parseJoinType(cursor: TokenCursor): JoinType | undefined {
  if (cursor.accept('JOIN')) return 'INNER';
  const word = cursor.acceptOneOf('INNER', 'CROSS', 'LEFT', 'RIGHT', 'FULL');
  if (word === undefined) return undefined;
  if (word === 'LEFT' || word === 'RIGHT' || word === 'FULL') cursor.accept('OUTER');
  cursor.expect('JOIN');
  return word as JoinType;
}

function parseFromItem(cursor: TokenCursor): FromItem {
  if (cursor.accept('(')) {
    if (cursor.token.upper === 'SELECT' || cursor.token.upper === 'WITH') {
      const select = cursor.nested(() => parseSelect(cursor));
      cursor.expect(')');
      const alias = parseAlias(cursor, false);
      return { kind: 'select', select, alias: alias ?? '_t' };
    }
    const inner = cursor.nested(() => parseFrom(cursor));
    cursor.expect(')');
    return inner;
  }
  const table = parseTableName(cursor);
  if (cursor.token.upper === '(')
    cursor.refuse(`the table function "${table.name}" is not supported yet`);
  // Not an alias: the columns that it joins by would be forgotten.
  if (cursor.token.upper === 'NATURAL') cursor.refuse('NATURAL JOIN is not supported yet');
  const alias = parseAlias(cursor, false);
  return { kind: 'table', table, ...(alias === undefined ? {} : { alias }) };
}

export function parseOrderBy(cursor: TokenCursor): OrderItem[] {
  if (!cursor.acceptPhrase('ORDER', 'BY')) return [];
  return cursor.list(() => {
    const expr = parseExpression(cursor);
    const descending = cursor.acceptOneOf('ASC', 'DESC') === 'DESC';
    if (!cursor.accept('NULLS')) return { expr, descending };
    return { expr, descending, nullsFirst: cursor.expectOneOf('FIRST', 'LAST') === 'FIRST' };
  });
}

export function parseLimit(cursor: TokenCursor): { count: number; offset: number } | undefined {
  if (!cursor.accept('LIMIT')) return undefined;
  const first = cursor.integer();
  if (cursor.accept(',')) return { offset: first, count: cursor.integer() };
  if (cursor.accept('OFFSET')) return { count: first, offset: cursor.integer() };
  return { count: first, offset: 0 };
}
