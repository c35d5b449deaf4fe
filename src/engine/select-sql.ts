/**
 * SELECT → DuckDB's SQL, and which columns it has: comparisons and casts depend on their types. A name stands for what the
 * statement's own tables have; where nothing is known of it, DuckDB resolves it.
 */
import { LoadError } from '../base/errors.ts';
import type { FromItem, OrderItem, Select, SelectBody, SelectCore } from '../sql/ast/select.ts';
import { type Category, categoryOf } from './cast-sql.ts';
import { conditionSql, exprSql, typedSql } from './expr-sql.ts';
import { ident } from './sql-text.ts';
import type { TranslateOptions, Typed } from './translate.types.ts';

interface Column {
  readonly name: string;
  readonly cat: Category;
}

interface Relation {
  readonly alias: string;
  readonly columns: readonly Column[];
}

interface Made {
  readonly sql: string;
  readonly columns: readonly Column[];
}

/** Common table expressions by their names in lower case. */
type Withs = ReadonlyMap<string, readonly Column[]>;

interface Scope extends TranslateOptions {
  readonly withs?: Withs;
}

export function selectSql(select: Select, options: TranslateOptions): string {
  return selectTyped(select, options).sql;
}

export function selectTyped(select: Select, options: TranslateOptions): Made {
  const withs = new Map((options as Scope).withs);
  const scope: Scope = { ...options, withs };
  const made = select.with.map((one) => {
    const { sql, columns } = selectTyped(one.select, scope);
    withs.set(one.name.toLowerCase(), columns);
    return `${ident(one.name)} AS (${sql})`;
  });
  const body = bodySql(select.body, scope);
  return {
    sql: `${made.length === 0 ? '' : `WITH ${made.join(', ')} `}${body.sql}`,
    columns: body.columns,
  };
}

function bodySql(body: SelectBody, options: Scope): Made {
  if (body.kind === 'union') {
    const [left, right] = [selectTyped(body.left, options), selectTyped(body.right, options)];
    const columns = left.columns.map(({ name, cat }, i) => {
      return { name, cat: cat === right.columns[i]?.cat ? cat : ('any' as const) };
    });
    const tail = tailSql(body, { ...options, column: namesOf([{ alias: '', columns }], options) });
    return { sql: `(${left.sql}) ${body.op} (${right.sql})${tail}`, columns };
  }
  return coreSql(body, options);
}

function coreSql(body: SelectCore, options: Scope): Made {
  const from = body.from === undefined ? undefined : fromSql(body.from, options);
  const inner: Scope = { ...options, column: namesOf(from?.relations ?? [], options) };
  const columns: Column[] = [];
  const items = body.items.map((item) => {
    if (item.expr.kind === 'star') {
      columns.push(...starColumns(item.expr.path, from?.relations ?? []));
      return exprSql(item.expr, inner);
    }
    const { sql, cat } = typedSql(item.expr, inner);
    const name = item.alias ?? item.text;
    columns.push({ name, cat });
    return `${sql} AS ${ident(name)}`;
  });
  // GROUP BY, HAVING and ORDER BY may name what the items made.
  const aliased: Scope = { ...inner, column: withAliases(body, columns, inner) };
  const group = body.groupBy.map((expr) => exprSql(expr, aliased)).join(', ');
  const sql = [
    `SELECT ${body.distinct ? 'DISTINCT ' : ''}${items.join(', ')}`,
    ...(from === undefined ? [] : [`FROM ${from.sql}`]),
    ...(body.where === undefined ? [] : [`WHERE ${conditionSql(body.where, inner)}`]),
    ...(group === '' ? [] : [`GROUP BY ${group}`]),
    ...(body.having === undefined ? [] : [`HAVING ${conditionSql(body.having, aliased)}`]),
  ].join(' ');
  return { sql: `${sql}${tailSql(body, aliased)}`, columns };
}

function tailSql(body: SelectBody, options: Scope): string {
  const order = body.orderBy.map((item) => orderSql(item, options)).join(', ');
  const limit =
    body.limit === undefined ? '' : ` LIMIT ${body.limit.count} OFFSET ${body.limit.offset}`;
  return `${order === '' ? '' : ` ORDER BY ${order}`}${limit}`;
}

