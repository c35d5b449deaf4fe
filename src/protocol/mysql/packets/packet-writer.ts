/**
 * Builds framed packets, one behind the other, in one buffer that is handed to the socket as a whole.
 *
 *   Packet
 *     int<3>  payload_length  0xFFFFFF: another packet carries on, if need be with nothing in it
 *     int<1>  sequence_id     one more than that of the packet before, whoever sent it
 *     …       payload
 */
import { assert } from '../../../base/assert.ts';

export const PAYLOAD_BYTES_MAX = 0xff_ffff;
const HEADER_BYTES = 4;

export class PacketWriter {
  /** Sequence id of the next packet. */
  sequence = 0;
  #buffer: Buffer;
  #end = 0;
  #start = -1;

  constructor(bytes = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** Bytes of finished packets and of the open one. */
  get length(): number {
    return this.#end;
  }

  begin(): void {
    assert(this.#start < 0, 'the packet before was not ended');
    this.#room(HEADER_BYTES);
    this.#start = this.#end;
    this.#end += HEADER_BYTES;
  }

  end(): void {
    assert(this.#start >= 0, 'no packet was begun');
    let start = this.#start;
    let length = this.#end - start - HEADER_BYTES;
    while (length >= PAYLOAD_BYTES_MAX) {
      this.#header(start, PAYLOAD_BYTES_MAX);
      start += HEADER_BYTES + PAYLOAD_BYTES_MAX;
      length -= PAYLOAD_BYTES_MAX;
      this.#room(HEADER_BYTES);
      this.#buffer.copyWithin(start + HEADER_BYTES, start, this.#end);
      this.#end += HEADER_BYTES;
    }
    this.#header(start, length);
    this.#start = -1;
  }

  /** Forgets the open packet: an error takes its place. */
  drop(): void {
    if (this.#start >= 0) this.#end = this.#start;
    this.#start = -1;
  }

  /** All finished packets; the writer begins anew with a buffer of its own. */
  take(): Buffer {
    assert(this.#start < 0, 'the packet was not ended');
    const bytes = this.#buffer.subarray(0, this.#end);
    this.#buffer = Buffer.allocUnsafeSlow(1024);
    this.#end = 0;
    return bytes;
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#end++] = value;
  }

  u16(value: number): void {
    this.#room(2);
    this.#end = this.#buffer.writeUInt16LE(value, this.#end);
  }

  u32(value: number): void {
    this.#room(4);
    this.#end = this.#buffer.writeUInt32LE(value, this.#end);
  }

  /** Two's complement of any sign. */
  int(value: number, bytes: 1 | 2 | 4): void {
    this.#room(bytes);
    this.#end = this.#buffer.writeIntLE(value, this.#end, bytes);
  }

  i64(value: bigint): void {
    this.#room(8);
    this.#end = this.#buffer.writeBigInt64LE(value, this.#end);
  }

  f32(value: number): void {
    this.#room(4);
    this.#end = this.#buffer.writeFloatLE(value, this.#end);
  }

  f64(value: number): void {
    this.#room(8);
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
  }

  lenenc(value: number): void {
    if (value < 0xfb) {
      this.u8(value);
    } else if (value <= 0xffff) {
      this.u8(0xfc);
      this.u16(value);
    } else if (value <= 0xff_ffff) {
      this.u8(0xfd);
      this.u16(value & 0xffff);
      this.u8(value >>> 16);
    } else {
      this.u8(0xfe);
      this.i64(BigInt(value));
    }
  }

  zeros(length: number): void {
    this.#room(length);
    this.#buffer.fill(0, this.#end, this.#end + length);
    this.#end += length;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  text(text: string): void {
    this.#room(Buffer.byteLength(text));
    this.#end += this.#buffer.write(text, this.#end);
  }

  lenencText(text: string): void {
    this.lenenc(Buffer.byteLength(text));
    this.text(text);
  }

  lenencBytes(bytes: Uint8Array): void {
    this.lenenc(bytes.length);
    this.bytes(bytes);
  }

  /** The text must hold no NUL; one in it would end it early. */
  nulText(text: string): void {
    this.text(text.replaceAll('\0', ''));
    this.u8(0);
  }

  #header(at: number, length: number): void {
    this.#buffer.writeUIntLE(length, at, 3);
    this.#buffer[at + 3] = this.sequence;
    this.sequence = (this.sequence + 1) & 0xff;
  }

  #room(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}
