/**
 * An engine that is loaded when it is first asked: DuckDB and all that speaks to it are half of a BE's modules, and a
 * registration needs none of them. Who wants to, loads it before anybody waits.
 */
import type { ColumnBatch } from '../base/column-batch.ts';
import type * as T from './engine.types.ts';
import { engineClosed } from './engine-errors.ts';

export interface LateEngine extends T.Engine {
  /** What it loads is there; a second call loads nothing. */
  load(): Promise<unknown>;
}

export function createLateEngine(open: () => Promise<T.Engine>): LateEngine {
  let engine: T.Engine | undefined;
  let opening: Promise<T.Engine> | undefined;
  let closed = false;
  const load = async (): Promise<T.Engine> => {
    if (closed) throw engineClosed();
    opening ??= open();
    engine = await opening;
    return engine;
  };
  return {
    load,
    transform: async (plan, input, signal) => (await load()).transform(plan, input, signal),
    openPart: (spec) =>
      engine?.openPart(spec) ?? new LateWriter(load().then((loaded) => loaded.openPart(spec))),
    merge: async (spec, parts, signal) => (await load()).merge(spec, parts, signal),
    query: async (plan, tables, signal) => (await load()).query(plan, tables, signal),
    async close() {
      closed = true;
      const opened = await opening?.catch(() => undefined);
      await opened?.close();
    },
  };
}

/** A part that was opened while the engine was loaded. */
class LateWriter implements T.PartWriter {
  readonly #opening: Promise<T.PartWriter>;
  #writer: T.PartWriter | undefined;

  constructor(opening: Promise<T.PartWriter>) {
    this.#opening = opening;
    opening.then(
      (writer) => {
        this.#writer = writer;
      },
      () => {}, // Whoever appends or finishes is told.
    );
  }

  get rows(): number {
    return this.#writer?.rows ?? 0;
  }

  get bytes(): number {
    return this.#writer?.bytes ?? 0;
  }

  async append(batch: ColumnBatch, tabletIds: Float64Array): Promise<void> {
    return (await this.#opening).append(batch, tabletIds);
  }

  async finish(): Promise<T.BuiltPart> {
    return (await this.#opening).finish();
  }

  async discard(): Promise<void> {
    const writer = await this.#opening.catch(() => undefined);
    await writer?.discard();
  }
}
