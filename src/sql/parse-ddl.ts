/** CREATE, DROP, TRUNCATE and ALTER of catalog objects, and INSERT. */
import type { AggFunction, KeyModel } from '../base/table-schema.ts';
import type { Expr } from './ast/expr.ts';
import type { ColumnSpec, Property, Statement } from './ast/statement.ts';
import { parseExpression, parseSelect, parseTableName } from './parse-select.ts';
import { parseType } from './parse-type.ts';
import { statementError } from './syntax-error.ts';
import type { TokenCursor } from './token-cursor.ts';

const AGGREGATES: readonly AggFunction[] = ['SUM', 'MIN', 'MAX', 'REPLACE', 'REPLACE_IF_NOT_NULL'];

/** `("k" = "v", …)`; empty where PROPERTIES is not written. */
export function parseProperties(cursor: TokenCursor): Property[] {
  if (!cursor.accept('PROPERTIES')) return [];
  return parsePropertyList(cursor);
}

export function parsePropertyList(cursor: TokenCursor): Property[] {
  cursor.expect('(');
  if (cursor.accept(')')) return [];
  const seen = new Set<string>();
  const properties = cursor.list((): Property => {
    const { line, column } = cursor.token;
    const key = cursor.string('a property in quotes');
    if (seen.has(key)) {
      throw statementError(
        'SQL_PROPERTY_TWICE',
        { line, column },
        `the property "${key}" is given twice.`,
      );
    }
    seen.add(key);
    cursor.expect('=');
    return { key, value: cursor.string('a value in quotes'), place: { line, column } };
  });
  cursor.expect(')');
  return properties;
}

const ifNotExists = (cursor: TokenCursor) => cursor.acceptPhrase('IF', 'NOT', 'EXISTS');
const ifExists = (cursor: TokenCursor) => cursor.acceptPhrase('IF', 'EXISTS');
const nameList = (cursor: TokenCursor) =>
  cursor.inParentheses(() => cursor.list(() => cursor.name()));

export function parseCreateDatabase(cursor: TokenCursor): Statement {
  const exists = ifNotExists(cursor);
  const name = cursor.name();
  // All text is UTF-8: what clients ask for besides changes nothing.
  for (;;) {
    const before = cursor.accept('DEFAULT');
    const word = cursor.acceptOneOf('CHARSET', 'CHARACTER', 'COLLATE');
    if (word === undefined) {
      if (before) cursor.fail();
      return { kind: 'createDatabase', ifNotExists: exists, name };
    }
    if (word === 'CHARACTER') cursor.expect('SET');
    cursor.accept('=');
    if (cursor.token.kind === 'string') cursor.string();
    else cursor.name();
  }
}

export function parseDropDatabase(cursor: TokenCursor): Statement {
  const exists = ifExists(cursor);
  const name = cursor.name();
  return { kind: 'dropDatabase', ifExists: exists, name, force: cursor.accept('FORCE') };
}

export function parseDropTable(cursor: TokenCursor): Statement {
  const exists = ifExists(cursor);
  const table = parseTableName(cursor);
  return { kind: 'dropTable', ifExists: exists, table, force: cursor.accept('FORCE') };
}

export function parseCreateTable(cursor: TokenCursor): Statement {
  const exists = ifNotExists(cursor);
  const table = parseTableName(cursor);
  const columns = cursor.inParentheses(() => cursor.list(() => parseColumn(cursor)));
  let engine: string | undefined;
  let keys: { model: KeyModel | 'UNIQUE' | 'PRIMARY'; columns: string[] } | undefined;
  let comment: string | undefined;
  let distribution: { columns: string[]; buckets?: number } | undefined;
  let properties: Property[] = [];
  for (;;) {
    if (engine === undefined && cursor.accept('ENGINE')) {
      cursor.expect('=');
      engine = cursor.name();
      continue;
    }
    const model =
      keys === undefined
        ? cursor.acceptOneOf('DUPLICATE', 'AGGREGATE', 'UNIQUE', 'PRIMARY')
        : undefined;
    if (model !== undefined) {
      cursor.expect('KEY');
      keys = { model: model as KeyModel | 'UNIQUE' | 'PRIMARY', columns: nameList(cursor) };
    } else if (comment === undefined && cursor.accept('COMMENT')) {
      cursor.accept('=');
      comment = cursor.string();
    } else if (distribution === undefined && cursor.acceptPhrase('DISTRIBUTED', 'BY')) {
      const names = cursor.expectOneOf('HASH', 'RANDOM') === 'HASH' ? nameList(cursor) : [];
      distribution = { columns: names };
      if (cursor.accept('BUCKETS')) distribution.buckets = cursor.integer();
    } else if (cursor.at('PROPERTIES')) {
      properties = [...properties, ...parseProperties(cursor)];
    } else if (cursor.token.upper === 'PARTITION') {
      return cursor.refuse('PARTITION BY is not supported yet');
    } else if (cursor.token.upper === 'ORDER') {
      return cursor.refuse('ORDER BY is not supported yet');
    } else {
      break;
    }
  }
  return {
    kind: 'createTable',
    table,
    ifNotExists: exists,
    columns,
    properties,
    ...(engine === undefined ? {} : { engine }),
    ...(keys === undefined ? {} : { keys }),
    ...(comment === undefined ? {} : { comment }),
    ...(distribution === undefined ? {} : { distribution }),
  };
}

