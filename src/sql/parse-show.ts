/** SHOW and DESCRIBE, ADMIN, SET, KILL, USE, transactions: what clients ask and administrators say. */
import type { Expr } from './ast/expr.ts';
import type { SetItem, ShowFilter, Statement } from './ast/statement.ts';
import { parsePropertyList } from './parse-ddl.ts';
import { parseExpression, parseLimit, parseOrderBy, parseTableName } from './parse-select.ts';
import type { TokenCursor } from './token-cursor.ts';

export function parseShowFilter(cursor: TokenCursor): ShowFilter {
  const like = cursor.accept('LIKE') ? cursor.string() : undefined;
  const where = cursor.accept('WHERE') ? parseExpression(cursor) : undefined;
  const orderBy = parseOrderBy(cursor);
  const limit = parseLimit(cursor);
  return {
    ...(like === undefined ? {} : { like }),
    ...(where === undefined ? {} : { where }),
    ...(orderBy.length === 0 ? {} : { orderBy }),
    ...(limit === undefined ? {} : { limit }),
  };
}

function fromDb(cursor: TokenCursor): { db?: string } {
  return cursor.acceptOneOf('FROM', 'IN') === undefined ? {} : { db: cursor.name() };
}

/** `FROM t [FROM db]` */
function fromTable(cursor: TokenCursor) {
  cursor.expectOneOf('FROM', 'IN');
  const table = parseTableName(cursor);
  return { ...table, ...fromDb(cursor) };
}

export function parseShow(cursor: TokenCursor): Statement {
  if (cursor.acceptPhrase('ROUTINE', 'LOAD', 'TASK')) return parseShowTask(cursor);
  if (cursor.acceptPhrase('ALL', 'ROUTINE', 'LOAD')) return parseShowJobs(cursor, true);
  if (cursor.acceptPhrase('ROUTINE', 'LOAD')) return parseShowJobs(cursor, false);
  if (cursor.accept('CREATE')) return parseShowCreate(cursor);
  const full = cursor.accept('FULL');
  const scope =
    cursor.acceptOneOf('SESSION', 'GLOBAL', 'LOCAL') === 'GLOBAL' ? 'global' : 'session';
  const filter = () => parseShowFilter(cursor);
  const word = cursor.expectOneOf(
    ...['DATABASES', 'SCHEMAS', 'TABLES', 'TABLE', 'COLUMNS', 'FIELDS', 'FILE', 'BACKENDS'],
    ...[
      'TABLETS',
      'STORAGE',
      'FRONTENDS',
      'VARIABLES',
      'PROCESSLIST',
      'WARNINGS',
      'ERRORS',
      'STATUS',
      'ENGINES',
    ],
    ...[
      'COLLATION',
      'CHARACTER',
      'CHARSET',
      'PLUGINS',
      'TABLET',
      'INDEX',
      'INDEXES',
      'KEYS',
      'GRANTS',
    ],
  );
  switch (word) {
    case 'DATABASES':
    case 'SCHEMAS':
      return { kind: 'showDatabases', filter: filter() };
    case 'TABLES':
      return { kind: 'showTables', full, ...fromDb(cursor), filter: filter() };
    case 'TABLE':
      cursor.expect('STATUS');
      return { kind: 'showTableStatus', ...fromDb(cursor), filter: filter() };
    case 'COLUMNS':
    case 'FIELDS':
      return { kind: 'showColumns', full, table: fromTable(cursor), filter: filter() };
    case 'FILE':
      return { kind: 'showFile', ...fromDb(cursor) };
    case 'BACKENDS':
      return { kind: 'showBackends' };
    case 'FRONTENDS':
      return { kind: 'showFrontends' };
    case 'VARIABLES':
      return { kind: 'showVariables', scope, filter: filter() };
    case 'PROCESSLIST':
      return { kind: 'showProcesslist', full };
    case 'WARNINGS':
    case 'ERRORS':
      parseLimit(cursor);
      return { kind: 'showWarnings' };
    case 'STATUS':
      return { kind: 'showStatus', filter: filter() };
    case 'STORAGE':
      cursor.expect('ENGINES');
      return { kind: 'showEngines' };
    case 'ENGINES':
      return { kind: 'showEngines' };
    case 'COLLATION':
      return { kind: 'showCollation', filter: filter() };
    case 'CHARACTER':
      cursor.expect('SET');
      return { kind: 'showCharset', filter: filter() };
    case 'CHARSET':
      return { kind: 'showCharset', filter: filter() };
    case 'PLUGINS':
      return { kind: 'showPlugins' };
    case 'TABLET':
    case 'TABLETS':
      cursor.expect('FROM');
      return { kind: 'showTablets', table: parseTableName(cursor) };
    case 'GRANTS':
      if (cursor.accept('FOR')) skipRest(cursor);
      return { kind: 'showGrants' };
    default:
      return { kind: 'showIndex', table: fromTable(cursor) };
  }
}

