/** What names in expressions and queries mean, before anything is planned. */
import { LoadError } from '../base/errors.ts';
import { DOUBLE, type SqlType, VARCHAR } from '../base/sql-type.ts';
import type { Expr } from './ast/expr.ts';
import type { FromItem, Select, SelectBody, TableName } from './ast/select.ts';
import { type ArgType, findFunction } from './functions.ts';
import { childrenOf, mapExpr } from './walk.ts';

export interface ResolvedTable {
  readonly db: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
}
export type TableLookup = (db: string | undefined, name: string) => ResolvedTable | undefined;

const IMPLICIT: Readonly<Record<ArgType, SqlType>> = {
  any: VARCHAR,
  text: VARCHAR,
  interval: VARCHAR,
  int: { name: 'BIGINT' },
  double: DOUBLE,
  datetime: { name: 'DATETIME' },
};

/**
 * The type which an expression casts each bare column to (semantics.md 2.1 rule 2): of several, the last that is
 * not VARCHAR. Text for datetimes stays text, since forms such as 20200511 are read by the functions themselves.
 */
export function fieldTypesOf(expr: Expr): Map<string, SqlType> {
  const types = new Map<string, SqlType>();
  const visit = (part: Expr, type: SqlType): void => {
    if (part.kind === 'column') {
      const name = part.path.at(-1) ?? '';
      if (type.name !== 'VARCHAR' || !types.has(name)) types.set(name, type);
      return;
    }
    if (part.kind === 'call') {
      const { args } = findFunction(part.name, part.args.length);
      part.args.forEach((arg, i) => {
        const kind = args[Math.min(i, args.length - 1)] ?? 'any';
        visit(arg, kind === 'datetime' ? VARCHAR : IMPLICIT[kind]);
      });
      return;
    }
    const math = part.kind === 'binary' && ['+', '-', '*', '/', '%', 'DIV'].includes(part.op);
    const sign = part.kind === 'unary' && part.op !== 'NOT';
    for (const child of childrenOf(part)) visit(child, math || sign ? DOUBLE : VARCHAR);
  };
  visit(expr, VARCHAR);
  return types;
}

export function columnsOf(expr: Expr): Set<string> {
  const names = new Set<string>();
  const visit = (part: Expr): void => {
    if (part.kind === 'column') names.add(part.path.at(-1) ?? '');
    childrenOf(part).forEach(visit);
  };
  visit(expr);
  return names;
}

/** Load expressions see one row: no aggregates, no subqueries, no variables. */
export function checkLoadExpr(expr: Expr): void {
  if (expr.kind === 'inSelect' || expr.kind === 'exists' || expr.kind === 'scalarSelect')
    throw new LoadError('SQL_UNSUPPORTED', 'a load expression cannot hold a subquery');
  if (expr.kind === 'star' || expr.kind === 'variable')
    throw new LoadError('SQL_UNSUPPORTED', `a load expression cannot hold a ${expr.kind}`);
  if (expr.kind === 'call' && findFunction(expr.name, expr.args.length).aggregate)
    throw new LoadError(
      'SQL_UNSUPPORTED',
      `a load expression cannot hold the aggregate "${expr.name}"`,
    );
  childrenOf(expr).forEach(checkLoadExpr);
}

/** The tables that a query reads, each once; names of common table expressions are none. */
export function tablesOf(select: Select): TableName[] {
  const found = new Map<string, TableName>();
  mapSelect(select, new Set(), (table) => {
    found.set(`${table.db ?? ''}\0${table.name}`, table);
    return table;
  });
  return [...found.values()];
}

/** Gives every table its db, and refuses what is not there. */
export function resolveSelect(
  select: Select,
  lookup: TableLookup,
  currentDb: string | undefined,
): Select {
  return mapSelect(
    select,
    new Set(),
    (table) => {
      const db = table.db ?? currentDb;
      if (db === undefined)
        throw new LoadError('SQL_NO_DB', 'No database selected', {
          errno: 1046,
          sqlState: '3D000',
        });
      const found = lookup(db, table.name);
      if (found === undefined)
        throw new LoadError('SQL_UNKNOWN_TABLE', `Unknown table '${db}.${table.name}'`, {
          errno: 5502,
          sqlState: '42S02',
        });
      return { db: found.db, name: found.name };
    },
    lookup,
  );
}