function parseColumn(cursor: TokenCursor): ColumnSpec {
  const name = cursor.name();
  const type = parseType(cursor, 'column');
  const key = cursor.accept('KEY');
  let agg: AggFunction | undefined;
  let nullable: boolean | undefined;
  let fallback: ColumnSpec['default'];
  let comment: string | undefined;
  for (;;) {
    const word = agg === undefined ? cursor.acceptOneOf(...AGGREGATES) : undefined;
    if (word !== undefined) agg = word as AggFunction;
    else if (nullable === undefined && cursor.acceptPhrase('NOT', 'NULL')) nullable = false;
    else if (nullable === undefined && cursor.accept('NULL')) nullable = true;
    else if (fallback === undefined && cursor.accept('DEFAULT')) fallback = parseDefault(cursor);
    else if (comment === undefined && cursor.accept('COMMENT')) comment = cursor.string();
    else break;
  }
  return {
    name,
    type,
    ...(key ? { key } : {}),
    ...(agg === undefined ? {} : { agg }),
    ...(nullable === undefined ? {} : { nullable }),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function parseDefault(cursor: TokenCursor): NonNullable<ColumnSpec['default']> {
  if (cursor.accept('NULL')) return { kind: 'null' };
  if (cursor.accept('CURRENT_TIMESTAMP')) {
    if (cursor.accept('(')) cursor.expect(')');
    return { kind: 'current_timestamp' };
  }
  const sign = cursor.accept('-') ? '-' : '';
  if (cursor.token.kind === 'number')
    return { kind: 'literal', text: sign + cursor.advance().value };
  return { kind: 'literal', text: cursor.string('a value in quotes') };
}

export function parseInsert(cursor: TokenCursor): Statement {
  cursor.expectOneOf('INTO', 'OVERWRITE') === 'OVERWRITE' &&
    cursor.refuse('INSERT OVERWRITE is not supported yet');
  cursor.accept('TABLE');
  const table = parseTableName(cursor);
  const label = cursor.acceptPhrase('WITH', 'LABEL') ? parseLabel(cursor) : undefined;
  const columns =
    cursor.token.upper === '(' && !['SELECT', 'WITH', '('].includes(cursor.peek(1).upper)
      ? nameList(cursor)
      : undefined;
  const properties = parseProperties(cursor);
  const base = {
    kind: 'insert' as const,
    table,
    properties,
    ...(label === undefined ? {} : { label }),
    ...(columns === undefined ? {} : { columns }),
  };
  if (!cursor.accept('VALUES')) {
    return { ...base, source: { kind: 'select', select: parseSelect(cursor) } };
  }
  const rows = cursor.list(() =>
    cursor.inParentheses(() =>
      cursor.list((): Expr | { kind: 'default' } =>
        cursor.accept('DEFAULT') ? { kind: 'default' } : parseExpression(cursor),
      ),
    ),
  );
  return { ...base, source: { kind: 'values', rows } };
}

function parseLabel(cursor: TokenCursor): string {
  if (cursor.token.kind === 'string') return cursor.string();
  return cursor.name();
}

export function parseFileStatement(cursor: TokenCursor, verb: 'create' | 'drop'): Statement {
  const name = cursor.string('a file name in quotes');
  const db = cursor.acceptOneOf('IN', 'FROM') === undefined ? undefined : cursor.name();
  const properties = parseProperties(cursor);
  const kind = verb === 'create' ? ('createFile' as const) : ('dropFile' as const);
  return { kind, name, properties, ...(db === undefined ? {} : { db }) };
}
