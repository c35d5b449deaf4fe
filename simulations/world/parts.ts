/** The part store between simulated processes: what is too large for a message, handed over once. */
import { LoadError } from '../../src/base/errors.ts';
import type { PartRef, PartStore } from '../../src/protocol/bus.types.ts';
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import type { Owner, VirtualClock } from './clock.ts';

export class SimParts {
  readonly #clock: VirtualClock;
  readonly #offered = new Map<string, { readonly bytes: Uint8Array; readonly owner: Owner }>();
  #ids = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  store(name: string, owner: Owner): PartStore {
    return {
      offer: (bytes): PartRef => {
        this.#ids += 1;
        const id = `${name}-${this.#ids}`;
        this.#offered.set(id, { bytes: bytes.slice(), owner });
        return { owner: name, id, length: bytes.length, digest: digestHex(digestOf(bytes)) };
      },
      take: async (ref) => {
        await this.#clock.wait(1, owner);
        const found = this.#offered.get(ref.id);
        if (found === undefined || !found.owner.alive) {
          throw new LoadError('PART_GONE', `part ${ref.id} is gone`, { transient: true });
        }
        this.#offered.delete(ref.id);
        return found.bytes;
      },
      close: async () => {},
    };
  }
}