function mapSelect(
  select: Select,
  outer: ReadonlySet<string>,
  onTable: (table: TableName) => TableName,
  lookup?: TableLookup,
  nested = false,
): Select {
  const ctes = new Set(outer);
  const withs = select.with.map((item) => {
    const inner = mapSelect(item.select, ctes, onTable, lookup);
    ctes.add(item.name.toLowerCase());
    return { name: item.name, select: inner };
  });
  const expr = (part: Expr): Expr => {
    if (part.kind === 'call') findFunction(part.name, part.args.length);
    return mapExpr(part, expr, (sub) => mapSelect(sub, ctes, onTable, lookup, true));
  };
  const from = (item: FromItem): FromItem => {
    switch (item.kind) {
      case 'table':
        if (item.table.db === undefined && ctes.has(item.table.name.toLowerCase())) return item;
        return { ...item, table: onTable(item.table), alias: item.alias ?? item.table.name };
      case 'select':
        return { ...item, select: mapSelect(item.select, ctes, onTable, lookup) };
      case 'join':
        return {
          ...item,
          left: from(item.left),
          right: from(item.right),
          ...(item.on === undefined ? {} : { on: expr(item.on) }),
        };
    }
  };
  const order = (body: SelectBody) => body.orderBy.map((o) => ({ ...o, expr: expr(o.expr) }));
  const bodyOf = (body: SelectBody): SelectBody => {
    if (body.kind === 'union')
      return {
        ...body,
        left: mapSelect(body.left, ctes, onTable, lookup, nested),
        right: mapSelect(body.right, ctes, onTable, lookup, nested),
        orderBy: order(body),
      };
    const made: SelectBody = {
      ...body,
      items: body.items.map((item) => ({ ...item, expr: expr(item.expr) })),
      ...(body.from === undefined ? {} : { from: from(body.from) }),
      ...(body.where === undefined ? {} : { where: expr(body.where) }),
      groupBy: body.groupBy.map(expr),
      ...(body.having === undefined ? {} : { having: expr(body.having) }),
      orderBy: order(body),
    };
    if (lookup !== undefined && !nested) checkColumns(made, ctes, lookup);
    return made;
  };
  return { with: withs, body: bodyOf(select.body) };
}

/** Only where every source is a plain table; the engine checks the rest. */
function checkColumns(body: SelectBody, ctes: ReadonlySet<string>, lookup: TableLookup): void {
  if (body.kind === 'union') return;
  const names = new Set<string>();
  const gather = (item: FromItem): boolean => {
    if (item.kind === 'join') return gather(item.left) && gather(item.right);
    if (item.kind === 'select') return false;
    if (item.table.db === undefined && ctes.has(item.table.name.toLowerCase())) return false;
    for (const c of lookup(item.table.db, item.table.name)?.columns ?? [])
      names.add(c.name.toLowerCase());
    return true;
  };
  if (body.from !== undefined && !gather(body.from)) return;
  for (const item of body.items) if (item.alias !== undefined) names.add(item.alias.toLowerCase());
  const parts = [
    ...body.items.map((i) => i.expr),
    ...body.groupBy,
    ...body.orderBy.map((o) => o.expr),
  ];
  if (body.where !== undefined) parts.push(body.where);
  if (body.having !== undefined) parts.push(body.having);
  for (const part of parts)
    for (const name of columnsOf(part))
      if (!names.has(name.toLowerCase()))
        throw new LoadError('SQL_UNKNOWN_COLUMN', `Column '${name}' cannot be resolved`, {
          errno: 1054,
          sqlState: '42S22',
        });
}
