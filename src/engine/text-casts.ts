/** Casts of one batch's text columns: what several columns or expressions want of a text is made once. */
import type { BytesColumn, Column } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { NumberTexts } from '../formats/cast/number-texts.ts';
import { type CastMode, castTextColumn } from '../formats/cast/text-cast.ts';

export class TextCasts {
  readonly #numbers = new Map<BytesColumn, NumberTexts>();

  cast(column: BytesColumn, rows: number, type: SqlType, mode: CastMode): Column {
    if (!NumberTexts.isFor(type)) return castTextColumn(column, rows, type, mode);
    let numbers = this.#numbers.get(column);
    if (numbers === undefined) {
      numbers = new NumberTexts(column, rows);
      this.#numbers.set(column, numbers);
    }
    return numbers.as(type, mode);
  }
}
