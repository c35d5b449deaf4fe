/**
 * Values of INSERT to the types of their columns, by SQL's CAST: texts by our own parsers, everything else by the engine.
 * A value that does not convert is an error of its row with `enable_insert_strict`, once for the row, which goes no
 * further; without it the value becomes NULL and is counted.
 */
import { assert } from '../../base/assert.ts';
import type { Column, ColumnBatch } from '../../base/column-batch.ts';
import { isNull } from '../../base/column-batch.ts';
import { type SqlType, typeLabel, VARCHAR } from '../../base/sql-type.ts';
import type {
  ColumnSource,
  Engine,
  TransformPlan,
  TransformReject,
} from '../../engine/engine.types.ts';
import { castTextColumn } from '../../formats/cast/text-cast.ts';
import { takeRows } from '../../formats/column-rows.ts';
import { valueText } from '../../formats/value-text.ts';

const REJECT_TEXTS = 50;
const ROW_TEXT_MAX = 1024;

export interface Converted {
  /** Rows that go on, of the fields' types. */
  readonly batch: ColumnBatch;
  /** Row of the batch → row of the input. */
  row(row: number): number;
  /** Values that became NULL. */
  readonly coerced: number;
  readonly rejects: readonly TransformReject[];
  readonly rejected: number;
}

export class InsertConversion {
  /** What the transform gets: each field has its column's type already. */
  readonly fields: TransformPlan['fields'];
  readonly #engine: Pick<Engine, 'transform'>;
  readonly #types: readonly SqlType[];
  readonly #strict: boolean;
  /** The casts that the engine makes; absent where there is none. */
  readonly #plan: TransformPlan | undefined;

  constructor(
    engine: Pick<Engine, 'transform'>,
    transform: Pick<TransformPlan, 'schema' | 'sources' | 'strict' | 'context'>,
    names: readonly string[],
    types: readonly SqlType[],
  ) {
    this.#engine = engine;
    this.#types = types;
    this.#strict = transform.strict;
    this.fields = names.map((name, i) => {
      const at = transform.sources.findIndex((one) => one.kind === 'field' && one.field === i);
      return { name, type: transform.schema.columns[at]?.type ?? types[i] ?? VARCHAR };
    });
    const sources = this.fields.map((field, i): ColumnSource => {
      const from = types[i] ?? VARCHAR;
      if (isText(from) || same(from, field.type)) return { kind: 'field', field: i };
      const arg = { kind: 'column', path: [`c${i}`] } as const;
      return { kind: 'expr', expr: { kind: 'cast', arg, type: field.type } };
    });
    if (sources.every(({ kind }) => kind === 'field')) return;
    this.#plan = {
      fields: types.map((type, i) => ({ name: `c${i}`, type })),
      schema: {
        ...transform.schema,
        // Nothing is checked here: what a column may hold is said by the table, afterwards.
        columns: this.fields.map(({ type }, i) => {
          const cast = sources[i]?.kind === 'expr' ? unlimited(type) : unlimited(types[i]!);
          return { id: i, name: `c${i}`, type: cast, nullable: true, isKey: false };
        }),
      },
      sources,
      strict: false,
      context: transform.context,
    };
  }

  async run(batch: ColumnBatch, signal: AbortSignal): Promise<Converted> {
    const cast =
      this.#plan === undefined
        ? batch
        : (await this.#engine.transform(this.#plan, batch, signal)).batch;
    assert(cast.rows === batch.rows, 'a conversion keeps every row');
    const columns = this.fields.map(({ type }, i): Column => {
      const column = cast.columns[i]!;
      const from = this.#types[i] ?? VARCHAR;
      const text = column.kind === 'bytes' && isText(from) && !same(from, type);
      return text ? castTextColumn(column, batch.rows, type, 'cast') : column;
    });
    return this.#check(batch, columns);
  }

  /** Where a value went in and NULL came out. */
  #check(before: ColumnBatch, columns: readonly Column[]): Converted {
    const { rows } = before;
    let failed = 0;
    let lost: Int32Array | undefined;
    columns.forEach((column, i) => {
      const source = before.columns[i]!;
      if (column.valid === null || column === source) return;
      for (let row = 0; row < rows; row++) {
        if (column.valid[row] !== 0 || isNull(source, row)) continue;
        failed += 1;
        lost ??= new Int32Array(rows).fill(-1);
        if (lost[row] === -1) lost[row] = i;
      }
    });
    const batch = { rows, columns };
    const whole = { batch, row: (row: number) => row, rejects: [], rejected: 0 };
    if (lost === undefined) return { ...whole, coerced: 0 };
    if (!this.#strict) return { ...whole, coerced: failed };
    const rejects: TransformReject[] = [];
    const kept: number[] = [];
    for (let row = 0; row < rows; row++) {
      if (lost[row] === -1) kept.push(row);
      else if (rejects.length < REJECT_TEXTS) rejects.push(this.#reject(before, row, lost[row]!));
    }
    return {
      batch: takeRows(batch, Uint32Array.from(kept)),
      row: (row) => kept[row] ?? row,
      coerced: 0,
      rejects,
      rejected: rows - kept.length,
    };
  }

  #reject(before: ColumnBatch, row: number, at: number): TransformReject {
    const texts = before.columns.map(
      (column, i) => valueText(column, row, this.#types[i] ?? VARCHAR) ?? 'NULL',
    );
    const { name, type } = this.fields[at]!;
    return {
      row,
      column: name,
      reason: `Value '${texts[at]?.slice(0, 100)}' is out of range. The type of '${name}' is ${typeLabel(type)}`,
      rowText: `[${texts.join(', ')}]`.slice(0, ROW_TEXT_MAX),
    };
  }
}

const isText = ({ name }: SqlType): boolean => name === 'VARCHAR' || name === 'CHAR';

/** Lengths are the sink's matter: it says what is too long, and how long. */
function unlimited(type: SqlType): SqlType {
  return isText(type) ? { ...type, length: 2 ** 31 } : type;
}

/** Texts of any length are one type here. */
function same(a: SqlType, b: SqlType): boolean {
  if (isText(a) && isText(b)) return true;
  return a.name === b.name && a.precision === b.precision && a.scale === b.scale;
}
