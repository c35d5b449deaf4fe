/**
 * Thrift's compact protocol, as much as Parquet's footers and page headers take.
 *
 *   field   (id delta << 4 | type), the value; structures end with 0
 *   i32/i64 zigzag varint · binary: varint length, bytes · list: (size << 4 | type), or 0xf0 | type and a varint
 */

const TYPE = { true: 1, false: 2, i8: 3, i16: 4, i32: 5, i64: 6, binary: 8, list: 9, struct: 12 };

export class ThriftWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;
  /** The last field's id, of each structure that is open. */
  readonly #fields: number[] = [0];

  finish(): Uint8Array {
    this.#push(0);
    return this.#bytes.slice(0, this.#length);
  }

  bool(id: number, value: boolean): void {
    this.#field(id, value ? TYPE.true : TYPE.false);
  }

  i8(id: number, value: number): void {
    this.#field(id, TYPE.i8);
    this.#push(value & 0xff);
  }

  i32(id: number, value: number): void {
    this.#field(id, TYPE.i32);
    this.#zigzag(value);
  }

  /** A whole number that a double holds exactly. */
  i64(id: number, value: number): void {
    this.#field(id, TYPE.i64);
    this.#zigzag(value);
  }

  binary(id: number, value: Uint8Array): void {
    this.#field(id, TYPE.binary);
    this.#binary(value);
  }

  text(id: number, value: string): void {
    this.binary(id, Buffer.from(value));
  }

  struct(id: number, fill: () => void): void {
    this.#field(id, TYPE.struct);
    this.#struct(fill);
  }

  structs<T>(id: number, items: readonly T[], fill: (item: T) => void): void {
    this.#list(id, TYPE.struct, items.length);
    for (const item of items) this.#struct(() => fill(item));
  }

  i32s(id: number, items: readonly number[]): void {
    this.#list(id, TYPE.i32, items.length);
    for (const item of items) this.#zigzag(item);
  }

  texts(id: number, items: readonly string[]): void {
    this.#list(id, TYPE.binary, items.length);
    for (const item of items) this.#binary(Buffer.from(item));
  }

  #struct(fill: () => void): void {
    this.#fields.push(0);
    fill();
    this.#fields.pop();
    this.#push(0);
  }

  #field(id: number, type: number): void {
    const last = this.#fields.length - 1;
    // Ids are below 16 here, and rise.
    this.#push(((id - this.#fields[last]!) << 4) | type);
    this.#fields[last] = id;
  }

  #list(id: number, type: number, size: number): void {
    this.#field(id, TYPE.list);
    if (size < 15) this.#push((size << 4) | type);
    else {
      this.#push(0xf0 | type);
      this.#varint(size);
    }
  }

  #binary(value: Uint8Array): void {
    this.#varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #zigzag(value: number): void {
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#push(rest);
  }

  #push(byte: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = byte;
  }

  #room(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const bytes = new Uint8Array(2 * (this.#length + length));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
