/**
 * The fast way for CSV: one row a message, separator and delimiter of one byte, nothing enclosed, escaped or trimmed;
 * values straight from bytes to columns.
 *
 * As the fast way for JSON it only takes a row that loads whole and without a coerced value, and leaves all others to the
 * exact way, so that both cannot differ in what they reject, nor in why.
 */
import { isUtf8 } from 'node:buffer';
import { type Moment, putDate, putDatetime } from './cast/date-bytes.ts';
import { putDouble, putInt32, putInt64, putNumberText } from './cast/number-bytes.ts';
import type { ColumnBuilder } from './column-builder.ts';
import { isMarker } from './csv-fields.ts';
import type { CsvFormat, DecodePlan } from './decode.types.ts';
import * as read from './fast-field.ts';
import type { RowSink, SinkColumn } from './row-sink.ts';

const BACKSLASH = 92;
const MARK = 0xef;
const HIGH_BITS = read.everyByte(0x80);

interface FlatField {
  /** Absent: read over. */
  readonly column: SinkColumn | undefined;
  readonly builder: ColumnBuilder | undefined;
  readonly reader: read.ReaderKind;
  readonly lengthMax: number;
}

export class FlatCsv {
  readonly #sink: RowSink;
  readonly #fields: readonly FlatField[];
  readonly #separator: number;
  readonly #delimiter: number;
  readonly #separators: number;
  readonly #delimiters: number;
  readonly #moment: Moment = { days: 0, seconds: 0, micros: 0 };
  /** Of all bytes that were not looked at as digits. */
  #high = 0;

  private constructor(sink: RowSink, separator: number, delimiter: number) {
    this.#sink = sink;
    this.#separator = separator;
    this.#delimiter = delimiter;
    this.#separators = read.everyByte(separator);
    this.#delimiters = read.everyByte(delimiter);
    this.#fields = sink.columns.map((column) => ({
      column,
      builder: column?.builder,
      reader: read.readerOf(column),
      lengthMax: read.lengthMaxOf(column),
    }));
  }

  /** `undefined`: the plan needs the exact way. */
  static for(plan: DecodePlan, sink: RowSink): FlatCsv | undefined {
    const format = plan.format as CsvFormat;
    const { columnSeparator, rowDelimiter } = format;
    if (format.enclose || format.escape || format.trimSpace) return undefined;
    const separator = Buffer.from(columnSeparator);
    const delimiter = Buffer.from(rowDelimiter);
    if (separator.length !== 1 || delimiter.length !== 1) return undefined;
    // Bytes that numbers and dates are made of would have to be looked for within them.
    const odd = /[-+.0-9:T\\ ]/;
    if (odd.test(columnSeparator) || odd.test(rowDelimiter)) return undefined;
    return new FlatCsv(sink, separator[0]!, delimiter[0]!);
  }

  /** False: nothing was loaded, the message is for the exact way. Every column has a row reserved. */
  row(bytes: Uint8Array, view: DataView, start: number, end: number, message: number): boolean {
    const before = this.#sink.rows;
    this.#high = 0;
    const isTaken =
      bytes[start] !== MARK &&
      this.#values(bytes, view, start, end) &&
      (this.#high < 0x80 || isUtf8(bytes.subarray(start, end)));
    if (isTaken) this.#sink.endRow(message, 0);
    else this.#sink.truncate(before);
    return isTaken;
  }

  #values(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const fields = this.#fields;
    const last = fields.length - 1;
    let at = start;
    for (let i = 0; i <= last; i++) {
      const field = fields[i]!;
      let stop = this.#usual(bytes, view, at, end, field);
      // What goes on is another form.
      if (stop >= 0 && stop < end && bytes[stop] !== this.#separator) {
        field.builder!.truncate(this.#sink.rows);
        stop = -1;
      }
      if (stop < 0) stop = this.#other(bytes, at, end, field);
      if (stop < 0) return false;
      if (i === last) return stop === end;
      if (stop === end) return false;
      at = stop + 1;
    }
    return false;
  }

  /** Where the value ends, or −1 where it has not the form that machines write; then nothing was appended. */
  #usual(bytes: Uint8Array, view: DataView, at: number, end: number, field: FlatField): number {
    const { reader, builder } = field;
    if (builder === undefined) return -1;
    switch (reader) {
      case read.READ_TEXT:
        return this.#text(bytes, view, at, end, field);
      case read.READ_NUMBER_TEXT: {
        const stop = putNumberText(builder, bytes, at, end, field.lengthMax);
        if (stop === end || (stop >= 0 && bytes[stop] === this.#separator)) return stop;
        // A date, an identifier, a number of another form.
        if (stop >= 0) builder.truncate(builder.rows - 1);
        return this.#text(bytes, view, at, end, field);
      }
      case read.READ_INT32:
        return putInt32(builder, bytes, at, end);
      case read.READ_INT64:
        return putInt64(builder, bytes, at, end);
      case read.READ_DOUBLE:
        return putDouble(builder, bytes, at, end);
      case read.READ_DATE: {
        const stop = at + 10;
        return stop <= end && putDate(builder, bytes, at, stop, this.#moment) ? stop : -1;
      }
      case read.READ_DATETIME: {
        const stop = this.#endOf(bytes, at, end);
        return stop >= 0 && putDatetime(builder, bytes, at, stop, this.#moment) ? stop : -1;
      }
      default:
        return -1;
    }
  }

  /** Copied and looked at in one go, plain characters by the word. */
  #text(bytes: Uint8Array, view: DataView, start: number, end: number, field: FlatField): number {
    if (bytes[start] === BACKSLASH) return -1;
    const separator = this.#separator;
    const delimiter = this.#delimiter;
    const builder = field.builder!;
    const room = end - start < field.lengthMax ? end - start : field.lengthMax;
    // A last word is copied as a whole.
    if (builder.end + room + 4 > builder.data.length) builder.reserveData(room + 4);
    const { data, view: copy } = builder;
    const last = start + room;
    let to = builder.end;
    let at = start;
    for (; at + 4 <= last; at += 4, to += 4) {
      const word = view.getInt32(at, true);
      const odd =
        read.hasByte(word, this.#separators) |
        read.hasByte(word, this.#delimiters) |
        (word & HIGH_BITS);
      copy.setInt32(to, word, true);
      if (odd === 0) continue;
      const plain = read.bytesBefore(odd);
      if (bytes[at + plain] !== separator) break;
      read.endText(builder, to + plain);
      return at + plain;
    }
    let high = 0;
    for (; at < last; at++) {
      const c = bytes[at]!;
      if (c === separator) break;
      if (c === delimiter) return -1;
      high |= c;
      data[to++] = c;
    }
    this.#high |= high;
    read.endText(builder, to);
    return at;
  }

  /** Where the field ends; −1: its row does, before the message. */
  #endOf(bytes: Uint8Array, start: number, end: number): number {
    let high = 0;
    let at = start;
    for (; at < end; at++) {
      const c = bytes[at]!;
      if (c === this.#separator) break;
      if (c === this.#delimiter) return -1;
      high |= c;
    }
    this.#high |= high;
    return at;
  }

  #other(bytes: Uint8Array, at: number, end: number, field: FlatField): number {
    const stop = this.#endOf(bytes, at, end);
    const { column } = field;
    if (stop < 0 || column === undefined) return stop;
    if (isMarker(bytes, at, stop)) {
      column.builder.appendNull();
      return stop;
    }
    return column.append(column.builder, bytes, at, stop) ? stop : -1;
  }
}
