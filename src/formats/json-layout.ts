/**
 * What stands before each value of a JSON object and behind the last, as one message had it, and which field the value is
 * of. A message that has the same bytes there has the same keys in the same order, and needs no second look at them.
 */

/** So many messages in a row may be different before what is expected is learned anew; doubles each time. */
const MISSED_FIRST = 8;
const MISSED_MAX = 4_096;
const MEMBERS_MAX = 256;

/** What stands before a value. */
export interface Between {
  /** In bytes, at least four. */
  readonly length: number;
  /** The bytes themselves, four to a number; the last overlaps the one before where the length is no multiple. */
  readonly words: Int32Array;
  /** Index of the field that the value is of, −1: read over. */
  readonly field: number;
}

export class Layout {
  /** The values that are known, in their order. */
  members: readonly Between[] = [];
  /** Every field has its value: none is NULL for want of a key. */
  isWhole = false;
  #learned: Between[] = [];
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
    this.members = [];
    this.#learned = [];
  }

  /** The bytes before a value: a brace or comma, a key, a colon, so at least four. */
  add(bytes: Uint8Array, from: number, to: number, field: number): void {
    const text = new Uint8Array(bytes.subarray(from, to));
    const view = new DataView(text.buffer);
    const words = new Int32Array(Math.ceil(text.length / 4));
    for (let i = 0; i < words.length; i++) {
      words[i] = view.getInt32(Math.min(4 * i, text.length - 4), true);
    }
    this.#learned.push({ length: text.length, words, field });
  }

  /** The message was taken, and is what is expected from now on. */
  finish(bytes: Uint8Array, from: number, end: number, fields: number): void {
    if (this.#learned.length > MEMBERS_MAX) return;
    this.#tail = new Uint8Array(bytes.subarray(from, end));
    this.members = this.#learned;
    this.isWhole = this.members.filter(({ field }) => field >= 0).length === fields;
  }
}
