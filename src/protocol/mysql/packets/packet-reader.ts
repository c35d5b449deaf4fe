/**
 * Reads the fields of one packet's payload. The bytes come from a peer: whatever is missing or impossible is a
 * `LoadError`, and no length found in them is believed before it was held against what is really there.
 */
import { LoadError } from '../../../base/errors.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function malformed(detail: string): LoadError {
  return new LoadError('PACKET_MALFORMED', `malformed communication packet: ${detail}`, {
    errno: 1835,
    sqlState: 'HY000',
  });
}

export class PacketReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next byte without taking it; `undefined` at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  skip(length: number): void {
    this.#take(length);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  u24(): number {
    const at = this.#take(3);
    return this.#view.getUint16(at, true) + (this.#view.getUint8(at + 2) << 16);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** int<lenenc>; NULL (0xFB) and 0xFF are errors here. */
  lenenc(): number {
    const first = this.u8();
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.u16();
    if (first === 0xfd) return this.u24();
    if (first !== 0xfe) throw malformed('not a length');
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('length beyond 2^53');
    return Number(value);
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.left);
  }

  lenencBytes(): Uint8Array {
    return this.bytes(this.lenenc());
  }

  lenencText(): string {
    return decoder.decode(this.lenencBytes());
  }

  /** string<lenenc> or NULL, as in a text row. */
  lenencTextOrNull(): string | null {
    if (this.peek() !== 0xfb) return this.lenencText();
    this.skip(1);
    return null;
  }

  /** string<NUL> */
  nulText(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw malformed('text without its end');
    const text = decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  restText(): string {
    return decoder.decode(this.rest());
  }

  #take(length: number): number {
    if (length > this.left) throw malformed(`${length} bytes expected, ${this.left} left`);
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
