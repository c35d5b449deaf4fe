/** A layout made ready for one batch's columns: what is expected before each value, and the column that it goes to. */
import type { ColumnBuilder } from './column-builder.ts';
import type * as read from './fast-field.ts';
import type { Between, Layout } from './json-layout.ts';
import type { SinkColumn } from './row-sink.ts';

export interface FlatField {
  readonly key: Uint8Array;
  readonly column: SinkColumn;
  readonly builder: ColumnBuilder;
  readonly reader: read.ReaderKind;
  readonly lengthMax: number;
  readonly isJson: boolean;
  /** Takes true and false as 1 and 0. */
  readonly takesBoolean: boolean;
}

/** What stands before a value, by words of four bytes, and whose value it is. */
export class Step {
  readonly length: number;
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly last: number;
  readonly #words: Int32Array;
  /** Of `field`; −1 and absent: the value is read over. */
  readonly index: number;
  readonly field: FlatField | undefined;

  constructor({ length, words }: Between, index: number, field: FlatField | undefined) {
    this.length = length;
    this.first = words[0] ?? 0;
    this.second = words[1] ?? 0;
    this.third = words[2] ?? 0;
    this.last = words[words.length - 1] ?? 0;
    this.#words = words;
    this.index = index;
    this.field = field;
  }

  /** The words between the third and the last one. */
  isRest(view: DataView, at: number): boolean {
    const words = this.#words;
    for (let i = 3; i < words.length - 1; i++) {
      if (view.getInt32(at + 4 * i, true) !== words[i]) return false;
    }
    return true;
  }
}

export const stepsOf = ({ members }: Layout, fields: readonly FlatField[]): readonly Step[] =>
  members.map((member) => new Step(member, member.field, fields[member.field]));
