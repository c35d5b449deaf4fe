/**
 * Source fields → table columns. What is only named passes as it came; expressions and WHERE are one statement over all
 * rows of the batch, prepared once for a plan and run again for its next batches.
 */
import { assert } from '../base/assert.ts';
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import type { SqlType } from '../base/sql-type.ts';
import { castTextColumn } from '../formats/cast/text-cast.ts';
import { createBuilder } from '../formats/column-builder.ts';
import { takeColumn } from '../formats/column-rows.ts';
import { castSql, categoryOf } from './cast-sql.ts';
import type { ColumnSource, TransformOutput, TransformPlan } from './engine.types.ts';
import { conditionSql, typedSql } from './expr-sql.ts';
import { batchColumns, fieldCasts } from './field-casts.ts';
import { localText } from './local-time.ts';
import type { PreparedRows, Question } from './prepared-rows.ts';
import { checkReader, type Read } from './reader-check.ts';
import { checkSink, REJECT_TEXTS } from './sink.ts';
import { TextCasts } from './text-casts.ts';
import type { Typed } from './translate.types.ts';
import { trySql } from './try-sql.ts';

const BOOLEAN: SqlType = { name: 'BOOLEAN' };

/** What the engine is asked, and of what. */
interface Asked extends Question {
  readonly columns: readonly Column[];
}

export class Transformer {
  readonly #prepared: PreparedRows;

  constructor(prepared: PreparedRows) {
    this.#prepared = prepared;
  }

  async transform(
    plan: TransformPlan,
    input: ColumnBatch,
    signal?: AbortSignal,
  ): Promise<TransformOutput> {
    const casts = new TextCasts();
    const given = plan.sources.map((source, i) => givenColumn(plan, source, i, input, casts));
    const read = checkReader(plan, input, given);
    const output = await this.#transform(plan, read, casts, signal);
    return {
      ...output,
      coerced: read.coerced,
      rejects: [...read.rejects, ...output.rejects].slice(0, REJECT_TEXTS),
      rejected: read.rejected + output.rejected,
    };
  }

  async #transform(
    plan: TransformPlan,
    { input, given, rows: origin }: Read,
    casts: TextCasts,
    signal: AbortSignal | undefined,
  ): Promise<TransformOutput> {
    const { schema, sources } = plan;
    const asked = sources.some(({ kind }) => kind === 'expr') || plan.where !== undefined;
    if (!asked || input.rows === 0) {
      const columns = given.map(
        (column, i) => column ?? createBuilder(schema.columns[i]!.type, 0).finish(),
      );
      return checkSink(schema, { rows: input.rows, columns }, null, origin);
    }
    const question = questionOf(plan, input, given, casts);
    const rows = { rows: input.rows, columns: question.columns };
    const { rows: answered, columns: made } = await this.#prepared.ask(question, rows, signal);
    assert(answered === input.rows, 'one row comes out for each that went in');
    let at = 0;
    const columns = given.map((column) => column ?? made[at++]!);
    const batch = { rows: input.rows, columns };
    const chosen = plan.where === undefined ? null : chosenRows(made[at], input.rows);
    return checkSink(schema, batch, chosen, origin);
  }
}

/** The column where no expression makes it. */
function givenColumn(
  plan: TransformPlan,
  source: ColumnSource,
  i: number,
  input: ColumnBatch,
  casts: TextCasts,
): Column | undefined {
  const { type } = plan.schema.columns[i]!;
  switch (source.kind) {
    case 'expr':
      return undefined;
    case 'field': {
      const column = input.columns[source.field]!;
      const from = plan.fields[source.field]!.type;
      // A field that expressions use as well is read as text (semantics.md 2.1, rule 3).
      const asText = column.kind === 'bytes' && from.name === 'VARCHAR' && type.name !== 'VARCHAR';
      return asText ? casts.cast(column, input.rows, type, 'reader') : column;
    }
    case 'null':
      return repeat(null, type, input.rows);
    case 'literal':
      return repeat(source.text, type, input.rows);
    case 'now':
      return repeat(localText(plan.context.timezone, plan.context.nowMs), type, input.rows);
  }
}

function repeat(value: string | null, type: SqlType, rows: number): Column {
  const builder = createBuilder({ name: 'VARCHAR' }, 1);
  if (value === null) builder.appendNull();
  else builder.appendText(value);
  const one = builder.finish();
  assert(one.kind === 'bytes', 'a text column');
  return takeColumn(castTextColumn(one, 1, type, 'cast'), new Uint32Array(rows));
}

