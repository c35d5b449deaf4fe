/**
 * The FE: plans, schedules, decides. Opens its journal, takes an epoch, then answers BEs and statements.
 *
 *   I2. The epoch (a number and a random incarnation) is durable before anything is sent.
 *   D3. A journal that failed ends the process: `failed` settles, nobody is answered any more.
 */

import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Random, randomHex } from '../../base/random.ts';
import type { Bus, PartStore } from '../../protocol/bus.types.ts';
import type { Download } from '../../protocol/http/download.ts';
import { readKafkaProperties } from '../../sources/kafka/kafka-properties.ts';
import { openJournal } from '../../storage/journal.ts';
import type { OrderedStore } from '../../storage/ordered-store.types.ts';
import type { KafkaLookReply, RejectsReply } from '../messages.ts';
import { configItem } from './config-items.ts';
import type { FeKernel } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { FeEntry, FeState } from './fe-facts.ts';
import { feFold, labelKey } from './fe-fold.ts';
import { forgettable } from './housekeeping.ts';
import { Inserts } from './inserts.ts';
import { Jobs } from './jobs.ts';
import { Nodes } from './nodes.ts';
import { Queries } from './queries.ts';
import { Txns } from './txns.ts';

const HOUSEKEEPING_MS = 60_000;

export interface FeOptions {
  readonly store: OrderedStore;
  readonly clusterId: string;
  readonly bus: Bus;
  readonly parts: PartStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For the URLs of error logs; known once the HTTP port listens. */
  readonly httpAddress: () => string;
  readonly download: Download;
  /** D4: takes the loss of entries that a BE has seen and this journal has not. Default false: refuse to decide. */
  readonly acceptLoss?: boolean;
  /** A checkpoint of the journal after so many entries; default 5,000. */
  readonly checkpointEntries?: number;
}

export interface Fe extends FeKernel {
  readonly failed: Promise<Error>;
  /** The BEs of its journal were told that it is there. Those that are new say hello afterwards: to whichever FE hears it. */
  readonly claimed: Promise<void>;
  /** Of the last entry that is on disk. */
  durableSeq(): number;
  /** Why this FE decides nothing: it lost a tail, or another one took its BEs. */
  refusal(): string | null;
  close(): Promise<void>;
}