function orderSql({ expr, descending, nullsFirst }: OrderItem, options: Scope): string {
  const direction = descending ? 'DESC' : 'ASC';
  const nulls = (nullsFirst ?? !descending) ? 'FIRST' : 'LAST';
  return `${exprSql(expr, options)} ${direction} NULLS ${nulls}`;
}

function fromSql(item: FromItem, options: Scope): { sql: string; relations: readonly Relation[] } {
  if (item.kind === 'select') {
    const { sql, columns } = selectTyped(item.select, options);
    return { sql: `(${sql}) AS ${ident(item.alias)}`, relations: [{ alias: item.alias, columns }] };
  }
  if (item.kind === 'table') {
    const { db, name } = item.table;
    const alias = item.alias ?? name;
    const common = db === undefined ? options.withs?.get(name.toLowerCase()) : undefined;
    if (common !== undefined)
      return { sql: `${ident(name)} AS ${ident(alias)}`, relations: [{ alias, columns: common }] };
    const found = options.table?.(db, name);
    // Never by its bare name: DuckDB would look for a file that is called so.
    if (found === undefined)
      throw new LoadError('UNKNOWN_TABLE', `Unknown table '${name}'`, {
        errno: 1051,
        sqlState: '42S02',
      });
    const columns = found.columns.map((one) => ({ name: one.name, cat: categoryOf(one.type) }));
    return { sql: `${found.sql} AS ${ident(alias)}`, relations: [{ alias, columns }] };
  }
  const [left, right] = [fromSql(item.left, options), fromSql(item.right, options)];
  const relations = [...left.relations, ...right.relations];
  const inner: Scope = { ...options, column: namesOf(relations, options) };
  const on = item.on === undefined ? '' : ` ON ${conditionSql(item.on, inner)}`;
  const using = item.using === undefined ? '' : ` USING (${item.using.map(ident).join(', ')})`;
  const type = item.type === 'INNER' && on === '' && using === '' ? 'CROSS' : item.type;
  return { sql: `(${left.sql} ${type} JOIN ${right.sql}${on}${using})`, relations };
}

/** What a name is: a column of these relations, else of the query around, else something that DuckDB knows. */
function namesOf(
  relations: readonly Relation[],
  outer: TranslateOptions,
): (path: readonly string[]) => Typed {
  return (path) => {
    const name = path.at(-1)?.toLowerCase();
    const table = path.at(-2)?.toLowerCase();
    for (const { alias, columns } of relations) {
      if (table !== undefined && alias.toLowerCase() !== table) continue;
      const found = columns.find((column) => column.name.toLowerCase() === name);
      if (found !== undefined) return { sql: path.slice(-2).map(ident).join('.'), cat: found.cat };
    }
    return outer.column?.(path) ?? { sql: path.slice(-2).map(ident).join('.'), cat: 'any' };
  };
}

function withAliases(
  body: SelectCore,
  columns: readonly Column[],
  inner: Scope,
): (path: readonly string[]) => Typed {
  const aliases = new Map(
    body.items.flatMap((item) => {
      const name = item.alias?.toLowerCase();
      const cat = columns.find((column) => column.name.toLowerCase() === name)?.cat;
      return name === undefined || cat === undefined ? [] : [[name, cat] as const];
    }),
  );
  return (path) => {
    const known = inner.column?.(path) ?? { sql: path.slice(-2).map(ident).join('.'), cat: 'any' };
    if (path.length > 1 || known.cat !== 'any') return known;
    return { sql: known.sql, cat: aliases.get(path[0]!.toLowerCase()) ?? 'any' };
  };
}

function starColumns(path: readonly string[], relations: readonly Relation[]): Column[] {
  const table = path.at(-1)?.toLowerCase();
  return relations
    .filter(({ alias }) => table === undefined || alias.toLowerCase() === table)
    .flatMap(({ columns }) => columns);
}
