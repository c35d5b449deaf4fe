/**
 * The disk of one process: an ordered store and files, each with a durable and a volatile image. What was not synced may be
 * gone after a crash, in whole or in part; what was synced stays, unless a fault of the profile `havoc` damages it
 * (disk-damage.ts).
 */
import { LoadError } from '../../src/base/errors.ts';
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import type { Files } from '../../src/storage/files.ts';
import {
  createMemoryStore,
  type MemoryStore,
  type MemoryWrite,
} from '../../src/storage/memory-store.ts';
import type { OrderedStore, StoreOp } from '../../src/storage/ordered-store.types.ts';
import type { Owner, VirtualClock } from './clock.ts';
import type { Points } from './points.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

/** Files of the machine by path: a part is handed over from one BE's folder to another's. */
export type SimFiles = Map<string, SimFile>;

export interface SimFile {
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

/** What a disk holds at one moment, for older copies (`disk.backup`) and twins. */
export interface DiskImage {
  readonly writes: readonly MemoryWrite[];
  readonly files: ReadonlyMap<string, SimFile>;
}

export interface DiskParts {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly points: Points;
  readonly files: SimFiles;
}

/** The letter behind a journal's prefix (keys.ts): `e` an entry, `h` and `s` a checkpoint; `undefined`: no key of a journal. */
export function journalLetter(key: Uint8Array): string | undefined {
  return key[2] === 0x2f ? String.fromCharCode(key[3] ?? 0) : undefined;
}

/** Types of the journal entries in a write (journal-record.ts), so that crash points can name them. */
export function entryTypes(ops: readonly StoreOp[]): string[] {
  return ops.flatMap((op) => {
    if (op.type !== 'put' || journalLetter(op.key) !== 'e') return [];
    return [Buffer.from(op.value.subarray(20, 20 + (op.value[19] ?? 0))).toString('utf8')];
  });
}

export class Disk {
  readonly name: string;
  readonly #world: DiskParts;
  faults: DiskFaults;
  #memory: MemoryStore = createMemoryStore();
  /** Writes since the last sync: no facts yet. */
  #unsynced: (readonly StoreOp[])[] = [];
  /** Set by planted bugs: writes that ask for a sync do not get one. */
  ignoresSync = false;
  /** Set by planted bugs: files are never synced; a file's digest is what it was when it was written. */
  ignoresFileSync = false;
  hidesDamage = false;
  readonly #written = new Map<string, { length: number; digest: string }>();
  /** No byte fits any more: writes fail, and so does what asks for space. */
  isFull = false;
  stalledUntilMs = 0;
  /** Hears of what became durable, in order. */
  onDurable: (ops: readonly StoreOp[]) => void = () => {};

  constructor(name: string, world: DiskParts, faults: DiskFaults) {
    this.name = name;
    this.#world = world;
    this.faults = faults;
  }

