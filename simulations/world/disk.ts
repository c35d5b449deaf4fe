/**
 * The disk of one directory: an ordered store and files, each with a durable and a volatile image. What was not synced
 * may be gone after a crash, in whole or in part; what was synced stays (profile `atlas`) or may be damaged (`havoc`).
 */
import { LoadError } from '../../src/base/errors.ts';
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import type { Files } from '../../src/storage/files.ts';
import { createMemoryStore, type MemoryStore } from '../../src/storage/memory-store.ts';
import type { OrderedStore } from '../../src/storage/ordered-store.types.ts';
import type { VirtualClock } from './clock.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

/** Files of the machine by path: a part is handed over from one BE's folder to another's. */
export type SimFiles = Map<string, SimFile>;

interface SimFile {
  bytes: Uint8Array;
  /** What a power cut leaves; `undefined`: nothing. */
  synced: Uint8Array | undefined;
  /** Its name is durable: the directory was synced after it came. */
  named: boolean;
}

export interface DiskFaults {
  /** A write fails, and its outcome is unknown. */
  readonly writeError: number;
  readonly syncMsMax: number;
}

export class Disk {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly name: string;
  faults: DiskFaults;
  #memory: MemoryStore = createMemoryStore();
  readonly #files: SimFiles;
  /** Set by mutants: writes that ask for a sync do not get one. */
  ignoresSync = false;

  constructor(
    name: string,
    clock: VirtualClock,
    random: SeededRandom,
    trace: Trace,
    faults: DiskFaults,
    files: SimFiles,
  ) {
    this.#files = files;
    this.name = name;
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.faults = faults;
  }

  /** The power is cut: what no sync covers is kept up to a point that the seed chooses, the rest is gone. */
  crash(): void {
    const writes = this.#memory.writes.length;
    const synced = this.#memory.writes.findLastIndex((write) => write.sync) + 1;
    const keepUnsynced = this.#random.whole(0, writes - synced);
    if (keepUnsynced < writes - synced) this.#trace.reach('disk.unsynced-lost');
    this.#memory = this.#memory.crash({ keepUnsynced });
    // A new image of the same bytes, so that the list of writes does not grow for ever.
    this.#memory = this.#memory.reopen();
    for (const [path, file] of this.#files) {
      if (!path.startsWith(`/${this.name}/`)) continue;
      const survives = file.named || this.#random.chance(0.5);
      if (!survives || file.synced === undefined) {
        if (!survives || this.#random.chance(0.5)) {
          this.#files.delete(path);
          this.#trace.reach('disk.file-lost');
        } else {
          file.bytes = file.bytes.slice(0, this.#random.whole(0, file.bytes.length));
          this.#trace.reach('disk.file-torn');
        }
      } else file.bytes = file.synced;
    }
  }

  /** For one boot of a process: a handle that goes dead with it. */
  store(isAlive: () => boolean): OrderedStore {
    const memory = this.#memory;
    const never = new Promise<never>(() => {});
    const check = async () => {
      if (!isAlive()) await never;
    };
    return {
      get: async (key) => {
        await check();
        return memory.get(key);
      },
      range: (options) => memory.range(options),
      write: async (ops, { sync }) => {
        await check();
        const delayMs = sync ? 1 + this.#random.next() ** 2 * this.faults.syncMsMax : 0.01;
        await this.#wait(delayMs / 2);
        await check();
        if (this.faults.writeError > 0 && this.#random.chance(this.faults.writeError)) {
          const stored = this.#random.chance(0.5);
          this.#trace.reach('disk.write-error');
          memory.failNextWrite(new LoadError('STORE_WRITE', `disk ${this.name} failed a write`), {
            stored,
          });
        }
        // In flight at a crash: it reached the disk, or it did not.
        await memory.write(ops, { sync: sync && !this.ignoresSync });
        await this.#wait(delayMs / 2);
        await check();
      },
      close: async () => {},
    };
  }

  /** What the engine writes: not durable before both syncs. */
  writeFile(path: string, bytes: Uint8Array): void {
    this.#files.set(path, { bytes, synced: undefined, named: false });
  }

  readFile(path: string): Uint8Array {
    const file = this.#files.get(path);
    if (file === undefined) throw new LoadError('FILE_GONE', `no file ${path}`);
    return file.bytes;
  }

  files(isAlive: () => boolean): Files {
    const find = (path: string) => {
      const file = this.#files.get(path);
      if (file === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      return file;
    };
    const wait = async () => {
      await this.#wait(0.1 + this.#random.next() * this.faults.syncMsMax);
      if (!isAlive()) await new Promise<never>(() => {});
    };
    const under = (dir: string) =>
      [...this.#files].filter(([path]) => path.slice(0, path.lastIndexOf('/')) === dir);
    return {
      makeDirectory: async () => {},
      list: async (dir) => under(dir).map(([path]) => path.slice(path.lastIndexOf('/') + 1)),
      adopt: async (from, to) => {
        const file = find(from);
        this.#files.delete(from);
        this.#files.set(to, { ...file, named: false });
      },
      syncFile: async (path) => {
        const file = find(path);
        await wait();
        file.synced = file.bytes;
        const now = this.#files.get(path);
        if (now !== undefined) now.synced = now.bytes;
      },
      syncDirectory: async (dir) => {
        await wait();
        for (const [, file] of under(dir)) file.named = true;
      },
      digest: async (path) => {
        const { bytes } = find(path);
        return { length: bytes.length, digest: digestHex(digestOf(bytes)) };
      },
      remove: async (path) => {
        this.#files.delete(path);
      },
      freeBytes: async () => 2 ** 40,
    };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.at(ms, resolve));
  }
}
