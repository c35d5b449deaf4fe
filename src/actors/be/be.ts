/**
 * The BE's service: registers with the FE, then answers its verbs. Everything of a BE runs in one thread (PROTOCOL.md T1).
 *
 *   B1. Nothing is written and no load is taken before registration has passed (I4).
 *   B2. A message of an older epoch than the promised one is refused (I5).
 */
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { TableSchema } from '../../base/table-schema.ts';
import type { Engine } from '../../engine/engine.types.ts';
import type { Bus, PartStore, Subscription } from '../../protocol/bus.types.ts';
import type { KafkaPort } from '../../sources/kafka/kafka.types.ts';
import type { TabletStore } from '../../storage/tablet-store.types.ts';
import {
  type AbortMessage,
  beSubject,
  type ClaimReply,
  type ClaimRequest,
  type FeStamp,
  type KafkaLookReply,
  type KafkaLookRequest,
  type KafkaWatchRequest,
  type PublishMessage,
  type PublishReply,
  type RejectsReply,
  type RejectsRequest,
  type StageMessage,
} from '../messages.ts';
import { BytesBudget } from './bytes-budget.ts';
import { runInsert } from './insert-run.ts';
import { KafkaWatches } from './kafka-watches.ts';
import { BeQueries } from './queries.ts';
import { Registration } from './registration.ts';
import { stageLocal } from './stage.ts';
import type { runTask } from './task-run.ts';

export interface BeOptions {
  readonly name: string;
  readonly store: TabletStore;
  readonly engine: Engine;
  readonly bus: Bus;
  readonly parts: PartStore;
  readonly kafka: KafkaPort;
  /** Given, as its modules are many and a registration does not wait for them. */
  readonly runTask: typeof runTask;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The FE refuses this BE, or this BE the FE: why. Called again for another reason. */
  readonly onRefused?: (reason: string) => void;
}

export interface BeService {
  /** Resolves at the first registration. */
  start(): Promise<void>;
  close(): Promise<void>;
  readonly registered: boolean;
  /** Settled when the store failed: the process of this BE ends (D3). */
  readonly failed: Promise<Error>;
}

/** More than run at a time, so that what is forgotten has ended. */
const RUNS_KEPT = 4_096;
const COMPACT_MS = 3_000;
/** Of answers that are asked for, or here and not decoded yet, over all tasks of a BE. */
const FETCH_BYTES_MAX = 32 * 1024 * 1024;
const GROUP_OFFSETS_MAX = 1_000;

/** What the verbs share. */
export interface BeContext extends BeOptions {
  /** Tables that were loaded here, for compaction. */
  readonly schemas: Map<number, TableSchema>;
  readonly fetchBudget: BytesBudget;
  /** Advisory group offsets, sent once the transaction is published. */
  readonly groupOffsets: Map<number, () => Promise<void>>;
}

