/** Plans → DuckDB's SQL, with StarRocks' meaning: the only place that writes SQL of expressions (PROTOCOL.md E1). */
import { LoadError } from '../base/errors.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { FromItem, OrderItem, Select, SelectBody } from '../sql/ast/select.ts';
import { findFunction } from '../sql/functions.ts';
import { castSql } from './cast-sql.ts';
import type { EvalContext } from './engine.types.ts';
import { steadyOffset } from './local-time.ts';
import { ident, text } from './sql-text.ts';

export interface TranslateOptions {
  readonly context: EvalContext;
  /** The SQL of a column. Absent: its quoted path. */
  readonly column?: (path: readonly string[]) => string;
  /** The SQL of a table. */
  readonly table?: (db: string, name: string) => string;
}

/** Made once for an instance, before it is locked. */
export const MACROS: readonly string[] = [
  `CREATE MACRO ms_ts(x) AS ${castSql('x', { name: 'DATETIME' })}`,
  `CREATE MACRO ms_json_text(a, b) AS (CASE WHEN json_valid(a) THEN json_extract_string(a, b) END)`,
];

/** `%i` and friends in DuckDB's letters. */
export function formatSql(format: Expr): string {
  if (format.kind !== 'string')
    throw new LoadError('SQL_UNSUPPORTED', 'a date format must be a literal');
  const named: Record<string, string> = {
    'yyyy-MM-dd HH:mm:ss': '%Y-%m-%d %H:%M:%S',
    'yyyy-MM-dd': '%Y-%m-%d',
    yyyyMMdd: '%Y%m%d',
  };
  const letters: Record<string, string> = {
    i: '%M',
    s: '%S',
    M: '%B',
    h: '%I',
    T: '%H:%M:%S',
    W: '%A',
    c: '%-m',
    e: '%-d',
    k: '%-H',
    l: '%-I',
    r: '%I:%M:%S %p',
    u: '%W',
    v: '%V',
    x: '%G',
  };
  return text(
    named[format.value] ??
      format.value.replace(/%(.)/gs, (whole, letter: string) => {
        if (letters[letter] !== undefined) return letters[letter];
        return 'YmdHSyjfpabIwUV%'.includes(letter) ? whole : letter;
      }),
  );
}

export function exprSql(expr: Expr, options: TranslateOptions): string {
  const go = (part: Expr): string => exprSql(part, options);
  const num = (part: Expr): string =>
    part.kind === 'string' ? `TRY_CAST(${go(part)} AS DOUBLE)` : go(part);
  switch (expr.kind) {
    case 'null':
      return 'NULL';
    case 'boolean':
      return expr.value ? 'TRUE' : 'FALSE';
    case 'number':
      if (!/^[0-9.]+(e[+-]?[0-9]+)?$/i.test(expr.text))
        throw new LoadError('SQL_BAD_NUMBER', `bad number "${expr.text}"`);
      return expr.text;
    case 'string':
      return text(expr.value);
    case 'typed':
      return castSql(text(expr.text), expr.type);
    case 'column':
      return options.column?.(expr.path) ?? expr.path.slice(-2).map(ident).join('.');
    case 'star':
      return [...expr.path.slice(-1).map(ident), '*'].join('.');
    case 'variable':
      return 'NULL';
    case 'unary':
      return `(${expr.op} ${expr.op === 'NOT' ? go(expr.arg) : num(expr.arg)})`;
    case 'binary': {
      if (expr.op === '->') return `json_extract(${go(expr.left)}, ${go(expr.right)})`;
      const math = ['+', '-', '*', '/', '%', 'DIV'].includes(expr.op);
      const [a, b] = math ? [num(expr.left), num(expr.right)] : [go(expr.left), go(expr.right)];
      switch (expr.op) {
        case '/':
          return `(CAST(${a} AS DOUBLE) / nullif(CAST(${b} AS DOUBLE), 0))`;
        case '%':
          return `(${a} % nullif(${b}, 0))`;
        case 'DIV':
          return `TRY_CAST(trunc(${a} / nullif(${b}, 0)) AS BIGINT)`;
        case '<=>':
          return `(${a} IS NOT DISTINCT FROM ${b})`;
        case 'XOR':
          return `(CAST(${a} AS BOOLEAN) <> CAST(${b} AS BOOLEAN))`;
        case '^':
          return `xor(${a}, ${b})`;
        default:
          return `(${a} ${expr.op} ${b})`;
      }
    }
    case 'isNull':
      return `(${go(expr.arg)} IS ${expr.not ? 'NOT ' : ''}NULL)`;
    case 'isBool':
      return `(CAST(${go(expr.arg)} AS BOOLEAN) IS ${expr.not ? 'NOT ' : ''}${expr.value ? 'TRUE' : 'FALSE'})`;
    case 'in':
      return `(${go(expr.arg)} ${expr.not ? 'NOT ' : ''}IN (${expr.list.map(go).join(', ')}))`;
    case 'inSelect':
      return `(${go(expr.arg)} ${expr.not ? 'NOT ' : ''}IN (${selectSql(expr.select, options)}))`;
    case 'exists':
      return `EXISTS (${selectSql(expr.select, options)})`;
    case 'scalarSelect':
      return `(${selectSql(expr.select, options)})`;
    case 'between':
      return `(${go(expr.arg)} ${expr.not ? 'NOT ' : ''}BETWEEN ${go(expr.low)} AND ${go(expr.high)})`;
    case 'like': {
      const [a, b] = [`CAST(${go(expr.arg)} AS VARCHAR)`, go(expr.pattern)];
      const made = expr.op === 'LIKE' ? `${a} LIKE ${b} ESCAPE '\\'` : `regexp_matches(${a}, ${b})`;
      return expr.not ? `(NOT (${made}))` : `(${made})`;
    }
    case 'case':
      return `CASE ${expr.operand === undefined ? '' : go(expr.operand)} ${expr.whens
        .map((w) => `WHEN ${go(w.when)} THEN ${go(w.then)}`)
        .join(' ')}${expr.otherwise === undefined ? '' : ` ELSE ${go(expr.otherwise)}`} END`;
    case 'cast':
      return castSql(go(expr.arg), expr.type);
    case 'interval':
      if (!/^(year|quarter|month|week|day|hour|minute|second)$/i.test(expr.unit))
        throw new LoadError('SQL_UNSUPPORTED', `unknown unit "${expr.unit}"`);
      return `to_${expr.unit.toLowerCase()}s(CAST(${go(expr.value)} AS INTEGER))`;
    case 'call':
      return callSql(expr, options);
  }
}