  /** The power is cut: what no sync covers is kept up to a point that the seed chooses, the rest is gone. */
  crash(): void {
    const { random, trace } = this.#world;
    const { writes } = this.#memory;
    const synced = writes.findLastIndex((write) => write.sync) + 1;
    const keepUnsynced = random.whole(0, writes.length - synced);
    if (keepUnsynced < writes.length - synced) trace.reach('disk.unsynced-lost');
    // A new image of the same bytes, so that the list of writes does not grow for ever.
    this.#memory = this.#memory.crash({ keepUnsynced }).reopen();
    for (const ops of this.#unsynced.splice(0).slice(0, keepUnsynced)) this.onDurable(ops);
    for (const [path, file] of this.ownFiles()) {
      if (file.synced !== undefined && (file.named || random.chance(0.5))) {
        file.bytes = file.synced;
      } else if (file.synced !== undefined || random.chance(0.5)) {
        this.#world.files.delete(path);
        trace.reach('disk.file-lost');
      } else {
        file.bytes = file.bytes.slice(0, random.whole(0, file.bytes.length));
        trace.reach('disk.file-torn');
      }
    }
  }

  ownFiles(): [string, SimFile][] {
    return [...this.#world.files].filter(([path]) => path.startsWith(`/${this.name}/`));
  }

  /** What is durable now. */
  image(): DiskImage {
    const files = this.ownFiles().flatMap(([path, file]): [string, SimFile][] =>
      file.synced === undefined || !file.named ? [] : [[path, { ...file, bytes: file.synced }]],
    );
    return { writes: this.#memory.crash().reopen().writes, files: new Map(files) };
  }

  /** Of a process that is down: its directory becomes what `image` was; `undefined`: empty. */
  restore(image: DiskImage | undefined): void {
    for (const [path] of this.ownFiles()) this.#world.files.delete(path);
    for (const [path, file] of image?.files ?? []) this.#world.files.set(path, { ...file });
    this.#memory = createMemoryStore(image?.writes ?? []);
    this.#unsynced = [];
  }

  /** The store's bytes behind everybody's back (disk-damage.ts). */
  get memory(): MemoryStore {
    return this.#memory;
  }

  set memory(memory: MemoryStore) {
    this.#memory = memory;
    this.#unsynced = [];
  }

  /** For one boot of a process: a handle that goes dead with it. */
  store(owner: Owner): OrderedStore {
    const { random, trace, points } = this.#world;
    const memory = this.#memory;
    const never = new Promise<never>(() => {});
    return {
      get: async (key) => {
        if (!owner.alive) await never;
        return memory.get(key);
      },
      range: (options) => {
        points.hit('store read', this.name);
        return memory.range(options);
      },
      write: async (ops, { sync }) => {
        if (!owner.alive) await never;
        const names = entryTypes(ops);
        for (const type of names) points.hit(`${type} queued`, this.name);
        for (const { key } of ops) {
          const letter = journalLetter(key);
          if (letter === 's') points.hit('checkpoint section', this.name);
          if (letter === 'h') points.hit('checkpoint header', this.name);
        }
        const delayMs = sync ? 1 + random.next() ** 2 * this.faults.syncMsMax : 0.01;
        await this.#wait(delayMs / 2, owner);
        const isUnlucky = this.faults.writeError > 0 && random.chance(this.faults.writeError);
        if (this.isFull || isUnlucky) {
          const stored = !this.isFull && random.chance(0.5);
          trace.reach(this.isFull ? 'disk.full' : 'disk.writeerror');
          memory.failNextWrite(new LoadError('STORE_WRITE', `disk ${this.name} failed a write`), {
            stored,
          });
          await memory.write(ops, { sync: sync && !this.ignoresSync }).finally(() => {
            if (stored) this.#wrote(ops, sync);
          });
        }
        // In flight at a crash: it reached the disk, or it did not.
        const written = memory.write(ops, { sync: sync && !this.ignoresSync });
        this.#wrote(ops, sync);
        await written;
        for (const type of names) points.hit(`${type} written`, this.name);
        await this.#wait(delayMs / 2, owner);
        for (const type of names) points.hit(`${type} durable`, this.name);
        if (!owner.alive) await never;
      },
      close: async () => {},
    };
  }

  /** A sync that was ignored is told as one all the same: what it promised is what the checkers hold it to. */
  #wrote(ops: readonly StoreOp[], sync: boolean): void {
    this.#unsynced.push(ops);
    if (!sync) return;
    for (const one of this.#unsynced.splice(0)) this.onDurable(one);
  }

  /** What the engine writes: not durable before both syncs. */
  writeFile(path: string, bytes: Uint8Array): void {
    if (this.isFull) {
      throw new LoadError('ENGINE_WRITE', `disk ${this.name} is full`, { transient: true });
    }
    this.#world.points.hit('part written', this.name);
    this.#world.files.set(path, { bytes, synced: undefined, named: false });
  }

  readFile(path: string): Uint8Array {
    const file = this.#world.files.get(path);
    if (file === undefined) throw new LoadError('FILE_GONE', `no file ${path}`);
    return file.bytes;
  }

  durableValue(key: Uint8Array): Uint8Array | undefined {
    return this.#memory.peek(key);
  }

  /** What a power cut would leave of the file. */
  durableFile(path: string): Uint8Array | undefined {
    const file = this.#world.files.get(path);
    return file?.named === true ? file.synced : undefined;
  }

  files(owner: Owner): Files {
    const { files, random, points } = this.#world;
    const find = (path: string) => {
      const file = files.get(path);
      if (file === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      return file;
    };
    const wait = () => this.#wait(0.1 + random.next() * this.faults.syncMsMax, owner);
    const under = (dir: string) =>
      [...files].filter(([path]) => path.slice(0, path.lastIndexOf('/')) === dir);
    return {
      makeDirectory: async () => {},
      list: async (dir) => under(dir).map(([path]) => path.slice(path.lastIndexOf('/') + 1)),
      adopt: async (from, to) => {
        const file = find(from);
        files.delete(from);
        files.set(to, { ...file, named: false });
        const written = this.#written.get(from);
        if (written !== undefined) this.#written.set(to, written);
      },
      syncFile: async (path) => {
        find(path);
        await wait();
        const file = find(path);
        if (!this.ignoresFileSync) file.synced = file.bytes;
        points.hit('part synced', this.name);
      },
      syncDirectory: async (dir) => {
        await wait();
        for (const [, file] of under(dir)) file.named = true;
        points.hit('part named', this.name);
      },
      digest: async (path) => {
        const { bytes } = find(path);
        const known = this.#written.get(path);
        if (this.hidesDamage && known !== undefined) return known;
        const found = { length: bytes.length, digest: digestHex(digestOf(bytes)) };
        if (this.hidesDamage) this.#written.set(path, found);
        return found;
      },
      remove: async (path) => {
        files.delete(path);
        points.hit('part removed', this.name);
      },
      freeBytes: async () => (this.isFull ? 0 : 2 ** 40),
    };
  }

  #wait(ms: number, owner: Owner): Promise<void> {
    const { clock } = this.#world;
    return clock.wait(Math.max(ms, this.stalledUntilMs - clock.now()), owner);
  }
}
