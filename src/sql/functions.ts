/**
 * The functions that statements may call (PROTOCOL.md E1: a list of what is allowed, nothing else reaches the
 * engine). Each has its translation to DuckDB: `$1`, `$2` … are arguments, `$*` all of them.
 */
import { LoadError } from '../base/errors.ts';
import { BIGINT, DOUBLE, type SqlType, VARCHAR } from '../base/sql-type.ts';

/** What an argument is cast to; `any` leaves it as it is. */
export type ArgType = 'any' | 'text' | 'int' | 'double' | 'datetime' | 'interval';

export interface SqlFunction {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** The last one repeats. */
  readonly args: readonly ArgType[];
  /** Absent: the type of the arguments. */
  readonly returns?: SqlType;
  readonly aggregate: boolean;
  /** Absent: translated by hand in engine/translate.ts. */
  readonly sql?: string;
}

const DATE: SqlType = { name: 'DATE' };
const DATETIME: SqlType = { name: 'DATETIME' };
const INT: SqlType = { name: 'INT' };
const MANY = 255;
const all = new Map<string, SqlFunction>();

function add(
  names: string,
  range: readonly [number, number],
  args: readonly ArgType[],
  returns: SqlType | undefined,
  sql?: string,
  aggregate = false,
): void {
  for (const name of names.split(' ')) {
    all.set(name, {
      name,
      min: range[0],
      max: range[1],
      args,
      aggregate,
      ...(returns === undefined ? {} : { returns }),
      ...(sql === undefined ? {} : { sql }),
    });
  }
}

add('if', [3, 3], ['any'], undefined, 'CASE WHEN $1 THEN $2 ELSE $3 END');
add('ifnull', [2, 2], ['any'], undefined, 'coalesce($1, $2)');
add('nullif', [2, 2], ['any'], undefined, 'nullif($1, $2)');
add('coalesce', [1, MANY], ['any'], undefined, 'coalesce($*)');
add('isnull', [1, 1], ['any'], { name: 'BOOLEAN' }, '($1 IS NULL)');
add('isnotnull', [1, 1], ['any'], { name: 'BOOLEAN' }, '($1 IS NOT NULL)');
add('greatest least', [1, MANY], ['any'], undefined);

add('from_unixtime', [1, 2], ['int', 'any'], VARCHAR);
add('unix_timestamp', [0, 1], ['datetime'], BIGINT);
add('str_to_date str2date', [2, 2], ['text', 'any'], DATETIME);
add('date_format', [2, 2], ['datetime', 'any'], VARCHAR);
add('date to_date', [1, 1], ['datetime'], DATE, 'CAST($1 AS DATE)');
for (const unit of ['year', 'month', 'day', 'hour', 'minute', 'second', 'quarter', 'week']) {
  add(unit, [1, 1], ['datetime'], INT, `CAST(${unit}($1) AS INTEGER)`);
}
add('dayofmonth', [1, 1], ['datetime'], INT, 'CAST(day($1) AS INTEGER)');
add('dayofweek', [1, 1], ['datetime'], INT, 'CAST(dayofweek($1) + 1 AS INTEGER)');
add('dayofyear', [1, 1], ['datetime'], INT, 'CAST(dayofyear($1) AS INTEGER)');
add('date_trunc', [2, 2], ['text', 'datetime'], DATETIME, 'CAST(date_trunc($1, $2) AS TIMESTAMP)');
add('date_add adddate', [2, 2], ['datetime', 'interval'], DATETIME, '($1 + $2)');
add('date_sub subdate', [2, 2], ['datetime', 'interval'], DATETIME, '($1 - $2)');
for (const unit of ['year', 'month', 'week', 'day', 'hour', 'minute', 'second']) {
  add(
    `${unit}s_add`,
    [2, 2],
    ['datetime', 'int'],
    DATETIME,
    `($1 + to_${unit}s(CAST($2 AS INTEGER)))`,
  );
  add(
    `${unit}s_sub`,
    [2, 2],
    ['datetime', 'int'],
    DATETIME,
    `($1 - to_${unit}s(CAST($2 AS INTEGER)))`,
  );
}
add('datediff', [2, 2], ['datetime'], INT, 'CAST(CAST($1 AS DATE) - CAST($2 AS DATE) AS INTEGER)');
add('now current_timestamp localtime localtimestamp', [0, 1], ['any'], DATETIME);
add('utc_timestamp', [0, 0], [], DATETIME);
add('curdate current_date', [0, 0], [], DATE);
add('last_day', [1, 1], ['datetime'], DATE, 'last_day($1)');
add('dayname monthname', [1, 1], ['datetime'], VARCHAR);
add('weekofyear', [1, 1], ['datetime'], INT, 'CAST(weekofyear($1) AS INTEGER)');
for (const unit of ['year', 'month', 'week', 'day', 'hour', 'minute', 'second']) {
  // Whole units that have passed.
  add(`${unit}s_diff`, [2, 2], ['datetime'], BIGINT, `date_sub('${unit}', $2, $1)`);
}

