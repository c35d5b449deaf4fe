/**
 * The fast way for JSON: one flat object a message, fields found by name, values straight from bytes to columns.
 *
 * It only ever takes a row that loads whole and without a coerced value; at anything else (an escape, a nested value, a
 * value that does not convert, damage) it takes the row back and leaves the message to the exact way. So both ways
 * cannot differ in what they reject, nor in why.
 *
 * Most producers write the same bytes between the values of every message (`, "day": `). What stood between those of one
 * row is remembered, and as long as the next rows have the same, nothing of it is read again.
 */
import { isUtf8 } from 'node:buffer';
import type { Moment } from './cast/date-bytes.ts';
import { putDate, putDatetime } from './cast/date-bytes.ts';
import { putDouble, putInt32, putInt64, putNumberText } from './cast/number-bytes.ts';
import type { DecodePlan, JsonFormat } from './decode.types.ts';
import * as read from './fast-field.ts';
import { Layout } from './json-layout.ts';
import { parseJsonPath } from './json-path.ts';
import { type FlatField, type Step, stepsOf } from './json-step.ts';
import type { RowSink } from './row-sink.ts';

const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const ZERO = 48;
const COLON = 58;
const OPEN = 123;
const CLOSE = 125;
const BACKSLASH = 92;
const QUOTES = read.everyByte(QUOTE);
const BACKSLASHES = read.everyByte(BACKSLASH);
const BLANKS = read.everyByte(32);
const HIGH_BITS = read.everyByte(0x80);
const DIGITS = Uint8Array.of(48, 49);
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

const NUMERIC = new Set(['TINYINT', 'SMALLINT', 'INT', 'BIGINT', 'FLOAT', 'DOUBLE']);

/** `01`, `-01`. */
function hasZero(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at] === MINUS ? at + 1 : at;
  return bytes[first] === ZERO && isDigit(bytes[first + 1]);
}

const isDigit = (c: number | undefined) => c !== undefined && c >= 48 && c <= 57;

export class FlatJson {
  readonly #sink: RowSink;
  readonly #fields: readonly FlatField[];
  /** Field → number of the row that has it already: the first of equal keys wins. */
  readonly #seen: Uint32Array;
  readonly #layout: Layout;
  /** Of the layout, with the fields of these columns. */
  #steps: readonly Step[];
  readonly #read: Moment = { days: 0, seconds: 0, micros: 0 };
  #row = 0;
  #at = 0;
  /** Of the message's texts that were read over or copied without a look at their encoding. */
  #high = 0;

  private constructor(sink: RowSink, fields: readonly FlatField[], layout: Layout) {
    this.#sink = sink;
    this.#fields = fields;
    this.#seen = new Uint32Array(fields.length);
    this.#layout = layout;
    this.#steps = stepsOf(layout, fields);
  }

  /** `undefined`: the plan needs the exact way. `layout`: what was learned from messages before. */
  static for(plan: DecodePlan, sink: RowSink, layout = new Layout()): FlatJson | undefined {
    const format = plan.format as JsonFormat;
    if (format.stripOuterArray || format.jsonRoot) return undefined;
    const fields: FlatField[] = [];
    const names = new Set<string>();
    for (const [i, column] of sink.columns.entries()) {
      if (column === undefined) continue;
      const path = format.jsonpaths?.[i];
      const steps =
        format.jsonpaths === undefined ? [column.field.name] : parseJsonPath(path ?? '$');
      const [name] = steps;
      if (steps.length !== 1 || typeof name !== 'string' || names.has(name)) return undefined;
      names.add(name);
      const type = column.field.type.name;
      fields.push({
        key: Buffer.from(name),
        column,
        builder: column.builder,
        reader: read.readerOf(column),
        lengthMax: read.lengthMaxOf(column),
        isJson: type === 'JSON',
        takesBoolean: type !== 'JSON' && !NUMERIC.has(type),
      });
    }
    return new FlatJson(sink, fields, layout);
  }

  /** False: nothing was loaded, the message is for the exact way. Every column has a row reserved. */
  row(bytes: Uint8Array, view: DataView, start: number, end: number, message: number): boolean {
    const before = this.#sink.rows;
    this.#row += 1;
    this.#at = start;
    this.#high = 0;
    if (this.#object(bytes, view, start, end) && this.#isText(bytes, start, end)) {
      this.#sink.endRow(message, 0);
      return true;
    }
    this.#sink.truncate(before);
    return false;
  }