function skipRest(cursor: TokenCursor): void {
  while (cursor.token.kind !== 'end' && cursor.token.upper !== ';') cursor.advance();
}

function parseShowTask(cursor: TokenCursor): Statement {
  const from = fromDb(cursor);
  cursor.expect('WHERE');
  return { kind: 'showRoutineLoadTask', ...from, where: parseExpression(cursor) };
}

function parseShowJobs(cursor: TokenCursor, all: boolean): Statement {
  const job = cursor.accept('FOR') ? parseTableName(cursor) : undefined;
  const from = fromDb(cursor);
  return {
    kind: 'showRoutineLoad',
    all,
    ...(job === undefined ? {} : { job }),
    ...from,
    filter: parseShowFilter(cursor),
  };
}

function parseShowCreate(cursor: TokenCursor): Statement {
  const word = cursor.expectOneOf('TABLE', 'DATABASE', 'SCHEMA', 'ROUTINE');
  if (word === 'TABLE') return { kind: 'showCreateTable', table: parseTableName(cursor) };
  if (word !== 'ROUTINE') return { kind: 'showCreateDatabase', name: cursor.name() };
  cursor.expect('LOAD');
  cursor.accept('FOR');
  return { kind: 'showCreateRoutineLoad', job: parseTableName(cursor) };
}

export function parseDescribe(cursor: TokenCursor): Statement {
  const table = parseTableName(cursor);
  return { kind: 'describe', table, all: cursor.accept('ALL') };
}

export function parseAdmin(cursor: TokenCursor): Statement {
  if (cursor.acceptPhrase('SHOW', 'FRONTEND', 'CONFIG')) {
    return { kind: 'adminShowConfig', filter: parseShowFilter(cursor) };
  }
  if (cursor.acceptPhrase('SET', 'FRONTEND', 'CONFIG')) {
    return { kind: 'adminSetConfig', properties: parsePropertyList(cursor) };
  }
  cursor.expect('DROP', 'BACKEND');
  return { kind: 'adminDropBackend', backend: cursor.string() };
}

export function parseSet(cursor: TokenCursor): Statement {
  const scope = cursor.token.upper === 'SESSION' || cursor.token.upper === 'GLOBAL';
  if (cursor.token.upper === 'TRANSACTION' || (scope && cursor.peek(1).upper === 'TRANSACTION')) {
    skipRest(cursor);
    return { kind: 'set', items: [] };
  }
  return { kind: 'set', items: cursor.list(() => parseSetItem(cursor)) };
}

function parseNames(cursor: TokenCursor): SetItem {
  const word = () => (cursor.token.kind === 'string' ? cursor.string() : cursor.nameAfterDot());
  const charset = word();
  if (cursor.accept('COLLATE')) word();
  return { kind: 'names', charset };
}

function parseSetItem(cursor: TokenCursor): SetItem {
  if (cursor.accept('NAMES') || cursor.acceptPhrase('CHARACTER', 'SET')) return parseNames(cursor);
  let scope: 'user' | 'session' | 'global' = 'session';
  let name: string;
  if (cursor.accept('@')) {
    scope = 'user';
    name = cursor.nameAfterDot();
  } else {
    const system = cursor.accept('@@');
    const prefix = system ? undefined : cursor.acceptOneOf('GLOBAL', 'SESSION', 'LOCAL');
    if (prefix === 'GLOBAL') scope = 'global';
    name = cursor.nameAfterDot();
    if (system && cursor.accept('.')) {
      if (name.toLowerCase() === 'global') scope = 'global';
      name = cursor.nameAfterDot();
    }
  }
  if (!cursor.accept(':=')) cursor.expect('=');
  return { kind: 'variable', scope, name: name.toLowerCase(), value: parseSetValue(cursor) };
}

/** A bare word is a string: `SET x = utf8mb4`, `= ON`. */
function parseSetValue(cursor: TokenCursor): Expr | undefined {
  if (cursor.accept('DEFAULT')) return undefined;
  const { kind, value } = cursor.token;
  const next = cursor.peek(1);
  const bare = kind === 'word' && (next.kind === 'end' || next.upper === ',' || next.upper === ';');
  if (bare && !['NULL', 'TRUE', 'FALSE'].includes(cursor.token.upper)) {
    cursor.advance();
    return { kind: 'string', value };
  }
  return parseExpression(cursor);
}

export function parseKill(cursor: TokenCursor): Statement {
  const word = cursor.acceptOneOf('QUERY', 'CONNECTION');
  return { kind: 'kill', connectionId: cursor.integer(), queryOnly: word === 'QUERY' };
}