function callSql(call: Extract<Expr, { kind: 'call' }>, options: TranslateOptions): string {
  const { context } = options;
  const found = findFunction(call.name, call.args.length);
  const args = call.args.map((arg, i) => {
    const sql = exprSql(arg, options);
    switch (found.args[Math.min(i, found.args.length - 1)]) {
      case 'text':
        return `CAST(${sql} AS VARCHAR)`;
      case 'int':
        return `TRY_CAST(${sql} AS BIGINT)`;
      case 'double':
        return `TRY_CAST(${sql} AS DOUBLE)`;
      case 'datetime':
        return `ms_ts(${sql})`;
      default:
        return sql;
    }
  });
  const [a = '', b = '', c] = args;
  const zone = text(zoneName(context.timezone));
  const local = `(make_timestamp(${context.nowMs}::BIGINT * 1000) AT TIME ZONE 'UTC' AT TIME ZONE ${zone})`;
  if (found.sql !== undefined)
    return found.sql.replace(/\$(\*|\d)/g, (_, n: string) =>
      n === '*' ? args.join(', ') : (args[Number(n) - 1] ?? 'NULL'),
    );
  switch (found.name) {
    case 'from_unixtime': {
      const format = call.args[1] === undefined ? "'%Y-%m-%d %H:%M:%S'" : formatSql(call.args[1]);
      return `CASE WHEN ${a} BETWEEN 0 AND 253402243199 THEN strftime(${localSql(a, context.timezone)}, ${format}) END`;
    }
    case 'unix_timestamp':
      return args.length === 0
        ? `${Math.floor(context.nowMs / 1000)}::BIGINT`
        : `CAST(greatest(0, floor(epoch(${a} AT TIME ZONE ${zone}))) AS BIGINT)`;
    case 'str_to_date':
    case 'str2date':
      return `try_strptime(ltrim(${a}), ${formatSql(call.args[1] ?? { kind: 'null' })})`;
    case 'date_format':
      return `strftime(${a}, ${formatSql(call.args[1] ?? { kind: 'null' })})`;
    case 'now':
    case 'current_timestamp':
    case 'localtime':
    case 'localtimestamp':
      return `date_trunc('second', ${local})`;
    case 'curdate':
    case 'current_date':
      return `CAST(${local} AS DATE)`;
    case 'greatest':
    case 'least':
      return `CASE WHEN ${args.map((x) => `${x} IS NOT NULL`).join(' AND ')} THEN ${found.name}(${args.join(', ')}) END`;
    case 'concat':
      return `(${args.join(' || ')})`;
    case 'substring':
    case 'substr':
      return `CASE WHEN ${b} = 0 THEN '' ELSE substring(${args.join(', ')}) END`;
    case 'lpad':
    case 'rpad':
      return `${found.name}(${a}, CAST(${b} AS INTEGER), ${c ?? "' '"})`;
    case 'uuid':
      return 'CAST(uuid() AS VARCHAR)';
    case 'version':
      return "'8.0.33'";
    case 'database':
    case 'schema':
      return context.currentDb === undefined ? 'NULL' : text(context.currentDb);
    case 'user':
    case 'current_user':
      return text(context.currentUser ?? '');
    case 'connection_id':
      return `${context.connectionId ?? 0}::BIGINT`;
    case 'count':
      if (args.length === 0 || call.args[0]?.kind === 'star') return 'count(*)';
      return `count(${call.distinct ? 'DISTINCT ' : ''}${args.length > 1 ? `(${args.join(', ')})` : a})`;
    case 'group_concat':
      return `string_agg(${call.distinct ? 'DISTINCT ' : ''}${a}, ${c ?? (b || "', '")})`;
    default:
      return `${found.name}(${call.distinct ? 'DISTINCT ' : ''}${a})`;
  }
}

