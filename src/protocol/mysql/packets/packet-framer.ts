/**
 * Cuts what a socket delivers into packets. Layout: packet-writer.ts.
 *
 *   F1. A length above the limit is refused when its header has come, before a byte of it is kept.
 *   F2. Memory grows with what has come, never with what a header promises, in however small pieces.
 *   F3. A packet whose sequence id is not the one expected is refused.
 */
import { LoadError } from '../../../base/errors.ts';
import { PAYLOAD_BYTES_MAX } from './packet-writer.ts';

const HEADER_BYTES = 4;
const KEPT_BYTES_MAX = 256 * 1024;

export class PacketFramer {
  /** Sequence id that the next packet must have; also the one for the answer to the last. */
  sequence = 0;
  /** Longest payload, all its packets together. */
  bytesMax: number;
  #buffer: Buffer = Buffer.allocUnsafeSlow(1024);
  #start = 0;
  #end = 0;
  /** Packets of 0xFFFFFF bytes whose end has not come. */
  #parts: Buffer[] = [];
  #partBytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Bytes that have come and were not taken. */
  get buffered(): number {
    return this.#end - this.#start + this.#partBytes;
  }

  push(chunk: Uint8Array): void {
    this.#room(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole payload, a copy; `undefined` until it has come. */
  next(): Buffer | undefined {
    for (;;) {
      if (this.#end - this.#start < HEADER_BYTES) return undefined;
      const length = this.#buffer.readUIntLE(this.#start, 3);
      if (this.#partBytes + length > this.bytesMax) {
        throw new LoadError(
          'PACKET_TOO_LARGE',
          "Got a packet bigger than 'max_allowed_packet' bytes",
          { errno: 1153, sqlState: '08S01', details: { bytesMax: this.bytesMax } },
        );
      }
      const sequence = this.#buffer[this.#start + 3];
      if (sequence !== this.sequence) {
        throw new LoadError('PACKET_OUT_OF_ORDER', 'Got packets out of order', {
          errno: 1156,
          sqlState: '08S01',
          details: { expected: this.sequence, found: sequence },
        });
      }
      const from = this.#start + HEADER_BYTES;
      if (this.#end < from + length) return undefined;
      const payload = Buffer.from(this.#buffer.subarray(from, from + length));
      this.#start = from + length;
      this.sequence = (this.sequence + 1) & 0xff;
      if (this.#start === this.#end) this.#reset();
      if (length === PAYLOAD_BYTES_MAX) {
        this.#parts.push(payload);
        this.#partBytes += length;
      } else if (this.#parts.length === 0) {
        return payload;
      } else {
        const whole = Buffer.concat([...this.#parts, payload]);
        this.#parts = [];
        this.#partBytes = 0;
        return whole;
      }
    }
  }

  #reset(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = Buffer.allocUnsafeSlow(1024);
  }

  #room(bytes: number): void {
    const used = this.#end - this.#start;
    if (this.#end + bytes <= this.#buffer.length) return;
    if (used + bytes <= this.#buffer.length >> 1) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const larger = Buffer.allocUnsafeSlow(Math.max((used + bytes) * 2, 1024));
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#buffer = larger;
    }
    this.#start = 0;
    this.#end = used;
  }
}
