/** CREATE, ALTER, PAUSE, RESUME, STOP ROUTINE LOAD (routine-load.md 1). */
import type {
  DataSource,
  LoadClauses,
  LoadColumn,
  QualifiedName,
  Statement,
} from './ast/statement.ts';
import { parseProperties, parsePropertyList } from './parse-ddl.ts';
import { parseExpression, parseTableName } from './parse-select.ts';
import { statementError } from './syntax-error.ts';
import type { TokenCursor } from './token-cursor.ts';

const job = (cursor: TokenCursor): QualifiedName => parseTableName(cursor);

/** `start`: where the statement begins in the text, for the text that is kept. */
export function parseCreateRoutineLoad(cursor: TokenCursor, start: number): Statement {
  const name = job(cursor);
  cursor.expect('ON');
  const table = cursor.name();
  const clauses = parseLoadClauses(cursor);
  const properties = parseProperties(cursor);
  cursor.expect('FROM');
  const secrets: Secret[] = [];
  const source = parseSource(cursor, secrets);
  return {
    kind: 'createRoutineLoad',
    job: name,
    table,
    clauses,
    properties,
    source,
    text: masked(cursor, start, secrets),
  };
}

export function parseAlterRoutineLoad(cursor: TokenCursor): Statement {
  cursor.expect('FOR');
  const name = job(cursor);
  const clauses = parseLoadClauses(cursor);
  const properties = parseProperties(cursor);
  const source = cursor.accept('FROM') ? parseSource(cursor, []) : undefined;
  return {
    kind: 'alterRoutineLoad',
    job: name,
    clauses,
    properties,
    ...(source === undefined ? {} : { source }),
  };
}

export function parseJobVerb(
  cursor: TokenCursor,
  kind: 'pauseRoutineLoad' | 'resumeRoutineLoad' | 'stopRoutineLoad',
): Statement {
  cursor.expect('ROUTINE', 'LOAD', 'FOR');
  return { kind, job: job(cursor) };
}

const SECRET_KEY = /password|secret|jaas/i;
/** `http://key:secret@host` of a schema registry. */
const URL_SECRET = /:\/\/[^/@]*@/;

interface Secret {
  readonly start: number;
  readonly end: number;
}

function parseSource(cursor: TokenCursor, secrets: Secret[]): DataSource {
  const type = cursor.name().toUpperCase();
  if (cursor.token.upper !== '(') return { type, properties: [] };
  const from = cursor.token.start;
  const properties = parsePropertyList(cursor);
  // The whole list is masked: no way of quoting can leave a piece of a secret behind.
  if (properties.some(({ key, value }) => SECRET_KEY.test(key) || URL_SECRET.test(value))) {
    secrets.push({ start: from, end: cursor.endOfPrevious });
  }
  return { type, properties };
}

function masked(cursor: TokenCursor, start: number, secrets: readonly Secret[]): string {
  const { sql } = cursor;
  const end = cursor.endOfPrevious;
  const [list] = secrets;
  if (list === undefined) return sql.slice(start, end);
  return `${sql.slice(start, list.start)}(******)${sql.slice(list.end, end)}`;
}

/** Comma separated, in any order, each kind at most once. */
function parseLoadClauses(cursor: TokenCursor): LoadClauses {
  const clauses: { -readonly [K in keyof LoadClauses]: LoadClauses[K] } = {};
  const once = (known: unknown, what: string) => {
    if (known === undefined) return;
    throw statementError('SQL_CLAUSE_TWICE', cursor.token, `repeat setting of ${what}`);
  };
  if (!atClause(cursor)) return clauses;
  do {
    if (cursor.acceptPhrase('COLUMNS', 'TERMINATED', 'BY')) {
      once(clauses.columnSeparator, 'column separator');
      clauses.columnSeparator = parseDelimiter(cursor);
    } else if (cursor.acceptPhrase('ROWS', 'TERMINATED', 'BY')) {
      once(clauses.rowDelimiter, 'row delimiter');
      clauses.rowDelimiter = parseDelimiter(cursor);
    } else if (cursor.accept('COLUMNS')) {
      once(clauses.columns, 'columns info');
      clauses.columns = cursor.inParentheses(() => cursor.list(() => parseLoadColumn(cursor)));
    } else if (cursor.accept('WHERE')) {
      once(clauses.where, 'where predicate');
      clauses.where = parseExpression(cursor);
    } else if (atPartitions(cursor)) {
      once(clauses.partitions, 'partition names');
      const temporary = cursor.accept('TEMPORARY');
      cursor.expectOneOf('PARTITION', 'PARTITIONS');
      const names = cursor.inParentheses(() => cursor.list(() => cursor.name()));
      clauses.partitions = { temporary, names };
    } else {
      cursor.fail();
    }
  } while (cursor.accept(','));
  if (atClause(cursor)) {
    cursor.fail('a comma is expected between the clauses of a load');
  }
  return clauses;
}

/** In a string `\x` is a letter x; here it starts a byte, whether its backslash is doubled or not. */
function parseDelimiter(cursor: TokenCursor): string {
  const { start, end } = cursor.token;
  const text = cursor.string('a delimiter in quotes');
  const written = cursor.sql.slice(start + 1, end - 1);
  return /^\\x/i.test(written) ? written : text;
}

function atPartitions(cursor: TokenCursor): boolean {
  return cursor.at('PARTITION') || cursor.at('PARTITIONS') || cursor.at('TEMPORARY');
}

function atClause(cursor: TokenCursor): boolean {
  return cursor.at('COLUMNS') || cursor.at('ROWS') || cursor.at('WHERE') || atPartitions(cursor);
}

function parseLoadColumn(cursor: TokenCursor): LoadColumn {
  const name = cursor.name();
  if (!cursor.accept('=')) return { name };
  return { name, expr: parseExpression(cursor) };
}
