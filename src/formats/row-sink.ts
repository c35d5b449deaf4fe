/** Where decoders put rows: columns, positions, rejects. Shared by CSV and JSON, so that both count alike. */
import { typeLabel } from '../base/sql-type.ts';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import { type TextAppender, textAppender } from './cast/text-cast.ts';
import { type ColumnBuilder, createBuilder } from './column-builder.ts';
import {
  type DecodedBatch,
  type DecodePlan,
  type MessageSource,
  REJECTS_KEPT,
  type Reject,
  type SourceField,
} from './decode.types.ts';

const ROW_TEXT_MAX = 1024;

export interface SinkColumn {
  readonly field: SourceField & { type: NonNullable<SourceField['type']> };
  readonly position: number;
  readonly builder: ColumnBuilder;
  readonly append: TextAppender;
}

/** At most 1 KiB, control characters made visible. */
export function printable(bytes: Uint8Array): string {
  const text = Buffer.from(
    bytes.buffer,
    bytes.byteOffset,
    Math.min(bytes.length, ROW_TEXT_MAX),
  ).toString('utf8');
  const shown = text.replace(
    /[\x00-\x1f\x7f-\x9f]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return shown.slice(0, ROW_TEXT_MAX);
}

export class RowSink {
  readonly strict: boolean;
  /** By position of the field; absent: read over. */
  readonly columns: readonly (SinkColumn | undefined)[];
  readonly #active: readonly SinkColumn[];
  #rows = 0;
  /** All columns have room for so many. */
  #room: number;
  readonly #sources: MessageSource[] = [];
  #messages = 0;
  #message: Uint32Array;
  #element: Uint32Array;
  readonly #rejects: Reject[] = [];
  #rejected = 0;
  #empty = 0;
  #coerced = 0;

  /** Room for `capacity` rows, and for so many bytes of text by position of the field, where that is known. */
  constructor(plan: DecodePlan, capacity: number, textBytes: readonly (number | undefined)[] = []) {
    this.strict = plan.strict;
    this.#room = capacity;
    this.#message = new Uint32Array(capacity);
    this.#element = new Uint32Array(capacity);
    this.columns = plan.fields.map((field, position): SinkColumn | undefined => {
      const { type } = field;
      if (type === undefined) return undefined;
      return {
        field: { ...field, type },
        position,
        builder: createBuilder(type, capacity, textBytes[position]),
        append: textAppender(type, plan.strict),
      };
    });
    this.#active = this.columns.filter((column) => column !== undefined);
  }

  /** Of all columns' texts. */
  get textBytes(): number {
    let bytes = 0;
    for (const { builder } of this.#active) bytes += builder.end;
    return bytes;
  }

  /** Of each column's texts, by position of the field. */
  get textBytesByField(): readonly number[] {
    return this.columns.map((column) => column?.builder.end ?? 0);
  }

  /** The number of the first of them. */
  open(messages: MessageBatch): number {
    const first = this.#messages;
    this.#sources.push({ first, messages });
    this.#messages += messages.count;
    return first;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Room for one more row in every column. */
  reserve(): void {
    if (this.#rows < this.#room) return;
    this.#room = Math.max(64, 2 * this.#room);
    for (const { builder } of this.#active) builder.reserve(this.#room - builder.rows);
    if (this.#message.length < this.#room) this.#grow(this.#room);
  }

  endRow(message: number, element: number): void {
    const row = this.#rows++;
    if (row >= this.#message.length) this.#grow(Math.max(64, 2 * row));
    this.#message[row] = message;
    // Nearly all are 0, and the array is made of zeros.
    if (element !== 0 || this.#element[row] !== 0) this.#element[row] = element;
  }

  #grow(capacity: number): void {
    const larger = (from: Uint32Array) => {
      const to = new Uint32Array(capacity);
      to.set(from);
      return to;
    };
    this.#message = larger(this.#message);
    this.#element = larger(this.#element);
  }

  /** Takes back a row that was begun, or all rows from `rows` on. */
  truncate(rows = this.rows): void {
    for (const { builder } of this.#active) builder.truncate(rows);
    this.#rows = rows;
  }

  coerced(): void {
    this.#coerced += 1;
  }

  empty(): void {
    this.#empty += 1;
  }

  reject(message: number, element: number, reason: string, row: Uint8Array, column?: string): void {
    this.#rejected += 1;
    if (this.#rejects.length >= REJECTS_KEPT) return;
    const base = { message, element, reason, row: printable(row) };
    this.#rejects.push(column === undefined ? base : { ...base, column });
  }

  finish(): DecodedBatch {
    return {
      batch: { rows: this.rows, columns: this.#active.map(({ builder }) => builder.finish()) },
      sources: this.#sources,
      message: this.#message.subarray(0, this.#rows),
      element: this.#element.subarray(0, this.#rows),
      rejects: this.#rejects,
      rejected: this.#rejected,
      empty: this.#empty,
      coerced: this.#coerced,
    };
  }
}

export function outOfRange(
  column: SinkColumn,
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  const { field, position } = column;
  const value = printable(bytes.subarray(start, Math.min(end, start + 100)));
  return `The field (name = ${field.name}, pos = ${position}) is out of range. Type: ${typeLabel(field.type)}, Value length: ${end - start}, Value: ${value}`;
}
