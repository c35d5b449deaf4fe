/** Statements from text: what was written, nothing checked against the catalog. */
import type { PreparedValue } from '../protocol/mysql/mysql.types.ts';
import type { Expr } from './ast/expr.ts';
import type { Statement } from './ast/statement.ts';
import { Lexer } from './lexer.ts';
import {
  parseCreateDatabase,
  parseCreateTable,
  parseDropDatabase,
  parseDropTable,
  parseFileStatement,
  parseInsert,
} from './parse-ddl.ts';
import { parseAlterRoutineLoad, parseCreateRoutineLoad, parseJobVerb } from './parse-load.ts';
import { parseExpression, parseSelect, parseTableName } from './parse-select.ts';
import { parseAdmin, parseDescribe, parseKill, parseSet, parseShow } from './parse-show.ts';
import { TokenCursor } from './token-cursor.ts';

export interface ParseOptions {
  /** Values of the placeholders of a prepared statement, in order. */
  readonly params?: readonly PreparedValue[];
}

/** All statements of a text, in order; empty ones between semicolons are left out. */
export function parseStatements(sql: string, options: ParseOptions = {}): Statement[] {
  const cursor = new TokenCursor(sql, options.params);
  const statements: Statement[] = [];
  for (;;) {
    while (cursor.accept(';'));
    if (atEnd(cursor)) return statements;
    statements.push(parseOne(cursor));
    if (!atEnd(cursor) && !cursor.at(';')) {
      cursor.wants('the end of the statement');
      cursor.fail();
    }
  }
}

/** Exactly one statement. */
export function parseStatement(sql: string, options: ParseOptions = {}): Statement {
  const cursor = new TokenCursor(sql, options.params);
  while (cursor.accept(';'));
  const statement = parseOne(cursor);
  while (cursor.accept(';'));
  if (!atEnd(cursor)) {
    cursor.wants('the end of the statement');
    cursor.fail();
  }
  return statement;
}

/** One expression and nothing behind it. */
export function parseExpr(sql: string): Expr {
  const cursor = new TokenCursor(sql);
  const expr = parseExpression(cursor);
  if (!atEnd(cursor)) cursor.fail();
  return expr;
}

/** Placeholders of a statement that is to be prepared. */
export function countParameters(sql: string): number {
  const lexer = new Lexer(sql);
  let count = 0;
  for (;;) {
    const { kind } = lexer.next();
    if (kind === 'end') return count;
    if (kind === 'parameter') count += 1;
  }
}

const atEnd = (cursor: TokenCursor): boolean => cursor.token.kind === 'end';

function parseOne(cursor: TokenCursor): Statement {
  const { upper, start } = cursor.token;
  if (upper === 'SELECT' || upper === 'WITH' || upper === '(') {
    return { kind: 'select', select: parseSelect(cursor) };
  }
  const verb = cursor.expectOneOf(
    ...[
      'SELECT',
      'CREATE',
      'DROP',
      'ALTER',
      'INSERT',
      'SHOW',
      'DESCRIBE',
      'DESC',
      'EXPLAIN',
      'USE',
    ],
    ...['SET', 'PAUSE', 'RESUME', 'STOP', 'TRUNCATE', 'ADMIN', 'KILL', 'BEGIN', 'START', 'COMMIT'],
    'ROLLBACK',
  );
  switch (verb) {
    case 'CREATE':
      return parseCreate(cursor, start);
    case 'DROP':
      return parseDrop(cursor);
    case 'ALTER':
      cursor.expect('ROUTINE', 'LOAD');
      return parseAlterRoutineLoad(cursor);
    case 'INSERT':
      return parseInsert(cursor);
    case 'SHOW':
      return parseShow(cursor);
    case 'DESCRIBE':
    case 'DESC':
    case 'EXPLAIN':
      if (['SELECT', 'WITH', '('].includes(cursor.token.upper)) {
        return { kind: 'explain', select: parseSelect(cursor) };
      }
      return parseDescribe(cursor);
    case 'USE':
      return { kind: 'use', db: cursor.name() };
    case 'SET':
      return parseSet(cursor);
    case 'PAUSE':
      return parseJobVerb(cursor, 'pauseRoutineLoad');
    case 'RESUME':
      return parseJobVerb(cursor, 'resumeRoutineLoad');
    case 'STOP':
      return parseJobVerb(cursor, 'stopRoutineLoad');
    case 'TRUNCATE':
      cursor.expect('TABLE');
      return { kind: 'truncateTable', table: parseTableName(cursor) };
    case 'ADMIN':
      return parseAdmin(cursor);
    case 'KILL':
      return parseKill(cursor);
    default:
      return parseTransaction(cursor, verb);
  }
}

function parseTransaction(cursor: TokenCursor, word: string): Statement {
  if (word === 'START') {
    cursor.expect('TRANSACTION');
    // Each statement is its own transaction: what is asked of longer ones changes nothing.
    if (cursor.accept('READ')) cursor.expectOneOf('ONLY', 'WRITE');
    else cursor.acceptPhrase('WITH', 'CONSISTENT', 'SNAPSHOT');
  } else cursor.accept('WORK');
  const verb = word === 'COMMIT' ? 'COMMIT' : word === 'ROLLBACK' ? 'ROLLBACK' : 'BEGIN';
  return { kind: 'transaction', verb };
}

function parseCreate(cursor: TokenCursor, start: number): Statement {
  const what = cursor.expectOneOf('TABLE', 'DATABASE', 'SCHEMA', 'ROUTINE', 'FILE');
  if (what === 'TABLE') return parseCreateTable(cursor);
  if (what === 'FILE') return parseFileStatement(cursor, 'create');
  if (what !== 'ROUTINE') return parseCreateDatabase(cursor);
  cursor.expect('LOAD');
  return parseCreateRoutineLoad(cursor, start);
}

function parseDrop(cursor: TokenCursor): Statement {
  const what = cursor.expectOneOf('TABLE', 'DATABASE', 'SCHEMA', 'FILE');
  if (what === 'TABLE') return parseDropTable(cursor);
  if (what === 'FILE') return parseFileStatement(cursor, 'drop');
  return parseDropDatabase(cursor);
}
