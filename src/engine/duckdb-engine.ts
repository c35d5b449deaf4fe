/**
 * The engine in production (PROTOCOL.md E1): two locked DuckDB instances, one for loads and merges with a thread, one for
 * queries with the machine's cores (T3), each opened when it is first asked.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { LockedInstance } from './duckdb-instance.ts';
import type * as T from './engine.types.ts';
import { mergeParts } from './merge.ts';
import { openPartWriter } from './part-writer.ts';
import { PickedRows } from './picked-rows.ts';
import { AggregatingWriter } from './pre-aggregate.ts';
import { PreparedRows } from './prepared-rows.ts';
import { runQuery } from './query.ts';
import { Slots, tooManyStatements } from './slots.ts';
import { Statements } from './statements.ts';
import { Transformer } from './transform.ts';

export interface DuckDbEngineOptions {
  readonly tempDir: string;
  /** Of both instances together. */
  readonly memoryLimitMb: number;
  /** Of queries (default: the machine's cores); fewer where the memory is not enough for them. */
  readonly threads?: number;
  /** Where parts lie: with `tempDir` all that the instances may touch. */
  readonly partDirs: readonly string[];
  readonly clock?: Clock;
  /** Of rows that all open parts together hold before each is written with fewer rows at a time (default 64 MiB). */
  readonly heldBytesMax?: number;
  /** Results that may be open at a time (default 16); who comes later waits. */
  readonly resultsMax?: number;
  /** For a result to be closed (default 30,000). */
  readonly resultWaitMsMax?: number;
  readonly log?: Log;
}

/** Of loads and of queries, so that neither waits for the other: together well below libuv's threads, which all BEs share (T3). */
const RUNNING_MAX = 3;
const LOAD_MEMORY_MB_MAX = 192;
/** Each thread of a query holds what it reads and groups: more of them than that and nothing is left to spill. */
const THREAD_MEMORY_MB = 64;
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const INTERRUPT_AGAIN_MS = 20;

export async function createDuckDbEngine(options: DuckDbEngineOptions): Promise<T.Engine> {
  const { tempDir, partDirs, memoryLimitMb } = options;
  const clock = options.clock ?? systemClock;
  const loadMemoryMb = Math.min(LOAD_MEMORY_MB_MAX, Math.floor(memoryLimitMb / 2));
  const loads = new LockedInstance({
    threads: 1,
    memoryLimitMb: loadMemoryMb,
    tempDir: join(tempDir, 'loads'),
    partDirs,
  });
  const queryMemoryMb = memoryLimitMb - loadMemoryMb;
  const threadsMax = Math.max(1, Math.floor(queryMemoryMb / THREAD_MEMORY_MB));
  const queries = new LockedInstance({
    threads: Math.min(options.threads ?? availableParallelism(), threadsMax),
    memoryLimitMb: queryMemoryMb,
    tempDir: join(tempDir, 'queries'),
    partDirs,
  });
  const running = () => new Slots({ count: RUNNING_MAX, clock, tooMany: tooManyStatements });
  const [loadSlots, querySlots] = [running(), running()];
  const results = new Slots({
    count: options.resultsMax ?? 16,
    waitMsMax: options.resultWaitMsMax ?? 30_000,
    clock,
    tooMany: tooManyStatements,
  });
  const loading = new Statements(loads, loadSlots, clock);
  const held = { total: 0, max: options.heldBytesMax ?? HELD_BYTES_MAX };
  const prepared = new PreparedRows(loading);
  const transformer = new Transformer(prepared);
  const querying = {
    statements: new Statements(queries, querySlots, clock),
    results,
    picked: new PickedRows(),
  };
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    let again: unknown;
    const interrupt = () => {
      loads.interrupt();
      queries.interrupt();
      again = clock.setTimeout(interrupt, INTERRUPT_AGAIN_MS);
    };
    // T4: interrupt, drain, close.
    interrupt();
    results.refuse();
    await Promise.all([loadSlots.close(), querySlots.close()]);
    clock.clearTimeout(again);
    prepared.close();
    await Promise.all([loads.close(), queries.close()]);
  };

  return {
    transform: (plan, input, signal) => transformer.transform(plan, input, signal),
    openPart: (spec) => {
      const writer = openPartWriter(held, spec);
      if (spec.schema.model === 'DUPLICATE') return writer;
      return new AggregatingWriter(writer, spec.schema, prepared);
    },
    merge: (spec, parts, signal) => mergeParts(loading, spec, parts, signal),
    query: (plan, tables, signal) => runQuery(querying, plan, tables, signal),
    close: () => (closing ??= close()),
  };
}
