import { describe, expect, it } from 'vitest';
import { LoadError } from '../base/errors.ts';
import { parseExpr, parseStatement, parseStatements } from './parser.ts';

const thrown = (sql: string): LoadError => {
  try {
    parseStatements(sql);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error(`parsed: ${sql.slice(0, 100)}`);
};

const createLoad = (clauses: string, source = 'KAFKA') => {
  const statement = parseStatement(`CREATE ROUTINE LOAD j ON t ${clauses} FROM ${source}`);
  if (statement.kind !== 'createRoutineLoad') throw new Error(statement.kind);
  return statement;
};

describe('trees stay low enough to walk (P1)', () => {
  it.each([
    { name: 'IS NULL', sql: `SELECT x${' IS NULL'.repeat(50_000)}` },
    { name: 'LIKE', sql: `SELECT x${" LIKE 'a'".repeat(50_000)}` },
    { name: 'IN', sql: `SELECT x${' IN (1)'.repeat(50_000)}` },
    { name: '!', sql: `SELECT ${'!'.repeat(50_000)}x` },
    { name: 'INTERSECT', sql: `SELECT 1${' INTERSECT SELECT 1'.repeat(50_000)}` },
    { name: 'joins', sql: `SELECT 1 FROM a${' JOIN b'.repeat(50_000)}` },
    { name: 'CASE', sql: `SELECT ${'CASE WHEN 1 THEN '.repeat(50_000)}` },
  ])('$name', ({ sql }) => {
    expect(thrown(sql).code).toBe('SQL_TOO_DEEP');
  });
});

describe('precedence', () => {
  it.each([
    { sql: '!a = b', same: '(NOT a) = b' },
    { sql: 'NOT a = b', same: 'NOT (a = b)' },
    { sql: 'a OR b AND NOT c = 1 + 2 * -3', same: 'a OR (b AND (NOT (c = (1 + (2 * (-3))))))' },
    { sql: 'a || b && c', same: 'a OR (b AND c)' },
    { sql: 'a | b & c + d ^ e', same: 'a | (b & (c + (d ^ e)))' },
    { sql: 'a BETWEEN 1 AND 2 AND b', same: '(a BETWEEN 1 AND 2) AND b' },
    { sql: 'a != 1', same: 'a <> 1' },
    { sql: 'a MOD b DIV c', same: '(a % b) DIV c' },
  ])('$sql', ({ sql, same }) => {
    expect(parseExpr(sql)).toEqual(parseExpr(same));
  });

  it('INTERSECT binds tighter than UNION', () => {
    expect(parseStatement('SELECT 1 UNION SELECT 2 INTERSECT SELECT 3')).toEqual(
      parseStatement('SELECT 1 UNION (SELECT 2 INTERSECT SELECT 3)'),
    );
  });
});

describe('names and intervals', () => {
  it('takes INTERVAL for a name where no interval can start', () => {
    expect(parseExpr('interval > 3')).toMatchObject({ left: { kind: 'column' } });
    expect(parseExpr('interval IN (1)')).toMatchObject({ arg: { kind: 'column' } });
    expect(parseExpr('now() - INTERVAL t.n DAY')).toMatchObject({ right: { unit: 'DAY' } });
    expect(parseExpr('now() - INTERVAL 1 DAY')).toMatchObject({ right: { unit: 'DAY' } });
    expect(parseExpr('now() - INTERVAL -1 DAY')).toMatchObject({ right: { unit: 'DAY' } });
  });

  it.each([
    { sql: 'SELECT INTERVAL 1', found: '<EOF>' },
    { sql: 'SELECT INTERVAL 1 dya', found: 'dya' },
  ])('$sql names the units', ({ sql, found }) => {
    expect(thrown(sql).details).toMatchObject({ found });
    expect(thrown(sql).message).toContain('DAY');
  });

  it('refuses NATURAL JOIN instead of taking it for an alias', () => {
    expect(thrown('SELECT * FROM t NATURAL JOIN u').message).toContain('NATURAL JOIN');
  });

  it('finds the misspelled keyword that was taken for an alias', () => {
    expect(thrown('SELECT a FORM t').hint).toBe('did you mean FROM instead of "FORM"?');
  });
});

describe('delimiters', () => {
  it.each([
    { written: String.raw`"\x01"`, kept: String.raw`\x01` },
    { written: String.raw`"\\x01"`, kept: String.raw`\x01` },
    { written: String.raw`"\t"`, kept: '\t' },
    { written: `','`, kept: ',' },
  ])('$written', ({ written, kept }) => {
    expect(createLoad(`COLUMNS TERMINATED BY ${written}`).clauses.columnSeparator).toBe(kept);
    expect(createLoad(`ROWS TERMINATED BY ${written}`).clauses.rowDelimiter).toBe(kept);
  });
});

describe('secrets are not kept in the text', () => {
  it.each([
    { key: 'property.ssl.key.password', value: 'hush' },
    { key: 'confluent.schema.registry.url', value: 'http://key:hush@host:8081' },
    { key: 'property.sasl.jaas.config', value: 'x password=hush' },
  ])('$key', ({ key, value }) => {
    const statement = createLoad('', `KAFKA ("${key}" = "${value}")`);
    expect(statement.text).not.toContain('hush');
    expect(statement.source.properties[0]?.value).toBe(value);
  });
});

describe('repeated clauses', () => {
  it.each([
    { clauses: "COLUMNS TERMINATED BY 'a', COLUMNS TERMINATED BY 'b'", what: 'column separator' },
    { clauses: "ROWS TERMINATED BY 'a', ROWS TERMINATED BY 'b'", what: 'row delimiter' },
    { clauses: 'COLUMNS (a), COLUMNS (b)', what: 'columns info' },
    { clauses: 'WHERE a, WHERE b', what: 'where predicate' },
    { clauses: 'PARTITION (a), TEMPORARY PARTITION (b)', what: 'partition names' },
  ])('$what', ({ clauses, what }) => {
    const error = thrown(`CREATE ROUTINE LOAD j ON t ${clauses} FROM KAFKA`);
    expect(error.message).toContain(`repeat setting of ${what}`);
  });
});

describe('what clients send', () => {
  it.each([
    { sql: 'SET NAMES utf8mb4, autocommit=1', kind: 'set' },
    { sql: 'SET CHARACTER SET utf8', kind: 'set' },
    { sql: 'START TRANSACTION READ ONLY', kind: 'transaction' },
    { sql: 'START TRANSACTION WITH CONSISTENT SNAPSHOT', kind: 'transaction' },
    { sql: 'CREATE DATABASE d DEFAULT CHARACTER SET utf8mb4 COLLATE x', kind: 'createDatabase' },
    { sql: 'SHOW STORAGE ENGINES', kind: 'showEngines' },
    { sql: 'SHOW TABLETS FROM db.t', kind: 'showTablets' },
    { sql: 'SELECT 1 FROM DUAL', kind: 'select' },
    { sql: 'INSERT INTO t ((SELECT 1) UNION SELECT 2)', kind: 'insert' },
  ])('$sql', ({ sql, kind }) => {
    expect(parseStatement(sql).kind).toBe(kind);
  });
});
