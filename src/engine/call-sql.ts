/** Calls of functions → DuckDB's SQL (semantics.md 5.4); which functions there are is said in sql/functions.ts. */
import type { Expr } from '../sql/ast/expr.ts';
import { type ArgType, findFunction } from '../sql/functions.ts';
import { castSql, categoryOf, textSql } from './cast-sql.ts';
import { boolSql, comparable, numberOf, unify } from './coerce-sql.ts';
import { dateTextSql, isDateFormat, parseFormatSql } from './date-format.ts';
import { typedSql } from './expr-sql.ts';
import { localText, steadyOffset, zoneName } from './local-time.ts';
import { text } from './sql-text.ts';
import type { TranslateOptions, Typed } from './translate.types.ts';
import { trySql } from './try-sql.ts';

type Call = Extract<Expr, { kind: 'call' }>;

/** What leaves the range of DATETIME is NULL. */
const OUT_OF_RANGE = /s_(add|sub)$/;

/** `from_unixtime` knows no second beyond 9999-12-31 23:59:59 of any zone. */
const UNIX_MAX = 253_402_243_199;

export function callSql(call: Call, options: TranslateOptions): Typed {
  const found = findFunction(call.name, call.args.length);
  const raw = call.args.map((arg) => typedSql(arg, options));
  const byHand = special(call, found.name, raw, options);
  if (byHand !== undefined) return byHand;
  const args = raw.map((arg, i) =>
    argumentSql(arg, found.args[Math.min(i, found.args.length - 1)] ?? 'any'),
  );
  const cat = found.returns === undefined ? (raw[0]?.cat ?? 'any') : categoryOf(found.returns);
  const made =
    found.sql?.replace(/\$(\*|\d)/g, (_, n: string) =>
      n === '*' ? args.join(', ') : (args[Number(n) - 1] ?? 'NULL'),
    ) ?? `${found.name}(${call.distinct ? 'DISTINCT ' : ''}${args.join(', ')})`;
  return { sql: OUT_OF_RANGE.test(found.name) ? trySql(call, made) : made, cat };
}

function argumentSql({ sql, cat }: Typed, type: ArgType): string {
  switch (type) {
    case 'text':
      return cat === 'text' ? sql : textSql(sql, cat);
    case 'int':
      return castSql(sql, { name: 'BIGINT' }, cat);
    case 'double':
      return castSql(sql, { name: 'DOUBLE' }, cat);
    case 'datetime':
      return castSql(sql, { name: 'DATETIME' }, cat);
    default:
      return sql;
  }
}

