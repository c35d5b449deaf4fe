/**
 * A column of texts that become numbers, each text read once whatever the types: a field that is loaded and stands in
 * expressions is wanted as its column's type and as what the expressions calculate with (semantics.md 2.1, rule 3). Numbers as
 * machines write them are converted from what was read; all others take the exact way, by type and mode.
 */
import {
  type BytesColumn,
  type Column,
  columnKind,
  NUMBER_FRACTION,
  NUMBER_OTHER,
  NUMBER_WHOLE,
  type SeenNumbers,
} from '../../base/column-batch.ts';
import type { SqlType } from '../../base/sql-type.ts';
import { takeColumn } from '../column-rows.ts';
import { scanNumber, scanned } from './number-bytes.ts';
import { type CastMode, castTextColumn } from './text-cast.ts';

type NumberColumn = Exclude<Column, BytesColumn>;
type Values = NumberColumn['values'];

const SMALL: Readonly<
  Partial<Record<SqlType['name'], (rows: number) => Int8Array | Int16Array | Int32Array>>
> = {
  TINYINT: (rows) => new Int8Array(rows),
  SMALLINT: (rows) => new Int16Array(rows),
  INT: (rows) => new Int32Array(rows),
};

/** What was read, as values of one type, and the rows that were not. */
interface Converted {
  readonly values: Values;
  readonly others: Uint32Array;
}

export class NumberTexts {
  readonly #texts: BytesColumn;
  readonly #rows: number;
  readonly #seen: SeenNumbers;
  readonly #converted = new Map<SqlType['name'], Converted>();

  constructor(texts: BytesColumn, rows: number) {
    this.#texts = texts;
    this.#rows = rows;
    this.#seen = texts.numbers ?? seeNumbers(texts, rows);
  }

  static isFor({ name }: SqlType): boolean {
    return SMALL[name] !== undefined || name === 'BIGINT' || name === 'FLOAT' || name === 'DOUBLE';
  }

  /** As `castTextColumn` has it. */
  as(type: SqlType, mode: CastMode): Column {
    let converted = this.#converted.get(type.name);
    if (converted === undefined) {
      converted = this.#convert(type);
      this.#converted.set(type.name, converted);
    }
    return this.#withOthers(type, mode, converted);
  }

  #convert({ name }: SqlType): Converted {
    const { values: numbers, forms } = this.#seen;
    const rows = this.#rows;
    const others: number[] = [];
    if (name === 'DOUBLE' || name === 'FLOAT') {
      for (let row = 0; row < rows; row++) if (forms[row] === NUMBER_OTHER) others.push(row);
      const values = name === 'DOUBLE' ? numbers : Float32Array.from(numbers);
      return { values, others: Uint32Array.from(others) };
    }
    if (name === 'BIGINT') {
      const values = new BigInt64Array(rows);
      const words = new Int32Array(values.buffer);
      for (let row = 0; row < rows; row++) {
        if (forms[row] !== NUMBER_WHOLE) {
          others.push(row);
          continue;
        }
        const value = numbers[row]!;
        const low = value | 0;
        words[2 * row] = low;
        words[2 * row + 1] = low === value ? low >> 31 : Math.floor(value / 2 ** 32);
      }
      return { values, others: Uint32Array.from(others) };
    }
    const values = SMALL[name]!(rows);
    for (let row = 0; row < rows; row++) {
      const value = numbers[row]!;
      values[row] = value;
      // What is out of range is another number there.
      if (forms[row] !== NUMBER_WHOLE || values[row] !== value) others.push(row);
    }
    return { values, others: Uint32Array.from(others) };
  }

  /** The values, and those of the `others` by the exact way. */
  #withOthers(type: SqlType, mode: CastMode, { values: converted, others }: Converted): Column {
    const kind = columnKind(type);
    if (others.length === 0) return { kind, valid: null, values: converted } as Column;
    const values = converted.slice();
    const texts = takeColumn(this.#texts, others) as BytesColumn;
    const exact = castTextColumn(texts, others.length, type, mode) as NumberColumn;
    const valid = exact.valid === null ? null : new Uint8Array(this.#rows).fill(1);
    for (let i = 0; i < others.length; i++) {
      const row = others[i]!;
      (values as Float64Array)[row] = (exact.values as Float64Array)[i]!;
      if (valid !== null) valid[row] = exact.valid![i]!;
    }
    return { kind, valid, values } as Column;
  }
}

function seeNumbers({ offsets, data, valid }: BytesColumn, rows: number): SeenNumbers {
  const values = new Float64Array(rows);
  const forms = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const end = offsets[row + 1]!;
    const value = scanNumber(data, offsets[row]!, end);
    if (Number.isNaN(value) || scanned.stop !== end) continue;
    values[row] = value;
    forms[row] = scanned.isWhole ? NUMBER_WHOLE : NUMBER_FRACTION;
  }
  return { values, forms };
}
