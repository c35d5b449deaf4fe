/**
 * From a job's definition to what its tasks do with a message (semantics.md 2.1, 5.1): which fields are read, as which
 * types, and how each table column is made. Pure; checked at CREATE and ALTER, planned anew for every task.
 */
import type { JobDefinition, TableFact } from '../../actors/fe/fe-facts.ts';
import { LoadError } from '../../base/errors.ts';
import { type SqlType, VARCHAR } from '../../base/sql-type.ts';
import type { ColumnDef } from '../../base/table-schema.ts';
import type { ColumnSource } from '../../engine/engine.types.ts';
import { NumberTexts } from '../../formats/cast/number-texts.ts';
import type { Format, SourceField } from '../../formats/decode.types.ts';
import { resolveByte, resolveDelimiter } from '../../formats/delimiter.ts';
import { checkJsonPaths } from '../../formats/json.ts';
import type { Expr } from '../ast/expr.ts';
import type { LoadColumn } from '../ast/statement.ts';
import { printExpr } from '../printer.ts';
import { checkLoadExpr, columnsOf, fieldTypesOf } from '../resolve.ts';

export interface LoadPlan {
  readonly format: Format;
  readonly fields: readonly SourceField[];
  readonly sources: readonly ColumnSource[];
  readonly where?: Expr;
  readonly strict: boolean;
}

const fold = (name: string) => name.toLowerCase();

export function planFormat({ clauses, properties }: JobDefinition): Format {
  if (properties.format === 'csv') {
    const enclose = resolveByte(properties.enclose, 'enclose');
    const escapeByte = resolveByte(properties.escape, 'escape');
    return {
      kind: 'csv',
      columnSeparator: resolveDelimiter(clauses.columnSeparator ?? '\\t', 'column separator'),
      rowDelimiter: resolveDelimiter(clauses.rowDelimiter ?? '\\n', 'row delimiter'),
      trimSpace: properties.trimSpace,
      ...(enclose === '' ? {} : { enclose }),
      ...(escapeByte === '' ? {} : { escape: escapeByte }),
    };
  }
  const { jsonpaths, jsonRoot, stripOuterArray } = properties;
  return {
    kind: 'json',
    stripOuterArray,
    ...(jsonpaths === '' ? {} : { jsonpaths: checkJsonPaths(jsonpaths) }),
    ...(jsonRoot === '' ? {} : { jsonRoot }),
  };
}

export function planLoad(table: TableFact, definition: JobDefinition): LoadPlan {
  const { columns } = table.schema;
  const list = definition.clauses.columns ?? [];
  check(list, columns);
  const plain = list.filter(({ expr }) => expr === undefined).map(({ name }) => name);
  // No plain name at all: the fields are the table's columns in order (5.1, rule 6).
  const names = plain.length > 0 ? plain : columns.map(({ name }) => name);
  const derived = new Map<string, Expr>();
  for (const { name, expr } of list) if (expr !== undefined) derived.set(fold(name), expr);
  const inferred = inferTypes(derived);
  const types = fieldTypes(names, columns, inferred, derived, definition.clauses.where);
  const fields = names.map((name): SourceField => {
    const type = types.get(fold(name));
    const column = columns.find((one) => fold(one.name) === fold(name));
    return {
      name,
      nullable: column?.nullable ?? true,
      ...(type === undefined ? {} : { type }),
      ...(isCalculated(column, inferred.get(fold(name))) ? { calculated: true } : {}),
    };
  });
  // The engine knows the fields that have a type, in their order.
  const typed = fields.filter(({ type }) => type !== undefined).map(({ name }) => fold(name));
  const sources = columns.map((column) => sourceOf(column, typed, derived));
  const { where } = definition.clauses;
  return {
    format: planFormat(definition),
    fields,
    sources,
    strict: definition.properties.strictMode,
    ...(where === undefined ? {} : { where }),
  };
}

function check(list: readonly LoadColumn[], columns: readonly ColumnDef[]): void {
  const plain = new Set<string>();
  const mapped = new Set<string>();
  for (const { name, expr } of list) {
    const seen = expr === undefined ? plain : mapped;
    if (seen.has(fold(name))) {
      throw new LoadError('LOAD_COLUMNS', `Duplicate column${expr ? ' mapping' : ''}: ${name}`, {
        errno: 1064,
      });
    }
    seen.add(fold(name));
  }
  const names = plain.size > 0 ? plain : new Set(columns.map(({ name }) => fold(name)));
  for (const { name, expr } of list) {
    if (expr === undefined) continue;
    if (!columns.some((column) => fold(column.name) === fold(name))) {
      throw new LoadError('LOAD_COLUMNS', `Mapping column is not in table. column: ${name}`, {
        errno: 1064,
      });
    }
    checkLoadExpr(expr);
    for (const used of columnsOf(expr)) {
      if (names.has(fold(used))) continue;
      throw new LoadError(
        'LOAD_COLUMNS',
        `Referenced column '${used}' in expr '${printExpr(expr)}' can't be found in column list, derived column is '${name}'`,
        { errno: 5601, sqlState: '42000' },
      );
    }
  }
}

/** What the expressions cast each name to. */
function inferTypes(derived: ReadonlyMap<string, Expr>): Map<string, SqlType> {
  const inferred = new Map<string, SqlType>();
  for (const expr of derived.values()) {
    for (const [name, type] of fieldTypesOf(expr)) {
      const known = inferred.get(fold(name));
      if (known === undefined || type.name !== 'VARCHAR') inferred.set(fold(name), type);
    }
  }
  return inferred;
}

/** It is a text by the rules, and yet nobody is likely to want it but as a number. */
function isCalculated(column: ColumnDef | undefined, used: SqlType | undefined): boolean {
  if (column === undefined || used === undefined) return false;
  return NumberTexts.isFor(column.type) && NumberTexts.isFor(used);
}

/** semantics.md 2.1: the table's type; VARCHAR for a name that is both; else what the expressions want. */
function fieldTypes(
  names: readonly string[],
  columns: readonly ColumnDef[],
  inferred: ReadonlyMap<string, SqlType>,
  derived: ReadonlyMap<string, Expr>,
  where: Expr | undefined,
): Map<string, SqlType> {
  const inWhere = new Set(where === undefined ? [] : [...columnsOf(where)].map(fold));
  const types = new Map<string, SqlType>();
  for (const name of names) {
    const key = fold(name);
    const column = columns.find((one) => fold(one.name) === key);
    const used = inferred.get(key);
    if (column !== undefined && used !== undefined) types.set(key, VARCHAR);
    else if (column !== undefined && !derived.has(key)) types.set(key, column.type);
    else if (used !== undefined) types.set(key, used);
    else if (inWhere.has(key)) types.set(key, VARCHAR);
  }
  return types;
}

function sourceOf(
  column: ColumnDef,
  typed: readonly string[],
  derived: ReadonlyMap<string, Expr>,
): ColumnSource {
  const expr = derived.get(fold(column.name));
  if (expr !== undefined) return { kind: 'expr', expr };
  const field = typed.indexOf(fold(column.name));
  if (field >= 0) return { kind: 'field', field };
  if (column.default?.kind === 'literal') return { kind: 'literal', text: column.default.text };
  if (column.default?.kind === 'current_timestamp') return { kind: 'now' };
  if (column.nullable) return { kind: 'null' };
  throw new LoadError('NO_DEFAULT', `Column has no default value. column: ${column.name}`, {
    errno: 1364,
  });
}
