/**
 * A file that is read here and there. Small pieces are read at once: from the page cache that takes some microseconds, where a
 * way through another thread takes a turn of two threads for each, which on a busy machine are milliseconds.
 */
import { closeSync, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';

const readLater = promisify(read);
/** More than that may be a while in coming from a disk. */
const AT_ONCE_MAX = 64 * 1024;

export class ReadFile {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  /** Exactly so many bytes, at an address that any value may have. */
  async at(position: number, length: number): Promise<Uint8Array> {
    if (position < 0 || length < 0) throw new RangeError('outside of the file');
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const rest = {
        buffer: bytes,
        offset: done,
        length: length - done,
        position: position + done,
      };
      const count =
        length <= AT_ONCE_MAX
          ? readSync(this.#file, bytes, rest)
          : (await readLater(this.#file, rest)).bytesRead;
      if (count === 0) throw new RangeError('the file ends too early');
      done += count;
    }
    return bytes;
  }

  /** Nothing may be under way. */
  close(): void {
    closeSync(this.#file);
  }
}