function special(
  call: Call,
  name: string,
  args: readonly Typed[],
  options: TranslateOptions,
): Typed | undefined {
  const { context } = options;
  const [a, b] = args;
  const as = (i: number, type: ArgType): string =>
    argumentSql(args[i] ?? { sql: 'NULL', cat: 'null' }, type);
  const local = () => `CAST('${localText(context.timezone, context.nowMs)}' AS TIMESTAMP)`;
  switch (name) {
    case 'if': {
      const { sqls, cat } = unify(args.slice(1));
      return { sql: `CASE WHEN ${boolSql(a!)} THEN ${sqls[0]} ELSE ${sqls[1]} END`, cat };
    }
    case 'ifnull':
    case 'coalesce': {
      const { sqls, cat } = unify(args);
      return { sql: `coalesce(${sqls.join(', ')})`, cat };
    }
    case 'nullif': {
      const [x, y] = comparable(a!, b!, { a: call.args[0]!, b: call.args[1]! });
      return { sql: `CASE WHEN ${x} = ${y} THEN NULL ELSE ${a!.sql} END`, cat: a!.cat };
    }
    case 'greatest':
    case 'least': {
      // NULL where any is.
      const { sqls, cat } = unify(args);
      const known = sqls.map((sql) => `${sql} IS NOT NULL`).join(' AND ');
      return { sql: `CASE WHEN ${known} THEN ${name}(${sqls.join(', ')}) END`, cat };
    }
    case 'from_unixtime': {
      const seconds = as(0, 'int');
      const format = call.args[1] ?? { kind: 'string', value: '%Y-%m-%d %H:%i:%s' };
      const moment = localSql(seconds, context.timezone);
      const known = (sql: string) =>
        `CASE WHEN ${seconds} BETWEEN 0 AND ${UNIX_MAX} THEN ${sql} END`;
      const made: Typed = { sql: known(dateTextSql(moment, format, true)), cat: 'text' };
      return call.args.length > 1
        ? made
        : { ...made, moment: localMomentSql(seconds, context.timezone) };
    }
    case 'unix_timestamp': {
      if (a === undefined)
        return { sql: `${Math.floor(context.nowMs / 1000)}::BIGINT`, cat: 'int' };
      return { sql: unixSql(as(0, 'datetime'), context.timezone), cat: 'int' };
    }
    case 'str_to_date':
    case 'str2date': {
      const format = call.args[1] ?? { kind: 'null' };
      const made = `try_strptime(ltrim(${as(0, 'text')}), ${parseFormatSql(format)})`;
      return name === 'str2date' || isDateFormat(format)
        ? { sql: `CAST(${made} AS DATE)`, cat: 'date' }
        : { sql: made, cat: 'datetime' };
    }
    case 'date_format': {
      const moment = as(0, 'datetime');
      return { sql: dateTextSql(moment, call.args[1] ?? { kind: 'null' }), cat: 'text' };
    }
    case 'now':
    case 'current_timestamp':
    case 'localtime':
    case 'localtimestamp':
      return { sql: local(), cat: 'datetime' };
    case 'utc_timestamp':
      return { sql: `CAST('${localText('UTC', context.nowMs)}' AS TIMESTAMP)`, cat: 'datetime' };
    case 'curdate':
    case 'current_date':
      return { sql: `CAST(${local()} AS DATE)`, cat: 'date' };
    case 'concat':
      return { sql: `(${args.map((_, i) => as(i, 'text')).join(' || ')})`, cat: 'text' };
    case 'substring':
    case 'substr': {
      const parts = args.map((_, i) => as(i, i === 0 ? 'text' : 'int'));
      // A start before the text's first character finds nothing, and so does a length below 1.
      const [s, from, length] = parts;
      const empty = [
        `${from} = 0`,
        `${from} < - length(${s})`,
        ...(length === undefined ? [] : [`${length} <= 0`]),
      ].join(' OR ');
      return {
        sql: `CASE WHEN ${empty} THEN ${nullOr(parts)} ELSE substring(${parts.join(', ')}) END`,
        cat: 'text',
      };
    }
    case 'lpad':
    case 'rpad': {
      const [s, n, pad] = [
        as(0, 'text'),
        as(1, 'int'),
        args[2] === undefined ? "' '" : as(2, 'text'),
      ];
      const cut = `CASE WHEN ${n} <= length(${s}) OR ${pad} = '' THEN left(${s}, ${n}) ELSE ${name}(${s}, CAST(least(${n}, 1048576) AS INTEGER), ${pad}) END`;
      return { sql: `CASE WHEN ${n} >= 0 THEN ${cut} END`, cat: 'text' };
    }
    case 'uuid':
      return { sql: `ms_uuid(${text(context.seed)})`, cat: 'text' };
    case 'version':
      return { sql: "'8.0.33'", cat: 'text' };
    case 'database':
    case 'schema':
      return context.currentDb === undefined
        ? { sql: 'NULL', cat: 'null' }
        : { sql: text(context.currentDb), cat: 'text' };
    case 'user':
    case 'current_user':
      return { sql: text(context.currentUser ?? ''), cat: 'text' };
    case 'connection_id':
      return { sql: `${context.connectionId ?? 0}::BIGINT`, cat: 'int' };
    case 'abs': {
      const { sql, cat } = numberOf(a!);
      return {
        sql: trySql(call, `abs(${sql})`),
        cat,
      };
    }
    case 'mod': {
      const expr: Expr = { kind: 'binary', op: '%', left: call.args[0]!, right: call.args[1]! };
      return typedSql(expr, options);
    }
    case 'round': {
      const { sql, cat } = numberOf(a!);
      const made =
        args.length > 1 ? `round(${sql}, CAST(${as(1, 'int')} AS INTEGER))` : `round(${sql})`;
      return cat === 'decimal'
        ? { sql: made, cat }
        : { sql: `CAST(${made} AS DOUBLE)`, cat: 'float' };
    }
    case 'date_add':
    case 'adddate':
    case 'date_sub':
    case 'subdate':
      return {
        sql: trySql(
          call,
          `${as(0, 'datetime')} ${name.includes('add') ? '+' : '-'} ${intervalSql(call, b!)}`,
        ),
        cat: 'datetime',
      };
    case 'count': {
      if (a === undefined || call.args[0]?.kind === 'star') return { sql: 'count(*)', cat: 'int' };
      const list = args.map(({ sql }) => sql).join(', ');
      // Of several columns those rows count in which none is NULL.
      const one =
        args.length === 1
          ? list
          : `CASE WHEN ${args.map(({ sql }) => `${sql} IS NOT NULL`).join(' AND ')} THEN (${list}) END`;
      return { sql: `count(${call.distinct ? 'DISTINCT ' : ''}${one})`, cat: 'int' };
    }
    case 'sum':
    case 'avg': {
      const { sql, cat } = numberOf(a!);
      const made = `${name}(${call.distinct ? 'DISTINCT ' : ''}${sql})`;
      if (name === 'avg') return { sql: made, cat: 'float' };
      // DuckDB adds in 128 bits; what leaves BIGINT fails the statement instead of wrapping around.
      return cat === 'int' ? { sql: `CAST(${made} AS BIGINT)`, cat } : { sql: made, cat };
    }
    case 'group_concat': {
      const separator = args.length > 1 ? as(1, 'text') : "', '";
      return {
        sql: `string_agg(${call.distinct ? 'DISTINCT ' : ''}${as(0, 'text')}, ${separator})`,
        cat: 'text',
      };
    }
    default:
      return undefined;
  }
}

