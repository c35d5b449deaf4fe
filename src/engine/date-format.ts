/** MySQL's letters of dates in those of DuckDB (semantics.md 5.5). */
import { LoadError } from '../base/errors.ts';
import type { Expr } from '../sql/ast/expr.ts';
import { text } from './sql-text.ts';

/** Letters that mean the same, or have another name. */
const LETTERS: Readonly<Record<string, string>> = {
  a: '%a',
  b: '%b',
  c: '%-m',
  d: '%d',
  e: '%-d',
  f: '%f',
  H: '%H',
  h: '%I',
  I: '%I',
  i: '%M',
  j: '%j',
  k: '%-H',
  l: '%-I',
  M: '%B',
  m: '%m',
  p: '%p',
  r: '%I:%M:%S %p',
  S: '%S',
  s: '%S',
  T: '%H:%M:%S',
  U: '%U',
  v: '%V',
  W: '%A',
  w: '%w',
  x: '%G',
  Y: '%Y',
  y: '%y',
  '%': '%%',
};

/** Those that DuckDB has not, of the moment `x`. A week that began last year is one of last year (`%X %V`). */
const MADE: Readonly<Record<string, (x: string) => string>> = {
  D: (x) =>
    `(CAST(day(${x}) AS VARCHAR) || CASE WHEN day(${x}) IN (1, 21, 31) THEN 'st' WHEN day(${x}) IN (2, 22) THEN 'nd' WHEN day(${x}) IN (3, 23) THEN 'rd' ELSE 'th' END)`,
  u: (x) =>
    `printf('%02d', CASE WHEN isoyear(${x}) < year(${x}) THEN 0 WHEN isoyear(${x}) > year(${x}) THEN 53 ELSE week(${x}) END)`,
  V: (x) => `strftime(${sundayWeek(x)}, '%U')`,
  X: (x) => `strftime(${sundayWeek(x)}, '%Y')`,
};
const sundayWeek = (x: string): string =>
  `(CASE WHEN strftime(${x}, '%U') = '00' THEN date_trunc('year', ${x}) - to_days(1) ELSE ${x} END)`;

const NAMED: Readonly<Record<string, string>> = {
  'yyyy-MM-dd HH:mm:ss': '%Y-%m-%d %H:%i:%s',
  'yyyy-MM-dd': '%Y-%m-%d',
  yyyyMMdd: '%Y%m%d',
};

function formatOf(format: Expr): string {
  if (format.kind !== 'string')
    throw new LoadError('SQL_UNSUPPORTED', 'a date format must be a literal');
  return NAMED[format.value] ?? format.value;
}

/**
 * The moment as a text; NULL for a NULL. Of whole seconds the usual format is that of DuckDB's own cast, which takes a
 * third of the time.
 */
export function dateTextSql(moment: string, format: Expr, wholeSeconds = false): string {
  const written = formatOf(format);
  if (wholeSeconds && /^%Y-%m-%d (%H:%i:%[sS]|%T)$/.test(written))
    return `CAST(${moment} AS VARCHAR)`;
  if (written === '%Y-%m-%d') return `CAST(CAST(${moment} AS DATE) AS VARCHAR)`;
  const pieces: string[] = [];
  let plain = '';
  const flush = () => {
    if (plain !== '') pieces.push(`strftime(${moment}, ${text(plain)})`);
    plain = '';
  };
  for (const [, letter, other] of written.matchAll(/%(.)|([^%]+|%$)/gs)) {
    const made = letter === undefined ? undefined : MADE[letter];
    if (made !== undefined) {
      flush();
      pieces.push(made(moment));
    } else if (letter === undefined) plain += other === '%' ? '%%' : (other ?? '');
    else plain += LETTERS[letter] ?? letter;
  }
  flush();
  if (pieces.length === 0) return `strftime(${moment}, '')`;
  return pieces.length === 1 ? pieces[0]! : `(${pieces.join(' || ')})`;
}

/** For str_to_date: every number may have fewer digits, which DuckDB reads by the same letters. */
export function parseFormatSql(format: Expr): string {
  const made = formatOf(format).replace(/%(.)/gs, (_, letter: string) => {
    if (MADE[letter] !== undefined)
      throw new LoadError('SQL_UNSUPPORTED', `str_to_date cannot read "%${letter}"`);
    return LETTERS[letter]?.replaceAll('%-', '%') ?? letter;
  });
  return text(made);
}

/** Whether a format has letters of the day alone: str_to_date gives a DATE then. */
export function isDateFormat(format: Expr): boolean {
  return !/%[fHhIiklprSsT]/.test(formatOf(format));
}