add('concat', [1, MANY], ['text'], VARCHAR);
add('concat_ws', [2, MANY], ['text'], VARCHAR, 'concat_ws($*)');
add('substring substr', [2, 3], ['text', 'int'], VARCHAR);
add('left strleft', [2, 2], ['text', 'int'], VARCHAR, 'left($1, greatest($2, 0))');
add('right strright', [2, 2], ['text', 'int'], VARCHAR, 'right($1, greatest($2, 0))');
add('length', [1, 1], ['text'], INT, 'CAST(strlen($1) AS INTEGER)');
add('char_length character_length', [1, 1], ['text'], INT, 'CAST(length($1) AS INTEGER)');
add('upper ucase', [1, 1], ['text'], VARCHAR, 'upper($1)');
add('lower lcase', [1, 1], ['text'], VARCHAR, 'lower($1)');
add('reverse', [1, 1], ['text'], VARCHAR, 'reverse($1)');
for (const name of ['trim', 'ltrim', 'rtrim']) add(name, [1, 2], ['text'], VARCHAR, `${name}($*)`);
add('replace', [3, 3], ['text'], VARCHAR, 'replace($*)');
add(
  'split_part',
  [3, 3],
  ['text', 'text', 'int'],
  VARCHAR,
  'CASE WHEN $3 <> 0 THEN list_extract(string_split($1, $2), $3) END',
);
add('lpad rpad', [2, 3], ['text', 'int', 'text'], VARCHAR);
add('locate', [2, 2], ['text'], INT, 'CAST(instr($2, $1) AS INTEGER)');
add(
  'repeat',
  [2, 2],
  ['text', 'int'],
  VARCHAR,
  'repeat($1, CAST(least(greatest($2, 0), 1048576) AS INTEGER))',
);
add(
  'space',
  [1, 1],
  ['int'],
  VARCHAR,
  "repeat(' ', CAST(least(greatest($1, 0), 1048576) AS INTEGER))",
);
add('ascii', [1, 1], ['text'], INT, "CASE WHEN $1 = '' THEN 0 ELSE ascii($1) END");
add('null_or_empty', [1, 1], ['text'], { name: 'BOOLEAN' }, "($1 IS NULL OR $1 = '')");
add(
  'strcmp',
  [2, 2],
  ['text'],
  INT,
  'CASE WHEN $1 = $2 THEN 0 WHEN $1 < $2 THEN -1 WHEN $1 > $2 THEN 1 END',
);
add('to_base64', [1, 1], ['text'], VARCHAR, 'to_base64(encode($1))');
add('instr strpos', [2, 2], ['text'], INT, 'CAST(instr($1, $2) AS INTEGER)');
add('starts_with', [2, 2], ['text'], { name: 'BOOLEAN' }, 'starts_with($1, $2)');
add('ends_with', [2, 2], ['text'], { name: 'BOOLEAN' }, 'ends_with($1, $2)');
add('md5', [1, 1], ['text'], VARCHAR, 'md5($1)');
add('hex', [1, 1], ['any'], VARCHAR, 'hex($1)');
add('regexp_extract', [3, 3], ['text', 'text', 'any'], VARCHAR, 'regexp_extract($1, $2, $3)');
add('regexp_replace', [3, 3], ['text'], VARCHAR, "regexp_replace($1, $2, $3, 'g')");

