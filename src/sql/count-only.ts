/** `SELECT count(*) FROM t` and nothing else: what asks for a number that is known without a look at a row. */
import type { Select, TableName } from './ast/select.ts';

export interface CountOnly {
  readonly table: TableName;
  /** Of the result's one column. */
  readonly name: string;
}

export function countOnly({ with: withs, body }: Select): CountOnly | undefined {
  if (withs.length > 0 || body.kind !== 'select' || body.from?.kind !== 'table') return undefined;
  const [item, ...others] = body.items;
  if (item === undefined || others.length > 0) return undefined;
  const { expr } = item;
  if (expr.kind !== 'call' || expr.name !== 'count' || expr.distinct) return undefined;
  const [arg, ...args] = expr.args;
  if (args.length > 0 || (arg !== undefined && arg.kind !== 'star')) return undefined;
  const more = [body.where, body.having, body.limit, ...body.groupBy, ...body.orderBy];
  if (more.some((one) => one !== undefined)) return undefined;
  return { table: body.from.table, name: item.alias ?? item.text };
}
