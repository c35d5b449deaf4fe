/**
 * The fast way for JSON: one flat object a message, fields found by name, values straight from bytes to columns.
 *
 * It only ever takes a row that loads whole and without a coerced value; at anything else (an escape, a nested value, a
 * value that does not convert, damage) it takes the row back and leaves the message to the exact way. So both ways
 * cannot differ in what they reject, nor in why.
 */
import type { DecodePlan, JsonFormat } from './decode.types.ts';
import { parseJsonPath } from './json-path.ts';
import type { RowSink, SinkColumn } from './row-sink.ts';

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN = 123;
const CLOSE = 125;
const BACKSLASH = 92;
const DIGITS = Uint8Array.of(48, 49);
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

interface FlatField {
  readonly key: Uint8Array;
  readonly column: SinkColumn;
  readonly isJson: boolean;
  /** Takes true and false as 1 and 0. */
  readonly takesBoolean: boolean;
}

const NUMERIC = new Set(['TINYINT', 'SMALLINT', 'INT', 'BIGINT', 'FLOAT', 'DOUBLE']);

const isDigit = (c: number | undefined) => c !== undefined && c >= 48 && c <= 57;

export class FlatJson {
  readonly #sink: RowSink;
  readonly #fields: readonly FlatField[];
  /** Field → number of the row that has it already: the first of equal keys wins. */
  readonly #seen: Float64Array;
  #row = 0;
  #at = 0;

  private constructor(sink: RowSink, fields: readonly FlatField[]) {
    this.#sink = sink;
    this.#fields = fields;
    this.#seen = new Float64Array(fields.length);
  }

  /** `undefined`: the plan needs the exact way. */
  static for(plan: DecodePlan, sink: RowSink): FlatJson | undefined {
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
        isJson: type === 'JSON',
        takesBoolean: type !== 'JSON' && !NUMERIC.has(type),
      });
    }
    return new FlatJson(sink, fields);
  }

  /** False: nothing was loaded, the message is for the exact way. The bytes are valid UTF-8. */
  row(bytes: Uint8Array, start: number, end: number, message: number): boolean {
    const before = this.#sink.rows;
    this.#row += 1;
    this.#at = start;
    if (this.#object(bytes, end)) {
      for (let i = 0; i < this.#fields.length; i++) {
        if (this.#seen[i] !== this.#row) this.#fields[i]!.column.builder.appendNull();
      }
      this.#sink.endRow(message, 0);
      return true;
    }
    this.#sink.truncate(before);
    return false;
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

  #object(bytes: Uint8Array, end: number): boolean {
    if (!this.#take(bytes, end, OPEN)) return false;
    let expected = 0;
    if (!this.#take(bytes, end, CLOSE)) {
      do {
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
        if (!this.#value(bytes, end, isNew ? this.#fields[found] : undefined)) return false;
      } while (this.#take(bytes, end, COMMA));
      if (!this.#take(bytes, end, CLOSE)) return false;
    }
    this.#blanks(bytes, end);
    return this.#at === end;
  }

  /** To behind the closing quote, from behind the opening one; false where it holds more than plain characters. */
  #string(bytes: Uint8Array, end: number): boolean {
    for (let at = this.#at; at < end; at++) {
      const c = bytes[at]!;
      if (c === QUOTE) {
        this.#at = at + 1;
        return true;
      }
      if (c === BACKSLASH || c < 32) return false;
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
    if (bytes[at] === 45) at += 1;
    const whole = at;
    while (at < end && isDigit(bytes[at])) at += 1;
    if (at === whole || (bytes[whole] === 48 && at > whole + 1)) return false;
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
