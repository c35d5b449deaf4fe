/** The part store between simulated processes: what a process offered is gone with it. */
import { LoadError } from '../../src/base/errors.ts';
import type { PartRef, PartStore } from '../../src/protocol/bus.types.ts';
import { digestHex, digestOf } from '../../src/storage/digest.ts';
import type { VirtualClock } from './clock.ts';

export class SimParts {
  readonly #clock: VirtualClock;
  readonly #offered = new Map<
    string,
    { readonly bytes: Uint8Array; readonly isAlive: () => boolean }
  >();
  #ids = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  store(owner: string, isAlive: () => boolean): PartStore {
    return {
      offer: (bytes): PartRef => {
        this.#ids += 1;
        const id = `${owner}-${this.#ids}`;
        this.#offered.set(id, { bytes: bytes.slice(), isAlive });
        return { owner, id, length: bytes.length, digest: digestHex(digestOf(bytes)) };
      },
      take: async (ref) => {
        await new Promise<void>((resolve) => this.#clock.at(1, resolve));
        if (!isAlive()) await new Promise<never>(() => {});
        const found = this.#offered.get(ref.id);
        if (found === undefined || !found.isAlive()) {
          throw new LoadError('PART_GONE', `part ${ref.id} is gone`, { transient: true });
        }
        this.#offered.delete(ref.id);
        return found.bytes;
      },
      close: async () => {},
    };
  }
}