function questionOf(
  plan: TransformPlan,
  input: ColumnBatch,
  given: readonly (Column | undefined)[],
  casts: TextCasts,
): Asked {
  const { schema, sources, context, where } = plan;
  const wanted = new Map<string, { type: SqlType; column: Column }>();
  const field = (path: readonly string[]): Typed => {
    const name = path.at(-1) ?? '';
    const at = plan.fields.findIndex((f) => f.name.toLowerCase() === name.toLowerCase());
    if (at < 0) {
      throw new LoadError('SQL_UNKNOWN_COLUMN', `Column '${name}' cannot be resolved`, {
        errno: 1054,
        sqlState: '42S22',
      });
    }
    wanted.set(`f${at}`, { type: plan.fields[at]!.type, column: input.columns[at]! });
    return { sql: `f${at}`, cat: categoryOf(plan.fields[at]!.type) };
  };
  const items: string[] = [];
  const names: string[] = [];
  const outputs: SqlType[] = [];
  sources.forEach((source, i) => {
    if (source.kind !== 'expr') return;
    const { type } = schema.columns[i]!;
    const made = typedSql(source.expr, { context, column: field });
    // One row must not stop a job: what fails for it is NULL, as a cast is.
    const isMoment =
      made.moment !== undefined && (type.name === 'DATE' || type.name === 'DATETIME');
    const value = isMoment
      ? castSql(made.moment!, type, 'datetime')
      : castSql(made.sql, type, made.cat);
    items.push(`${trySql(source.expr, value)} AS c${i}`);
    names.push(`c${i}`);
    outputs.push(type);
  });
  // WHERE names table columns first, then source fields (semantics.md 5.2).
  const target = (path: readonly string[]): Typed => {
    const name = path.at(-1)?.toLowerCase();
    const at = schema.columns.findIndex((column) => column.name.toLowerCase() === name);
    if (at < 0) return field(path);
    const column = given[at];
    if (column !== undefined) wanted.set(`c${at}`, { type: schema.columns[at]!.type, column });
    return { sql: `c${at}`, cat: categoryOf(schema.columns[at]!.type) };
  };
  const keep =
    where === undefined
      ? undefined
      : trySql(where, conditionSql(where, { context, column: target }));
  // What is asked of a text for every row is cheaper here, for all rows at once, than row by row out of the statement.
  const cast = (column: string, type: SqlType): string | undefined => {
    const name = `${column}_${type.name.toLowerCase()}`;
    const from = wanted.get(column)?.column;
    if (from?.kind !== 'bytes') return undefined;
    if (!wanted.has(name)) {
      wanted.set(name, { type, column: casts.cast(from, input.rows, type, 'cast') });
    }
    return name;
  };
  const made = items.map((item) => fieldCasts(item, cast));
  const chosen = keep === undefined ? undefined : fieldCasts(keep, cast);
  // Columns that nothing names any more are not worth their way; but there has to be one.
  const named = new Set([...made, chosen ?? ''].flatMap(batchColumns));
  for (const name of wanted.keys()) if (!named.has(name)) wanted.delete(name);
  if (wanted.size === 0) {
    const values = new Int8Array(input.rows);
    wanted.set('one', { type: { name: 'TINYINT' }, column: { kind: 'i8', valid: null, values } });
  }
  const sql = (rows: string): string => {
    if (chosen === undefined) return `SELECT ${made.join(', ')} FROM ${rows}`;
    const inner = ['*', ...made].join(', ');
    const outer = [...names, `coalesce(${chosen}, FALSE)`].join(', ');
    return `SELECT ${outer} FROM (SELECT ${inner} FROM ${rows})`;
  };
  return {
    sql,
    input: [...wanted].map(([name, { type }]) => ({ name, type })),
    columns: [...wanted.values()].map(({ column }) => column),
    outputs: keep === undefined ? outputs : [...outputs, BOOLEAN],
  };
}

/** Null: all of them. */
function chosenRows(keep: Column | undefined, rows: number): Uint32Array | null {
  assert(keep?.kind === 'i8', 'WHERE is TRUE or FALSE');
  const chosen = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (keep.values[row] === 1) chosen[count++] = row;
  return count === rows ? null : chosen.subarray(0, count);
}
