/**
 * What stands before each value of a JSON object and behind the last, as one message had it, and which field the value is
 * of. A message that has the same bytes there has the same keys in the same order, and needs no second look at them.
 */

/** So many messages in a row may be different before what is expected is learned anew; doubles each time. */
const MISSED_FIRST = 8;
const MISSED_MAX = 4_096;
const MEMBERS_MAX = 256;

export class Layout {
  /** How many values are known. */
  count = 0;
  /** Value → index of its field, −1: read over. */
  readonly fields: number[] = [];
  /** Every field has its value: none is NULL for want of a key. */
  isWhole = false;
  /** What stands before each value: how many bytes. */
  readonly lengths: number[] = [];
  /** The bytes themselves, four to a number; the last overlaps the one before where the length is no multiple. */
  readonly words: Int32Array[] = [];
  #tail: Uint8Array = new Uint8Array(0);
  #missed = 0;
  #missedMax = 0;

  isTail(bytes: Uint8Array, at: number, end: number): boolean {
    const tail = this.#tail;
    if (end - at !== tail.length) return false;
    for (let i = 0; i < tail.length; i++) if (bytes[at + i] !== tail[i]) return false;
    return true;
  }

  /** A message was different; true: the one at hand is to be learned. */
  missed(): boolean {
    this.#missed += 1;
    if (this.#missed <= this.#missedMax) return false;
    this.#missed = 0;
    this.#missedMax = Math.min(MISSED_MAX, Math.max(MISSED_FIRST, 2 * this.#missedMax));
    return true;
  }

  begin(): void {
    this.count = 0;
    this.fields.length = 0;
    this.lengths.length = 0;
    this.words.length = 0;
  }

  /** The bytes before a value: a brace or comma, a key, a colon, so at least four. */
  add(bytes: Uint8Array, from: number, to: number, field: number): void {
    const text = new Uint8Array(bytes.subarray(from, to));
    const view = new DataView(text.buffer);
    const words = new Int32Array(Math.ceil(text.length / 4));
    for (let i = 0; i < words.length; i++) {
      words[i] = view.getInt32(Math.min(4 * i, text.length - 4), true);
    }
    this.fields.push(field);
    this.lengths.push(text.length);
    this.words.push(words);
  }

  /** The message was taken, and is what is expected from now on. */
  finish(bytes: Uint8Array, from: number, end: number, fields: number): void {
    if (this.fields.length > MEMBERS_MAX) return;
    this.#tail = new Uint8Array(bytes.subarray(from, end));
    this.count = this.fields.length;
    this.isWhole = this.fields.filter((field) => field >= 0).length === fields;
  }
}