export async function openFe(options: FeOptions): Promise<Fe> {
  const { store, clusterId, bus, parts, clock, random, log } = options;
  const { checkpointEntries } = options;
  const journal = await openJournal(store, 'fe/', feFold, {
    log,
    ...(checkpointEntries === undefined ? {} : { checkpointEntries }),
  });
  // D4 compares with what the disk gave, before this FE's own first entry.
  const replayed = {
    feSeq: journal.durableSeq,
    beSeq: new Map([...journal.durable.bes.values()].map((be) => [be.beId, be.seq])),
  };
  if (journal.durable.clusterId === '') {
    journal.append({ type: 'cluster.created', clusterId, atMs: clock.now() });
  } else if (journal.durable.clusterId !== clusterId) {
    await journal.close();
    throw new LoadError(
      'DATA_DIR_OTHER_CLUSTER',
      `the FE's journal belongs to cluster ${journal.durable.clusterId}, the directory to ${clusterId}`,
    );
  }
  await journal.append({
    type: 'epoch.opened',
    epoch: journal.head.epoch + 1,
    incarnation: randomHex(random, 8),
    atMs: clock.now(),
  }).durable;

  /** Shown is what is durable; decided is by what is queued (D2). */
  const configOf = (state: FeState, name: string): string => {
    const item = configItem(name);
    if (item === undefined)
      throw new LoadError('CONFIG_UNKNOWN', `unknown configuration item "${name}"`);
    const { alias = item.name } = item;
    return state.config.get(item.name) ?? state.config.get(alias) ?? item.value;
  };

  const core: FeCore = {
    journal,
    clusterId,
    clock,
    random,
    log,
    stamp: () => ({
      epoch: journal.durable.epoch,
      incarnation: journal.durable.incarnation,
      seq: journal.durableSeq,
    }),
    append: async (...entries: FeEntry[]) => {
      nodes.assertDecides();
      await Promise.all(entries.map((entry) => journal.append(entry).durable));
    },
    configNumber: (name) => Number(configOf(journal.head, name)),
  };
  const nodes: Nodes = new Nodes(core, bus, replayed, options.acceptLoss ?? false);
  const txns = new Txns(core, nodes);
  const queries = new Queries(core, nodes, txns, parts);
  const inserts = new Inserts(core, nodes, txns, queries, parts);

  const kernel: FeKernel = {
    clock,
    random,
    log,
    get durable() {
      return journal.durable;
    },
    get head() {
      return journal.head;
    },
    httpAddress: options.httpAddress,
    download: options.download,
    append: core.append,
    nextId(count = 1) {
      const first = journal.head.lastId + 1;
      // Reserved in the head fold in this turn; the entry that uses it moves `lastId` in every fold (J2).
      journal.head.lastId += count;
      return first;
    },
    config: (name) => configOf(journal.durable, name),
    configNumber: core.configNumber,
    backends: () => nodes.backends(),
    tasks: (jobId) => jobs.tasks(jobId),
    latestOffsets: (jobId) => jobs.latestOffsets(jobId),
    freshness: (jobId) => jobs.freshness(jobId),
    kafkaConfig(dbId, source) {
      const resolveFile = (name: string): string => {
        const file = [...journal.head.files.values()].find(
          (one) => one.dbId === dbId && one.catalog === 'kafka' && one.name === name,
        );
        if (file === undefined) {
          throw new LoadError(
            'KAFKA_PROPERTY',
            `File ${name} does not exist in db ${dbId} with catalog: kafka`,
          );
        }
        return file.content;
      };
      return readKafkaProperties(
        source.brokers.join(','),
        new Map(Object.entries(source.custom)),
        resolveFile,
      );
    },
    async lookKafka(request, timeoutMs) {
      const be = queries.coordinator();
      return nodes.request<KafkaLookReply>(be, 'kafka-look', request, { timeoutMs });
    },
    query: (select, tables, context, signal) => queries.run(select, tables, context, signal),
    insert: (request, signal) => inserts.run(request, signal),
    async rejects(ref) {
      const be = nodes.alive().find(({ beId }) => beId === ref.beId);
      if (be === undefined) {
        throw new LoadError('BE_LOST', `BE "${ref.beId}", which keeps these rows, is not alive`, {
          transient: true,
        });
      }
      const reply = await nodes.request<RejectsReply>(
        be,
        'rejects',
        { txnId: ref.txnId },
        { timeoutMs: 10_000 },
      );
      return reply.rejects;
    },
    label(dbId, label) {
      const txnId = journal.durable.labelIndex.get(labelKey(dbId, label));
      return txnId === undefined ? undefined : journal.durable.labels.get(txnId);
    },
  };
  const jobs: Jobs = new Jobs(core, kernel, nodes, txns, bus);
  journal.onHead((entry) => jobs.onEntry(entry));
  txns.recover();
  jobs.recover();
  await bus.ready();
  const claimed = nodes.claim();
  log.write('info', 'FE is open', { epoch: journal.durable.epoch, seq: journal.durableSeq });

  const forget = () => {
    const limits = {
      labels: kernel.configNumber('label_keep_max_num'),
      finalJobsMs: kernel.configNumber('label_keep_max_second') * 1000,
    };
    const entries = forgettable(journal.head, limits, clock.now());
    // A journal that failed ends the process by `failed`.
    if (entries.length > 0) core.append(...entries).catch(() => {});
    housekeeping = clock.setTimeout(forget, HOUSEKEEPING_MS);
  };
  let housekeeping = clock.setTimeout(forget, HOUSEKEEPING_MS);

  return Object.assign(kernel, {
    failed: journal.failed,
    claimed,
    durableSeq: () => journal.durableSeq,
    refusal: () => nodes.behind,
    async close() {
      clock.clearTimeout(housekeeping);
      jobs.close();
      nodes.close();
      await journal.close();
    },
  });
}
