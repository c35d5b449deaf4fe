/**
 * Positions of messages in one buffer, in typed arrays that grow: what a `MessageBatch` is made of.
 *
 *   record = length varint, attributes int8, timestampDelta varlong, offsetDelta varint,
 *            keyLength varint, key, valueLength varint, value, headerCount varint,
 *            { keyLength varint, key, valueLength varint, value }*
 *
 * Varints are zigzag: 0, −1, 1, −2, … Lengths of −1 are null; a header's key cannot be null.
 */
import type { MessageBatch } from './kafka.types.ts';

export interface RecordRange {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Offsets of the records go from 0 to this, in ascending order, perhaps with gaps. */
  readonly lastDelta: number;
  /** Records below are left out. */
  readonly skip: number;
  /** From the columns' offset base to the range's. */
  readonly deltaBase: number;
  readonly timestamp: number;
  /** The timestamp is that of every record, as the broker stamped it. */
  readonly stamped: boolean;
}

/** No record is smaller: six varints and the attributes. */
const recordBytesMin = 7;

/** Where the last varint ended; −1: it was cut off or too long. Module state, as a pair would be an object. */
let cursor = 0;

function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let shift = 0; shift < 35 && at < end; shift += 7) {
    const byte = bytes[at++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor = at;
      return (value >>> 1) ^ -(value & 1);
    }
  }
  cursor = -1;
  return 0;
}

/** 64 bits as a double: exact to 2^53, which is enough for times. */
function readVarlong(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let odd = false;
  for (let i = 0; i < 10 && at < end; i++) {
    const byte = bytes[at++] as number;
    if (i === 0) odd = (byte & 1) !== 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      cursor = at;
      return odd ? -(value + 1) / 2 : value / 2;
    }
  }
  cursor = -1;
  return 0;
}

/** The record that `usual` read. */
let usualDelta = 0;
let usualTime = 0;
let usualStart = 0;
let usualLength = 0;

/** Six varints of at most two bytes, the attributes: so much is read before anything is compared with the end. */
const USUAL_BYTES_MAX = 16;

/**
 * A record with a value and without headers, whose varints have at most two bytes: where it ends, which the caller compares
 * with the end of all; −1: another form, or none.
 */
function usual(bytes: Uint8Array, from: number): number {
  let at = from;
  let value = bytes[at++]!;
  if (value >= 0x80) {
    const high = bytes[at++]!;
    if (high >= 0x80) return -1;
    value = (value & 0x7f) | (high << 7);
  }
  if ((value & 1) !== 0) return -1;
  const end = at + (value >>> 1);
  at += 1;
  value = bytes[at++]!;
  if (value >= 0x80) {
    const high = bytes[at++]!;
    if (high >= 0x80) return -1;
    value = (value & 0x7f) | (high << 7);
  }
  usualTime = (value >>> 1) ^ -(value & 1);
  value = bytes[at++]!;
  if (value >= 0x80) {
    const high = bytes[at++]!;
    if (high >= 0x80) return -1;
    value = (value & 0x7f) | (high << 7);
  }
  if ((value & 1) !== 0) return -1;
  usualDelta = value >>> 1;
  value = bytes[at++]!;
  if (value !== 1) {
    if (value >= 0x80) {
      const high = bytes[at++]!;
      if (high >= 0x80) return -1;
      value = (value & 0x7f) | (high << 7);
    }
    if ((value & 1) !== 0) return -1;
    at += value >>> 1;
  }
  if (at + 2 >= end) return -1;
  value = bytes[at++]!;
  if (value >= 0x80) {
    const high = bytes[at++]!;
    if (high >= 0x80) return -1;
    value = (value & 0x7f) | (high << 7);
  }
  if ((value & 1) !== 0) return -1;
  usualStart = at;
  usualLength = value >>> 1;
  // One zero byte stands behind the value: no headers.
  return usualStart + usualLength + 1 === end && bytes[end - 1] === 0 ? end : -1;
}

export class RecordColumns {
  readonly offsetBase: bigint;
  readonly #bytes: Uint8Array;
  #count = 0;
  #start: Uint32Array;
  #length: Int32Array;
  #offsetDelta: Uint32Array;
  #timestampMs: Float64Array;

  constructor(bytes: Uint8Array, offsetBase: bigint, capacity: number) {
    // A claimed count cannot take more memory than the bytes could hold.
    const room = Math.min(capacity, Math.ceil(bytes.length / recordBytesMin));
    this.offsetBase = offsetBase;
    this.#bytes = bytes;
    this.#start = new Uint32Array(room);
    this.#length = new Int32Array(room);
    this.#offsetDelta = new Uint32Array(room);
    this.#timestampMs = new Float64Array(room);
  }

