/**
 * Memory of large answers, used again. A new buffer for each would be cleared first, and would make the garbage collector
 * run for nothing but them: some hundred megabytes go by in a second.
 */

/** Smaller ones are not worth it. */
const SIZE_MIN = 64 * 1024;
const STEP = 256 * 1024;
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

export class AnswerBuffers {
  readonly #free: ArrayBuffer[] = [];
  #freeBytes = 0;

  /** Of this length, in memory that has at most four times as much. What is in it is anything. */
  take(length: number): Buffer {
    if (length < SIZE_MIN) return Buffer.allocUnsafeSlow(length);
    const at = this.#free.findIndex(
      ({ byteLength }) => byteLength >= length && byteLength <= 4 * length,
    );
    if (at < 0) {
      const room = Math.ceil(length / STEP) * STEP;
      return Buffer.allocUnsafeSlow(room).subarray(0, length);
    }
    const [buffer] = this.#free.splice(at, 1);
    this.#freeBytes -= buffer!.byteLength;
    return Buffer.from(buffer!, 0, length);
  }

  /** Nobody reads it any more. What was not taken here, or is too much to keep, is left to the garbage collector. */
  give(buffer: ArrayBufferLike): void {
    const isOurs = buffer instanceof ArrayBuffer && buffer.byteLength % STEP === 0;
    if (!isOurs || buffer.byteLength === 0 || this.#free.includes(buffer)) return;
    if (this.#freeBytes + buffer.byteLength > KEPT_BYTES_MAX) return;
    this.#free.push(buffer);
    this.#freeBytes += buffer.byteLength;
  }
}