  #isText(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#high < 0x80 || isUtf8(bytes.subarray(start, end));
  }

  #object(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const steps = this.#steps;
    let at = start;
    let member = 0;
    for (; member < steps.length; member++) {
      // Here, and not as a call: it is what is done most.
      const step = steps[member]!;
      const { length, field } = step;
      const behind = at + length;
      if (behind > end || view.getInt32(behind - 4, true) !== step.last) break;
      if (length > 4) {
        if (view.getInt32(at, true) !== step.first) break;
        if (length > 8) {
          if (view.getInt32(at + 4, true) !== step.second) break;
          if (length > 12) {
            if (view.getInt32(at + 8, true) !== step.third) break;
            if (length > 16 && !step.isRest(view, at)) break;
          }
        }
      }
      if (field !== undefined) {
        at = this.#usual(bytes, view, behind, end, field);
        if (at >= 0) continue;
      }
      this.#at = behind;
      if (!this.#value(bytes, end, field)) return false;
      at = this.#at;
    }
    const isAll = member > 0 && member === steps.length && this.#layout.isTail(bytes, at, end);
    if (isAll && this.#layout.isWhole) return true;
    for (let i = 0; i < member; i++) {
      const { index } = steps[i]!;
      if (index >= 0) this.#seen[index] = this.#row;
    }
    this.#at = at;
    if (!isAll && !this.#members(bytes, start, end, member)) return false;
    for (let i = 0; i < this.#fields.length; i++) {
      if (this.#seen[i] !== this.#row) this.#fields[i]!.builder.appendNull();
    }
    return true;
  }

  /** From behind value number `member` on, or from the start. */
  #members(bytes: Uint8Array, start: number, end: number, member: number): boolean {
    const layout = this.#layout;
    // What lies between values is checked here with all the rest: the layout must hold text alone.
    if (!isUtf8(bytes.subarray(start, end))) return false;
    const isLearning = layout.missed();
    let from = this.#at;
    if (isLearning) {
      if (member > 0) {
        // All of it is learned anew, from the start.
        this.#row += 1;
        this.#sink.truncate(this.#sink.rows);
        this.#at = start;
        from = start;
        member = 0;
      }
      layout.begin();
      this.#steps = [];
    }
    let expected = 0;
    for (let first = member === 0; ; first = false) {
      if (first) {
        if (!this.#take(bytes, end, OPEN)) return false;
        if (this.#take(bytes, end, CLOSE)) break;
      } else if (!this.#take(bytes, end, COMMA)) {
        if (!this.#take(bytes, end, CLOSE)) return false;
        break;
      }
      if (!this.#take(bytes, end, QUOTE)) return false;
      const keyStart = this.#at;
      if (!this.#string(bytes, end)) return false;
      const found = this.#find(bytes, keyStart, this.#at - 1, expected);
      if (!this.#take(bytes, end, COLON)) return false;
      this.#blanks(bytes, end);
      const isNew = found >= 0 && this.#seen[found] !== this.#row;
      if (isNew) {
        this.#seen[found] = this.#row;
        expected = found + 1;
      }
      if (isLearning) layout.add(bytes, from, this.#at, isNew ? found : -1);
      if (!this.#value(bytes, end, isNew ? this.#fields[found] : undefined)) return false;
      from = this.#at;
    }
    this.#blanks(bytes, end);
    if (this.#at !== end) return false;
    if (isLearning) {
      layout.finish(bytes, from, end, this.#fields.length);
      this.#steps = stepsOf(layout, this.#fields);
    }
    return true;
  }

  /** The form that machines write for the type: where it ends, or −1 where nothing was taken. */
  #usual(bytes: Uint8Array, view: DataView, at: number, end: number, field: FlatField): number {
    const { reader, builder } = field;
    const first = bytes[at]!;
    if (first === QUOTE) {
      if (reader === read.READ_DATE || reader === read.READ_DATETIME) {
        return this.#moment(bytes, at, end, field);
      }
      const isText = reader === read.READ_TEXT || reader === read.READ_NUMBER_TEXT;
      return isText ? this.#text(bytes, view, at, end, field) : -1;
    }
    // JSON has no zeros in front.
    if ((first === ZERO || first === MINUS) && hasZero(bytes, at)) return -1;
    let stop: number;
    switch (reader) {
      case read.READ_INT32:
        stop = putInt32(builder, bytes, at, end);
        break;
      case read.READ_INT64:
        stop = putInt64(builder, bytes, at, end);
        break;
      case read.READ_DOUBLE:
        stop = putDouble(builder, bytes, at, end);
        break;
      case read.READ_NUMBER_TEXT:
        stop = putNumberText(builder, bytes, at, end, field.lengthMax);
        break;
      default:
        return -1;
    }
    if (stop < 0) return -1;
    // A number that goes on is another one: `1.5` as an integer, `1e3`.
    const next = stop < end ? bytes[stop]! : 0;
    if (next === COMMA || next === CLOSE || next <= 32) return stop;
    builder.truncate(builder.rows - 1);
    return -1;
  }

  #moment(bytes: Uint8Array, at: number, end: number, { reader, builder }: FlatField): number {
    let stop = at + 11;
    while (stop < end && stop <= at + 27 && bytes[stop] !== QUOTE) stop += 1;
    if (stop >= end || bytes[stop] !== QUOTE) return -1;
    const isPut =
      reader === read.READ_DATE
        ? putDate(builder, bytes, at + 1, stop, this.#read)
        : putDatetime(builder, bytes, at + 1, stop, this.#read);
    return isPut ? stop + 1 : -1;
  }

  /** Copied and looked at in one go, plain characters by the word. */
  #text(bytes: Uint8Array, view: DataView, start: number, end: number, field: FlatField): number {
    const { builder, lengthMax } = field;
    const room = end - start < lengthMax ? end - start : lengthMax;
    // A last word is copied as a whole.
    if (builder.end + room + 4 > builder.data.length) builder.reserveData(room + 4);
    const { data, view: copy } = builder;
    const last = start + 1 + room < end ? start + 1 + room : end - 1;
    let to = builder.end;
    let at = start + 1;
    for (; at + 4 <= last; at += 4, to += 4) {
      const word = view.getInt32(at, true);
      const odd =
        read.hasByte(word, QUOTES) |
        read.hasByte(word, BACKSLASHES) |
        ((((word - BLANKS) & ~word) | word) & HIGH_BITS);
      copy.setInt32(to, word, true);
      if (odd === 0) continue;
      const plain = read.bytesBefore(odd);
      if (bytes[at + plain] !== QUOTE) break;
      read.endText(builder, to + plain);
      return at + plain + 1;
    }
    let high = 0;
    for (; at <= last; at++) {
      const c = bytes[at]!;
      if (c === QUOTE) {
        if (high >= 0x80) this.#high = high;
        read.endText(builder, to);
        return at + 1;
      }
      if (c === BACKSLASH || c < 32 || at === last) return -1;
      high |= c;
      data[to++] = c;
    }
    return -1;
  }

  #blanks(bytes: Uint8Array, end: number): void {
    let at = this.#at;
    while (at < end) {
      const c = bytes[at];
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break;
      at += 1;
    }
    this.#at = at;
  }

  /** Steps over the byte, blanks before it included. */
  #take(bytes: Uint8Array, end: number, byte: number): boolean {
    this.#blanks(bytes, end);
    if (this.#at >= end || bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** To behind the closing quote, from behind the opening one; false where it holds more than plain characters. */
  #string(bytes: Uint8Array, end: number): boolean {
    let high = 0;
    for (let at = this.#at; at < end; at++) {
      const c = bytes[at]!;
      if (c === QUOTE) {
        this.#at = at + 1;
        this.#high |= high;
        return true;
      }
      if (c === BACKSLASH || c < 32) return false;
      high |= c;
    }
    return false;
  }

  /** Keys mostly come in the order of the fields: the expected one is tried first. */
  #find(bytes: Uint8Array, start: number, end: number, expected: number): number {
    const count = this.#fields.length;
    for (let i = 0; i < count; i++) {
      const at = expected + i < count ? expected + i : expected + i - count;
      const { key } = this.#fields[at]!;
      if (key.length !== end - start) continue;
      let same = 0;
      while (same < key.length && key[same] === bytes[start + same]) same += 1;
      if (same === key.length) return at;
    }
    return -1;
  }

  /** `field` absent: the value is read over. */
  #value(bytes: Uint8Array, end: number, field: FlatField | undefined): boolean {
    if (this.#at >= end) return false;
    const first = bytes[this.#at];
    if (first === QUOTE) {
      const start = ++this.#at;
      if (!this.#string(bytes, end)) return false;
      if (field === undefined) return true;
      const { column, isJson } = field;
      return !isJson && column.append(column.builder, bytes, start, this.#at - 1);
    }
    if (first === 116 || first === 102) {
      if (!this.#word(bytes, end, first === 116 ? TRUE : FALSE)) return false;
      if (field === undefined) return true;
      const at = first === 116 ? 1 : 0;
      const { column, takesBoolean } = field;
      return takesBoolean && column.append(column.builder, DIGITS, at, at + 1);
    }
    if (first === 110) {
      if (!this.#word(bytes, end, NULL)) return false;
      field?.column.builder.appendNull();
      return true;
    }
    const start = this.#at;
    if (!this.#number(bytes, end)) return false;
    if (field === undefined) return true;
    const { column, isJson } = field;
    if (!isJson) return column.append(column.builder, bytes, start, this.#at);
    column.builder.appendBytes(bytes, start, this.#at);
    return true;
  }

  #word(bytes: Uint8Array, end: number, word: Uint8Array): boolean {
    if (this.#at + word.length > end) return false;
    for (let i = 0; i < word.length; i++) if (bytes[this.#at + i] !== word[i]) return false;
    this.#at += word.length;
    return true;
  }

  #number(bytes: Uint8Array, end: number): boolean {
    let at = this.#at;
    if (bytes[at] === MINUS) at += 1;
    const whole = at;
    while (at < end && isDigit(bytes[at])) at += 1;
    if (at === whole || (bytes[whole] === ZERO && at > whole + 1)) return false;
    if (at < end && bytes[at] === 46) {
      const fraction = ++at;
      while (at < end && isDigit(bytes[at])) at += 1;
      if (at === fraction) return false;
    }
    if (at < end && (bytes[at] === 101 || bytes[at] === 69)) {
      at += 1;
      if (at < end && (bytes[at] === 43 || bytes[at] === 45)) at += 1;
      const exponent = at;
      while (at < end && isDigit(bytes[at])) at += 1;
      if (at === exponent) return false;
    }
    this.#at = at;
    return true;
  }
}
