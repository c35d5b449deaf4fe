/**
 * What a registered BE does for statements and jobs: loads, queries, watches of Kafka. `be.ts` gives it requests of the FE that it
 * follows; what a BE needs for its registration is not here, so that this may be loaded later.
 */
import { assert } from '../../base/assert.ts';
import type {
  KafkaLookReply,
  KafkaLookRequest,
  KafkaWatchRequest,
  StageMessage,
} from '../messages.ts';
import type { BeContext } from './be.ts';
import { runInsert } from './insert-run.ts';
import { KafkaWatches } from './kafka-watches.ts';
import { BeQueries } from './queries.ts';
import { stageLocal } from './stage.ts';
import type { runTask } from './task-run.ts';

export type WorkVerb =
  | 'task-run'
  | 'insert-run'
  | 'stage'
  | 'query-run'
  | 'query-next'
  | 'query-close'
  | 'query-alive'
  | 'pin'
  | 'unpin'
  | 'kafka-look'
  | 'kafka-watch';

export interface BeWork {
  handle(verb: WorkVerb, request: unknown): unknown;
  close(): Promise<void>;
}

/** More than run at a time, so that what is forgotten has ended. */
const RUNS_KEPT = 4_096;

export function openBeWork(context: BeContext, stopping: AbortSignal): BeWork {
  const { kafka, bus, clock, log, store } = context;
  const queries = new BeQueries(context);
  const watches = new KafkaWatches({ kafka, bus, clock, log, beId: store.beId });
  const handlers = new Map<string, (request: never) => unknown>();

  const runs = new RunOnce();
  handlers.set('task-run', (request: Parameters<typeof runTask>[1]) =>
    runs.run(request, () => context.runTask(context, request, stopping)),
  );
  handlers.set('insert-run', (request: Parameters<typeof runInsert>[2]) =>
    runs.run(request, () => runInsert(context, queries, request, stopping)),
  );
  const stages = new RunOnce();
  handlers.set('stage', (message: StageMessage) =>
    stages.run(message, () => stageLocal(context, message)),
  );
  handlers.set('kafka-look', (request: KafkaLookRequest) => lookKafka(context, request));
  handlers.set('kafka-watch', (request: KafkaWatchRequest) => {
    watches.set(request);
    return {};
  });
  queries.respond((name, handler) => handlers.set(name, handler));

  return {
    handle(verb, request) {
      const handler = handlers.get(verb);
      assert(handler !== undefined, `nothing answers "${verb}"`);
      return handler(request as never);
    },
    async close() {
      watches.close();
      await queries.close();
    },
  };
}

async function lookKafka({ kafka }: BeContext, request: KafkaLookRequest): Promise<KafkaLookReply> {
  const { client, release } = await kafka.acquire(request.kafka);
  try {
    const { want, topic } = request;
    const partitions =
      want.includes('partitions') || request.partitions === undefined
        ? await client.partitions(topic)
        : request.partitions;
    const asked = request.partitions ?? partitions;
    const texts = async (at: 'beginning' | 'end') => {
      if (!want.includes(at)) return {};
      const found = await client.offsets(topic, asked, at);
      return Object.fromEntries([...found].map(([one, offset]) => [String(one), String(offset)]));
    };
    const [beginning, end] = await Promise.all([texts('beginning'), texts('end')]);
    return { partitions, beginning, end };
  } finally {
    release();
  }
}

/** A request may arrive twice (bus contract B2): an attempt runs once, and a repetition gets the same answer. */
class RunOnce {
  readonly #runs = new Map<string, Promise<unknown>>();

  run<T>(of: { readonly txnId: number; readonly attempt: number }, start: () => Promise<T>) {
    const key = `${of.txnId}/${of.attempt}`;
    const known = this.#runs.get(key) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const run = start();
    this.#runs.set(key, run);
    const oldest = this.#runs.size > RUNS_KEPT ? this.#runs.keys().next().value : undefined;
    if (oldest !== undefined) this.#runs.delete(oldest);
    return run;
  }
}
