/** Fields of one CSV row: where each lies. Used again for every row, so that no object is made per field. */

const BACKSLASH = 92;
const CAPITAL_N = 78;

export class CsvFields {
  count = 0;
  start: number[] = [];
  end: number[] = [];
  isNull: boolean[] = [];
  /** Field i lies in the scratch bytes, unescaped, not in the message. */
  copied: boolean[] = [];
  #scratch = new Uint8Array(256);
  #used = 0;

  clear(): void {
    this.count = 0;
    this.#used = 0;
  }

  get scratch(): Uint8Array {
    return this.#scratch;
  }

  get used(): number {
    return this.#used;
  }

  /** `raw`: as written, so that `\N` is NULL. */
  add(bytes: Uint8Array, start: number, end: number, raw: boolean): void {
    const i = this.count++;
    this.start[i] = start;
    this.end[i] = end;
    this.copied[i] = false;
    this.isNull[i] = raw && isMarker(bytes, start, end);
  }

  addCopied(from: number): void {
    const i = this.count++;
    this.start[i] = from;
    this.end[i] = this.#used;
    this.copied[i] = true;
    this.isNull[i] = false;
  }

  copy(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.#used + end - start;
    if (needed > this.#scratch.length) {
      const scratch = new Uint8Array(Math.max(needed, 2 * this.#scratch.length));
      scratch.set(this.#scratch.subarray(0, this.#used));
      this.#scratch = scratch;
    }
    for (let i = start; i < end; i++) this.#scratch[this.#used++] = bytes[i]!;
  }
}

export function isMarker(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === CAPITAL_N;
}
