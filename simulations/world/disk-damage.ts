/** What a healthy disk does not do (profile `havoc`): each leaves a directory that may be wrong, and never says so. */
import { createMemoryStore } from '../../src/storage/memory-store.ts';
import { type Disk, journalLetter } from './disk.ts';
import type { SeededRandom } from './random.ts';

export const DAMAGES = [
  'disk.losttail',
  'disk.hole',
  'disk.bitvalue',
  'disk.bitkey',
  'disk.bitfile',
  'disk.filegone',
  'disk.misdirect',
  'disk.wipe',
] as const;

export type Damage = (typeof DAMAGES)[number];

function flipped(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = random.whole(0, copy.length - 1);
  copy[at] = (copy[at] ?? 0) ^ (1 << random.whole(0, 7));
  return copy;
}

/** Of a process that is down. False: there was nothing to damage. */
export function damageDisk(disk: Disk, kind: Damage, random: SeededRandom): boolean {
  const { memory } = disk;
  const keys = memory.keys();
  const entries = keys.filter((key) => journalLetter(key) === 'e');
  const key = random.pick(keys);
  const file = random.pick(disk.ownFiles());
  switch (kind) {
    case 'disk.losttail': {
      const lost = random.whole(1, 5);
      if (entries.length <= lost) return false;
      for (const one of entries.slice(-lost)) memory.tamper(one, () => undefined);
      return true;
    }
    case 'disk.hole':
      if (key === undefined) return false;
      memory.tamper(key, () => undefined);
      return true;
    case 'disk.bitvalue':
      if (key === undefined) return false;
      memory.tamper(key, (value) => (value.length === 0 ? value : flipped(value, random)));
      return true;
    case 'disk.bitkey': {
      if (key === undefined) return false;
      let value: Uint8Array = new Uint8Array(0);
      memory.tamper(key, (found) => {
        value = found;
        return undefined;
      });
      const writes = [...memory.writes, { ops: [put(flipped(key, random), value)], sync: true }];
      disk.memory = createMemoryStore(writes).reopen();
      return true;
    }
    case 'disk.bitfile': {
      const found = file?.[1];
      if (found === undefined || found.bytes.length === 0) return false;
      found.bytes = flipped(found.bytes, random);
      found.synced = found.bytes;
      return true;
    }
    case 'disk.filegone': {
      if (file === undefined) return false;
      const image = disk.image();
      disk.restore({
        ...image,
        files: new Map([...image.files].filter(([path]) => path !== file[0])),
      });
      return true;
    }
    case 'disk.misdirect': {
      const other = random.pick(disk.ownFiles());
      if (file === undefined || other === undefined || file[0] === other[0]) return false;
      file[1].bytes = other[1].bytes;
      file[1].synced = other[1].bytes;
      return true;
    }
    case 'disk.wipe':
      disk.restore(undefined);
      return true;
  }
}

const put = (key: Uint8Array, value: Uint8Array) => ({ type: 'put' as const, key, value });
