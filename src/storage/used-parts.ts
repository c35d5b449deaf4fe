/** Which parts a snapshot reads, who reads them now, and the end of those that nobody wants any more. */
import type { Log } from '../base/log.ts';
import type { PartInput } from '../engine/engine.types.ts';
import { type BeEntry, type BeState, EMPTY_VERSION, type PartFact } from './be-facts.ts';
import type { Journal } from './journal.types.ts';
import type { PartFiles } from './part-files.ts';
import { rowsetsAt } from './rowset-cover.ts';
import { tabletDamaged, versionGone, versionNotYet } from './tablet-errors.ts';

/** A part, and the tablets whose rows are wanted of it: each by the version that made its rows visible. */
export interface WantedPart {
  readonly fact: PartFact;
  readonly tablets: PartInput['tablets'][number][];
}

/** By part id. Throws TABLET_DAMAGED, and what is said where a version is not yet, or no longer, there. */
export function wantedParts(
  state: BeState,
  tablets: readonly { readonly tabletId: number; readonly version: number }[],
): ReadonlyMap<string, WantedPart> {
  const wanted = new Map<string, WantedPart>();
  for (const { tabletId, version } of tablets) {
    for (const rowset of rowsetsOf(state, tabletId, version)) {
      if (rowset.partId === null) continue;
      const { fact } = state.parts.get(rowset.partId)!;
      const part = wanted.get(fact.partId) ?? { fact, tablets: [] };
      part.tablets.push({ tabletId, version: rowset.to, rows: rowset.rows });
      wanted.set(fact.partId, part);
    }
  }
  return wanted;
}

function rowsetsOf({ tablets, damaged }: BeState, tabletId: number, version: number) {
  const reason = damaged.get(tabletId);
  if (reason !== undefined) throw tabletDamaged(tabletId, reason);
  const tablet = tablets.get(tabletId);
  const published = tablet?.version ?? EMPTY_VERSION;
  if (version > published) throw versionNotYet({ tabletId, version, published });
  const rowsets = tablet === undefined ? [] : rowsetsAt(tablet, version);
  if (rowsets === undefined) throw versionGone({ tabletId, version });
  return rowsets;
}

export interface UsedPartsOptions {
  readonly journal: Journal<BeEntry, BeState>;
  readonly parts: PartFiles;
  readonly log: Log;
}

export class UsedParts {
  readonly #options: UsedPartsOptions;
  /** Part ids by the query that pinned them. */
  readonly #pins = new Map<string, Set<string>>();
  #collecting: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(options: UsedPartsOptions) {
    this.#options = options;
  }

  /** Keeps the bytes of the parts until `unpin`; a query may ask more than once. Gives what takes this one call back. */
  pin(queryId: string, partIds: readonly string[]): () => void {
    const pinned = this.#pins.get(queryId) ?? new Set();
    const added = partIds.filter((partId) => !pinned.has(partId));
    for (const partId of added) pinned.add(partId);
    if (pinned.size > 0) this.#pins.set(queryId, pinned);
    return () => {
      for (const partId of added) pinned.delete(partId);
      if (pinned.size === 0) this.#pins.delete(queryId);
    };
  }

  unpin(queryId: string): void {
    if (this.#pins.delete(queryId)) this.collectLater();
  }

  collectLater(): void {
    this.collect().catch((error) => {
      this.#options.log.write('warn', 'could not remove parts', { cause: String(error) });
    });
  }

  /** Removes the bytes of unused parts that no query reads. What a crash leaves of it is removed the next time. */
  collect(): Promise<void> {
    this.#again = true;
    this.#collecting ??= this.#collectAll();
    return this.#collecting;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#collecting?.catch(() => {});
  }

  async #collectAll(): Promise<void> {
    try {
      // What became free while a round was under way is for the next one.
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#collectOnce();
      }
    } finally {
      this.#collecting = undefined;
    }
  }

  async #collectOnce(): Promise<void> {
    const { journal, parts } = this.#options;
    const pinned = new Set([...this.#pins.values()].flatMap((ids) => [...ids]));
    const free = [...journal.durable.unused.values()].filter(({ partId }) => !pinned.has(partId));
    if (free.length === 0) return;
    const extra = await parts.remove(free);
    const partIds = free.map(({ partId }) => partId);
    await journal.append({ type: 'parts.removed', partIds }, { extra }).durable;
  }
}