/** Seconds since 1970 as wall-clock time of a zone. */
function localSql(seconds: string, zone: string): string {
  const known = steadyOffset(zone);
  const calendar = `(to_timestamp(${seconds}) AT TIME ZONE ${text(zoneName(zone))})`;
  if (known === undefined) return calendar;
  const added = `make_timestamp((${seconds} + ${known.offsetMs / 1000}) * 1000000)`;
  if (known.sinceMs === Number.NEGATIVE_INFINITY) return added;
  return `CASE WHEN ${seconds} >= ${Math.ceil(known.sinceMs / 1000)} THEN ${added} ELSE ${calendar} END`;
}

/** `+08:00` is `Etc/GMT-8` to ICU. */
function zoneName(zone: string): string {
  const m = /^([+-])(\d{1,2}):00$/.exec(zone);
  if (m === null) return zone;
  return Number(m[2]) === 0 ? 'UTC' : `Etc/GMT${m[1] === '+' ? '-' : '+'}${Number(m[2])}`;
}

export function selectSql(select: Select, options: TranslateOptions): string {
  const withs = select.with.map((w) => `${ident(w.name)} AS (${selectSql(w.select, options)})`);
  return `${withs.length === 0 ? '' : `WITH ${withs.join(', ')} `}${bodySql(select.body, options)}`;
}

function orderSql(items: readonly OrderItem[], options: TranslateOptions): string {
  const made = items.map(
    (o) =>
      `${exprSql(o.expr, options)} ${o.descending ? 'DESC' : 'ASC'} NULLS ${(o.nullsFirst ?? !o.descending) ? 'FIRST' : 'LAST'}`,
  );
  return made.length === 0 ? '' : ` ORDER BY ${made.join(', ')}`;
}

function bodySql(body: SelectBody, options: TranslateOptions): string {
  const limit =
    body.limit === undefined ? '' : ` LIMIT ${body.limit.count} OFFSET ${body.limit.offset}`;
  const tail = `${orderSql(body.orderBy, options)}${limit}`;
  if (body.kind === 'union')
    return `(${selectSql(body.left, options)}) ${body.op} (${selectSql(body.right, options)})${tail}`;
  const go = (e: Expr): string => exprSql(e, options);
  const items = body.items.map((item) => {
    if (item.expr.kind === 'star') return go(item.expr);
    return `${go(item.expr)} AS ${ident(item.alias ?? item.text)}`;
  });
  const group = body.groupBy.length === 0 ? '' : ` GROUP BY ${body.groupBy.map(go).join(', ')}`;
  return `SELECT ${body.distinct ? 'DISTINCT ' : ''}${items.join(', ')}${
    body.from === undefined ? '' : ` FROM ${fromSql(body.from, options)}`
  }${body.where === undefined ? '' : ` WHERE ${go(body.where)}`}${group}${
    body.having === undefined ? '' : ` HAVING ${go(body.having)}`
  }${tail}`;
}

function fromSql(item: FromItem, options: TranslateOptions): string {
  if (item.kind === 'select') return `(${selectSql(item.select, options)}) AS ${ident(item.alias)}`;
  if (item.kind === 'table') {
    const { db, name } = item.table;
    const sql = db === undefined ? ident(name) : (options.table?.(db, name) ?? ident(name));
    return `${sql} AS ${ident(item.alias ?? name)}`;
  }
  const on = item.on === undefined ? '' : ` ON ${exprSql(item.on, options)}`;
  const using = item.using === undefined ? '' : ` USING (${item.using.map(ident).join(', ')})`;
  const type = item.type === 'INNER' && on === '' && using === '' ? 'CROSS' : item.type;
  return `(${fromSql(item.left, options)} ${type} JOIN ${fromSql(item.right, options)}${on}${using})`;
}