export function createBeService(options: BeOptions): BeService {
  const { store, bus, clock, log, kafka } = options;
  const context: BeContext = {
    ...options,
    schemas: new Map(),
    fetchBudget: new BytesBudget(FETCH_BYTES_MAX),
    groupOffsets: new Map(),
  };
  const registration = new Registration(options);
  const queries = new BeQueries(context);
  const watches = new KafkaWatches({ kafka, bus, clock, log, beId: store.beId });
  const stopping = new AbortController();
  const subscriptions: Subscription[] = [];
  let compaction: unknown;

  const fenced = (fe: FeStamp) => {
    const promise = store.promise;
    if (!registration.registered || promise === null) {
      throw new LoadError('NOT_REGISTERED', `BE "${options.name}" is not registered yet`, {
        transient: true,
      });
    }
    if (fe.epoch !== promise.epoch || fe.incarnation !== promise.incarnation) {
      throw new LoadError(
        'EPOCH_STALE',
        `a message of epoch ${fe.epoch} came to a BE of ${promise.epoch}`,
        {
          transient: true,
          details: { epoch: fe.epoch, promised: promise.epoch },
        },
      );
    }
    store.sawFeSeq(fe.seq);
  };

  function verb<Request, Reply>(
    name: string,
    handler: (request: Request) => Promise<Reply> | Reply,
  ): void {
    const subject = beSubject(store.beId, store.incarnation, name);
    subscriptions.push(
      bus.respond(subject, (body) => {
        const { fe } = body as { fe?: FeStamp };
        if (fe !== undefined) fenced(fe);
        return handler(body as Request);
      }),
    );
  }

  const runs = new RunOnce();
  verb('task-run', (request: Parameters<typeof runTask>[1]) =>
    runs.run(request, () => options.runTask(context, request, stopping.signal)),
  );
  verb('insert-run', (request: Parameters<typeof runInsert>[2]) =>
    runs.run(request, () => runInsert(context, queries, request, stopping.signal)),
  );
  const stages = new RunOnce();
  verb('stage', (message: StageMessage) => stages.run(message, () => stageLocal(context, message)));
  verb('publish', async (message: PublishMessage): Promise<PublishReply> => {
    await store.publish(message);
    const send = context.groupOffsets.get(message.txnId);
    if (send !== undefined) {
      context.groupOffsets.delete(message.txnId);
      send().catch((error: unknown) => {
        log.write('debug', 'group offsets were not taken', { error: String(error) });
      });
    }
    const tabletIds = message.versions.map(({ tabletId }) => tabletId);
    return { beSeq: store.durableSeq, rowsets: store.rowsetsMax(tabletIds) };
  });
  verb('abort', async (message: AbortMessage) => {
    context.groupOffsets.delete(message.txnId);
    await store.abort(message.txnId, message.attempt);
    return {};
  });
  verb(
    'rejects',
    async (request: RejectsRequest): Promise<RejectsReply> => ({
      rejects: await store.rejects(request.txnId),
    }),
  );
  verb('claim', async (request: ClaimRequest): Promise<ClaimReply> => registration.claim(request));
  verb('ping', async () => ({ beId: store.beId }));
  verb('kafka-look', (request: KafkaLookRequest) => lookKafka(request));
  verb('kafka-watch', (request: KafkaWatchRequest) => {
    watches.set(request);
    return {};
  });
  queries.respond((name, handler) => verb(name, handler));

  async function lookKafka(request: KafkaLookRequest): Promise<KafkaLookReply> {
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

  function scheduleCompaction(): void {
    compaction = clock.setTimeout(() => {
      const round = registration.registered
        ? store.compact((tableId) => context.schemas.get(tableId))
        : Promise.resolve();
      round
        .catch((error: unknown) => {
          log.write('warn', 'compaction failed', { error: String(error) });
        })
        .finally(() => {
          if (!stopping.signal.aborted) scheduleCompaction();
        });
    }, COMPACT_MS);
  }

  return {
    get registered() {
      return registration.registered;
    },
    failed: store.failed,
    async start() {
      await bus.ready();
      await registration.start();
      scheduleCompaction();
    },
    async close() {
      stopping.abort(new LoadError('BE_STOPS', 'the BE is stopping', { transient: true }));
      clock.clearTimeout(compaction);
      registration.stop();
      watches.close();
      for (const subscription of subscriptions) subscription.close();
      await queries.close();
      // What waits here was only advice.
      context.groupOffsets.clear();
    },
  };
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

/** Keeps the newest: what was never published is forgotten one day. */
export function rememberGroupOffsets(
  context: BeContext,
  txnId: number,
  send: () => Promise<void>,
): void {
  const { groupOffsets } = context;
  groupOffsets.set(txnId, send);
  if (groupOffsets.size <= GROUP_OFFSETS_MAX) return;
  const oldest = groupOffsets.keys().next().value;
  if (oldest !== undefined) groupOffsets.delete(oldest);
}
