/** Thrift's compact protocol, as `ThriftWriter` writes it: fields are visited in their order, unknown ones are passed over. */

const TYPE = { true: 1, false: 2, i8: 3, i16: 4, i32: 5, i64: 6, double: 7, binary: 8 } as const;
const LIST = { list: 9, set: 10, struct: 12 } as const;

export class ThriftReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Where the next byte is read. */
  get at(): number {
    return this.#at;
  }

  /** `visit` reads the field's value and says so, or leaves it and gives false. */
  struct(visit: (id: number) => boolean): void {
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return;
      const delta = head >> 4;
      id = delta === 0 ? this.int() : id + delta;
      if (!visit(id)) this.#skip(head & 0x0f);
    }
  }

  list(each: () => void): void {
    const head = this.#byte();
    const size = head >> 4 === 0x0f ? this.varint() : head >> 4;
    for (let i = 0; i < size; i++) each();
  }

  /** A zigzag number, which a double holds exactly. */
  int(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  binary(): Uint8Array {
    const length = this.varint();
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new RangeError('beyond the end');
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('beyond the end');
    return byte;
  }

  #skip(type: number): void {
    switch (type) {
      case TYPE.true:
      case TYPE.false:
        return;
      case TYPE.i8:
        this.#byte();
        return;
      case TYPE.i16:
      case TYPE.i32:
      case TYPE.i64:
        this.varint();
        return;
      case TYPE.double:
        this.#at += 8;
        return;
      case TYPE.binary:
        this.binary();
        return;
      case LIST.list:
      case LIST.set: {
        const item = (this.#bytes[this.#at] ?? 0) & 0x0f;
        this.list(() => this.#skip(item));
        return;
      }
      case LIST.struct:
        this.struct(() => false);
        return;
      default:
        throw new RangeError('a type that is not known');
    }
  }
}
