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
  type PublishMessage,
  type PublishReply,
  type RejectsReply,
  type RejectsRequest,
} from '../messages.ts';
import type { BeWork, openBeWork, WorkVerb } from './be-work.ts';
import { BytesBudget } from './bytes-budget.ts';
import { Registration } from './registration.ts';
import type { runTask } from './task-run.ts';

export interface BeOptions {
  readonly name: string;
  readonly store: TabletStore;
  readonly engine: Engine;
  readonly bus: Bus;
  readonly parts: PartStore;
  readonly kafka: KafkaPort;
  /** Both are given, as their modules are many, and a registration does not wait for them. */
  readonly loadWork: () => typeof openBeWork | Promise<typeof openBeWork>;
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

/** What `BeWork` answers. */
const WORK_VERBS: readonly WorkVerb[] = [
  'task-run',
  'insert-run',
  'stage',
  'query-run',
  'query-next',
  'query-close',
  'query-alive',
  'pin',
  'unpin',
  'kafka-look',
  'kafka-watch',
];
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
  const { store, bus, clock, log } = options;
  const context: BeContext = {
    ...options,
    schemas: new Map(),
    fetchBudget: new BytesBudget(FETCH_BYTES_MAX),
    groupOffsets: new Map(),
  };
  const registration = new Registration(options);
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

  /** I5, in the turn in which the request is acted upon. */
  const checked = <Request>(body: unknown): Request => {
    const { fe } = body as { fe?: FeStamp };
    if (fe !== undefined) fenced(fe);
    return body as Request;
  };

  const respond = (name: string, answer: (body: unknown) => unknown) => {
    subscriptions.push(bus.respond(beSubject(store.beId, store.incarnation, name), answer));
  };

  function verb<Request, Reply>(
    name: string,
    handler: (request: Request) => Promise<Reply> | Reply,
  ): void {
    respond(name, (body) => handler(checked(body)));
  }

  let work: BeWork | undefined;
  let loading: Promise<BeWork> | undefined;
  const openWork = (): BeWork | Promise<BeWork> => {
    if (work !== undefined) return work;
    if (loading !== undefined) return loading;
    const open = (of: typeof openBeWork): BeWork => {
      stopping.signal.throwIfAborted();
      work = of(context, stopping.signal);
      return work;
    };
    const loaded = options.loadWork();
    if (!(loaded instanceof Promise)) return open(loaded);
    loading = loaded.then(open);
    return loading;
  };
  for (const name of WORK_VERBS) {
    respond(name, (body) => {
      const opened = openWork();
      const handle = (by: BeWork) => by.handle(name, checked(body));
      return opened instanceof Promise ? opened.then(handle) : handle(opened);
    });
  }

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
      for (const subscription of subscriptions) subscription.close();
      await work?.close();
      // What waits here was only advice.
      context.groupOffsets.clear();
    },
  };
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