  get count(): number {
    return this.#count;
  }

  /** All records of the range; returns what is wrong with them, or null. */
  append(range: RecordRange): string | null {
    const { from, to, count, lastDelta, skip, deltaBase, timestamp, stamped } = range;
    if (count * recordBytesMin > to - from) return `${count} records do not fit into it`;
    this.#reserve(count);
    const bytes = this.#bytes;
    const start = this.#start;
    const length = this.#length;
    const offsetDelta = this.#offsetDelta;
    const timestampMs = this.#timestampMs;
    let out = this.#count;
    let at = from;
    let previous = -1;

    for (let i = 0; i < count; i++) {
      // Nearly all: no headers, and varints of one or two bytes.
      const next = to - at > USUAL_BYTES_MAX ? usual(bytes, at) : -1;
      if (next >= 0 && usualDelta > previous && usualDelta <= lastDelta && next <= to) {
        previous = usualDelta;
        at = next;
        if (usualDelta < skip) continue;
        start[out] = usualStart;
        length[out] = usualLength;
        offsetDelta[out] = deltaBase + usualDelta;
        timestampMs[out] = stamped ? timestamp : timestamp + usualTime;
        out++;
        continue;
      }
      const size = readVarint(bytes, at, to);
      at = cursor;
      if (at < 0 || size < recordBytesMin - 1 || size > to - at) return cutOff(i);
      const end = at + size;
      const timestampDelta = readVarlong(bytes, at + 1, end);
      if (cursor < 0) return cutOff(i);
      const delta = readVarint(bytes, cursor, end);
      if (cursor < 0) return cutOff(i);
      if (delta <= previous || delta > lastDelta) return `the offset of record ${i} is impossible`;
      previous = delta;

      const keyLength = readVarint(bytes, cursor, end);
      if (cursor < 0 || keyLength < -1 || keyLength > end - cursor) return cutOff(i);
      const valueLength = readVarint(bytes, keyLength > 0 ? cursor + keyLength : cursor, end);
      if (cursor < 0 || valueLength < -1 || valueLength > end - cursor) return cutOff(i);
      const value = cursor;

      at = valueLength > 0 ? value + valueLength : value;
      // Nearly all have no headers: one zero byte at the end.
      if ((at !== end - 1 || bytes[at] !== 0) && !headersEndAt(bytes, at, end)) return cutOff(i);
      at = end;

      if (delta < skip) continue;
      start[out] = value;
      length[out] = valueLength;
      offsetDelta[out] = deltaBase + delta;
      timestampMs[out] = stamped ? timestamp : timestamp + timestampDelta;
      out++;
    }
    if (at !== to) return 'bytes follow its last record';
    this.#count = out;
    return null;
  }

  toBatch(topic: string, partition: number): MessageBatch {
    const count = this.#count;
    return {
      topic,
      partition,
      count,
      bytes: this.#bytes,
      start: this.#start.subarray(0, count),
      length: this.#length.subarray(0, count),
      offsetBase: this.offsetBase,
      offsetDelta: this.#offsetDelta.subarray(0, count),
      timestampMs: this.#timestampMs.subarray(0, count),
    };
  }

  #reserve(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#start.length) return;
    const room = Math.max(needed, Math.ceil(this.#start.length * 1.5));
    this.#start = grown(this.#start, new Uint32Array(room));
    this.#length = grown(this.#length, new Int32Array(room));
    this.#offsetDelta = grown(this.#offsetDelta, new Uint32Array(room));
    this.#timestampMs = grown(this.#timestampMs, new Float64Array(room));
  }
}

function grown<T extends Uint32Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function headersEndAt(bytes: Uint8Array, at: number, end: number): boolean {
  const count = readVarint(bytes, at, end);
  if (cursor < 0 || count < 0 || count > end - cursor) return false;
  for (let i = 0; i < count; i++) {
    const keyLength = readVarint(bytes, cursor, end);
    if (cursor < 0 || keyLength < 0 || keyLength > end - cursor) return false;
    const valueLength = readVarint(bytes, cursor + keyLength, end);
    if (cursor < 0 || valueLength < -1 || valueLength > end - cursor) return false;
    if (valueLength > 0) cursor += valueLength;
  }
  return cursor === end;
}

function cutOff(record: number): string {
  return `record ${record} does not have the form of one`;
}