/** NULL where any of them is, else the empty text. */
function nullOr(sqls: readonly string[]): string {
  return `CASE WHEN ${sqls.map((sql) => `${sql} IS NOT NULL`).join(' AND ')} THEN '' END`;
}

/** `INTERVAL n unit`, or a plain number of days. */
function intervalSql(call: Call, value: Typed): string {
  if (call.args[1]?.kind === 'interval') return value.sql;
  return `to_days(CAST(${castSql(value.sql, { name: 'INT' }, value.cat)} AS INTEGER))`;
}

/** Seconds since 1970 as wall-clock time of a zone. */
function localSql(seconds: string, zone: string): string {
  const known = steadyOffset(zone);
  const calendar = calendarSql(seconds, zone);
  if (known === undefined) return calendar;
  const added = addedSql(seconds, known);
  if (known.sinceMs === Number.NEGATIVE_INFINITY) return added;
  return `CASE WHEN ${seconds} >= ${Math.ceil(known.sinceMs / 1000)} THEN ${added} ELSE ${calendar} END`;
}

/** As above, from 1970 on and NULL elsewhere: one CASE, as nested ones are evaluated one by one for every row. */
function localMomentSql(seconds: string, zone: string): string {
  const known = steadyOffset(zone);
  const when = (from: number, to: number, sql: string) =>
    `WHEN ${seconds} BETWEEN ${from} AND ${to} THEN ${sql}`;
  const since = known === undefined ? UNIX_MAX + 1 : Math.max(0, Math.ceil(known.sinceMs / 1000));
  const arms = [
    ...(known === undefined ? [] : [when(since, UNIX_MAX, addedSql(seconds, known))]),
    ...(since === 0 ? [] : [when(0, since - 1, calendarSql(seconds, zone))]),
  ];
  return `CASE ${arms.join(' ')} END`;
}

const calendarSql = (seconds: string, zone: string): string =>
  `(to_timestamp(${seconds}) AT TIME ZONE ${text(zoneName(zone))})`;

const addedSql = (seconds: string, { offsetMs }: { readonly offsetMs: number }): string =>
  `make_timestamp((${seconds} + ${offsetMs / 1000}) * 1000000)`;

/** The other way round; what lies before 1970 is 0. */
function unixSql(moment: string, zone: string): string {
  const known = steadyOffset(zone);
  const calendar = `floor(epoch(${moment} AT TIME ZONE ${text(zoneName(zone))}))`;
  const seconds = (sql: string) => `CAST(greatest(0, ${sql}) AS BIGINT)`;
  const nulls = (sql: string) => `CASE WHEN ${moment} IS NOT NULL THEN ${sql} END`;
  if (known === undefined) return nulls(seconds(calendar));
  const added = `(epoch_us(${moment}) // 1000000 - ${known.offsetMs / 1000})`;
  if (known.sinceMs === Number.NEGATIVE_INFINITY) return nulls(seconds(added));
  // A day later, since the moment is a local one.
  const since = new Date(known.sinceMs + 86_400_000).toISOString().slice(0, 19).replace('T', ' ');
  return nulls(
    `CASE WHEN ${moment} >= CAST('${since}' AS TIMESTAMP) THEN ${seconds(added)} ELSE ${seconds(calendar)} END`,
  );
}