add('get_json_string', [2, 2], ['text'], VARCHAR, 'ms_json_text($1, $2)');
add('get_json_int', [2, 2], ['text'], BIGINT, 'TRY_CAST(ms_json_text($1, $2) AS BIGINT)');
add(
  'get_json_bool',
  [2, 2],
  ['text'],
  { name: 'BOOLEAN' },
  'TRY_CAST(ms_json_text($1, $2) AS BOOLEAN)',
);
add(
  'json_exists',
  [2, 2],
  ['text'],
  { name: 'BOOLEAN' },
  'CASE WHEN json_valid($1) THEN json_exists($1, $2) END',
);
add('get_json_double', [2, 2], ['text'], DOUBLE, 'TRY_CAST(ms_json_text($1, $2) AS DOUBLE)');
add('parse_json', [1, 1], ['text'], { name: 'JSON' }, 'ms_to_json($1)');

add('abs', [1, 1], ['any'], undefined, 'abs($1)');
add('ceil ceiling', [1, 1], ['double'], BIGINT, 'TRY_CAST(ceil($1) AS BIGINT)');
add('floor', [1, 1], ['double'], BIGINT, 'TRY_CAST(floor($1) AS BIGINT)');
add('round', [1, 2], ['any'], DOUBLE, 'round($*)');
add('truncate', [2, 2], ['double', 'int'], DOUBLE, '(trunc($1 * pow(10, $2)) / pow(10, $2))');
add('mod', [2, 2], ['any'], undefined, '($1 % nullif($2, 0))');
add('pow power', [2, 2], ['double'], DOUBLE, 'pow($1, $2)');
add('exp', [1, 1], ['double'], DOUBLE, 'exp($1)');
add('ln', [1, 1], ['double'], DOUBLE, 'CASE WHEN $1 > 0 THEN ln($1) END');
add('log10', [1, 1], ['double'], DOUBLE, 'CASE WHEN $1 > 0 THEN log10($1) END');
add('log2', [1, 1], ['double'], DOUBLE, 'CASE WHEN $1 > 0 THEN log2($1) END');
add('sign', [1, 1], ['double'], INT, 'CAST(sign($1) AS INTEGER)');
add('sqrt', [1, 1], ['double'], DOUBLE, 'CASE WHEN $1 >= 0 THEN sqrt($1) END');
add('uuid', [0, 0], [], VARCHAR);
add('version database schema user current_user connection_id', [0, 0], [], VARCHAR);

add('count', [0, MANY], ['any'], BIGINT, undefined, true);
add('sum', [1, 1], ['any'], undefined, undefined, true);
add('min max', [1, 1], ['any'], undefined, undefined, true);
add('any_value', [1, 1], ['any'], undefined, 'any_value($1)', true);
add('avg', [1, 1], ['any'], DOUBLE, undefined, true);
add('group_concat', [1, 2], ['text'], VARCHAR, undefined, true);

export const FUNCTIONS: ReadonlyMap<string, SqlFunction> = all;

/** Unknown names and wrong counts of arguments are the same error to StarRocks. */
export function findFunction(name: string, args: number): SqlFunction {
  const found = all.get(name.toLowerCase());
  if (found !== undefined && args >= found.min && args <= found.max) return found;
  throw new LoadError(
    'SQL_UNKNOWN_FUNCTION',
    `No matching function with signature: ${name.toLowerCase()}(${Array(args).fill('…').join(', ')})`,
    { errno: 1064, sqlState: '42000', details: { function: name, args } },
  );
}
