/**
 * Planted bugs, in simulations alone: each is put between the production code and one of its ports, or into the fold that
 * a run uses. A run that does not find one says what the checkers cannot see.
 */

import type { FeEntry, FeState } from '../../src/actors/fe/fe-facts.ts';
import { feFold } from '../../src/actors/fe/fe-fold.ts';
import type { TaskRunReply } from '../../src/actors/messages.ts';
import { sliceBatch, takeRows } from '../../src/formats/column-builder.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import type { KafkaTransport } from '../../src/sources/kafka/kafka.types.ts';
import type { Harness, Mutant } from '../harness.ts';
import { override } from '../world/override.ts';

/** A bus whose answers to some subject are changed on the way out. */
function answering(
  bus: Bus,
  subject: RegExp,
  change: (reply: unknown, body: unknown) => unknown,
): Bus {
  return override(bus, {
    respond: (pattern, handler) =>
      bus.respond(
        pattern,
        subject.test(pattern)
          ? async (body, meta) => change(await handler(body, meta), body)
          : handler,
      ),
  });
}

type Staged = Extract<TaskRunReply, { kind: 'staged' }>;

const onTaskRun = (change: (reply: Staged) => Staged) => (bus: Bus) =>
  answering(bus, /\.task-run$/, (reply) => {
    const run = reply as TaskRunReply;
    return run.kind === 'staged' ? change(run) : run;
  });

const moved = (reply: Staged, by: bigint): Staged => ({
  ...reply,
  progress: Object.fromEntries(
    Object.entries(reply.progress).map(([partition, { from, to }]) => {
      const next = BigInt(to) + by;
      return [partition, { from, to: String(next < 0n ? 0n : next) }];
    }),
  ),
});

const outcomes = (from: string, to: string) => (bus: Bus) =>
  answering(bus, /^fe\..*\.(?:ask|register)$/, (reply) => {
    const answer = reply as { outcomes?: { txnId: number; outcome: { kind: string } }[] };
    if (answer.outcomes === undefined) return reply;
    return {
      ...answer,
      outcomes: answer.outcomes.map((one) =>
        one.outcome.kind === from ? { ...one, outcome: { kind: to } } : one,
      ),
    };
  });

/** After the fold has taken an entry. */
const folding =
  (after: (state: FeState, entry: FeEntry, before: FeState['jobs']) => void) =>
  (harness: Harness): (() => void) => {
    void harness;
    const own = feFold.apply;
    const fold = feFold as { apply: typeof feFold.apply };
    fold.apply = (state, entry, seq) => {
      const before = new Map(
        [...state.jobs].map(([id, job]) => [id, { ...job, progress: { ...job.progress } }]),
      );
      own(state, entry, seq);
      after(state, entry, before);
    };
    return () => {
      fold.apply = own;
    };
  };

const transport = (change: (own: KafkaTransport) => Partial<KafkaTransport>) => ({
  wrapTransport: (own: KafkaTransport): KafkaTransport => ({ ...own, ...change(own) }),
});

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'be.sync-ignored',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.ignoresSync = true;
    },
  },
  {
    name: 'fe.sync-ignored',
    apply: ({ fe }) => {
      fe.disk.ignoresSync = true;
    },
  },
  {
    name: 'stage.vote-before-rows',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.ignoresFileSync = true;
    },
  },
  {
    name: 'read.checksum-not-compared',
    profile: 'havoc',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.hidesDamage = true;
    },
  },
  {
    name: 'stage.dropped-on-a-timer',
    apply: ({ bes, world: { clock } }) => {
      const drop = () => {
        for (const { store } of bes) {
          for (const { txnId, attempt } of store?.inDoubt() ?? []) {
            store?.abort(txnId, attempt).catch(() => {});
          }
        }
        clock.at(700, drop);
      };
      clock.at(700, drop);
    },
  },
  {
    name: 'stage.orphans-before-recovery',
    wrapBe: (store) =>
      override(store, {
        dropUnvoted: async () => {
          for (const { txnId, attempt } of store.inDoubt()) await store.abort(txnId, attempt);
          return store.dropUnvoted();
        },
      }),
  },
  {
    name: 'pin.one-tablet-older',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map((one, i) =>
              i === 0 ? { ...one, version: Math.max(1, one.version - 1) } : one,
            ),
          ),
      }),
  },
  {
    name: 'part.row-lost',
    engineHooks: { finish: (rows) => sliceBatch(rows, 0, Math.max(0, rows.rows - 1)) },
  },
  {
    name: 'part.row-twice',
    engineHooks: {
      finish: (rows) =>
        takeRows(rows, Uint32Array.from([...Array(rows.rows).keys(), rows.rows - 1])),
    },
  },
  {
    name: 'stage.vote-without-part',
    wrapBe: (store) =>
      override(store, {
        stage: async (request) => {
          const { part: _, ...bare } = request;
          const vote = await store.stage({ ...bare });
          return request.part === undefined
            ? vote
            : {
                ...vote,
                tablets: request.part.tablets.map(({ tabletId, rows }) => ({
                  tabletId,
                  rows,
                  tableId: request.part?.tableId ?? 0,
                  schemaId: request.part?.schema.schemaId ?? 0,
                })),
              };
        },
      }),
  },
  {
    name: 'publish.acknowledged-undone',
    wrapBe: (store) => override(store, { publish: async () => {} }),
  },
  {
    name: 'publish.then-abort',
    wrapBe: (store) =>
      override(store, {
        publish: async (request) => {
          await store.abort(request.txnId, request.attempt);
        },
      }),
  },
  {
    name: 'publish.version-behind',
    wrapBe: (store) =>
      override(store, {
        publish: (request) => store.publish({ ...request, versions: request.versions.slice(1) }),
      }),
  },
  {
    name: 'abort.publishes',
    wrapBe: (store) =>
      override(store, {
        abort: async (txnId, attempt) => {
          const version = (id: number) =>
            (store.tablets().find(({ tabletId }) => tabletId === id)?.version ?? 1) + 1;
          await store
            .publish({
              txnId,
              attempt,
              versions: store
                .tablets()
                .map(({ tabletId }) => ({ tabletId, version: version(tabletId) })),
            })
            .catch(() => {});
        },
      }),
  },
  {
    name: 'pin.part-left-out',
    wrapBe: (store) =>
      override(store, { pin: async (id, tablets) => (await store.pin(id, tablets)).slice(1) }),
  },
  {
    name: 'pin.part-twice',
    wrapBe: (store) =>
      override(store, {
        pin: async (id, tablets) => {
          const parts = await store.pin(id, tablets);
          return [...parts, ...parts.slice(0, 1)];
        },
      }),
  },
  {
    name: 'pin.newest-version',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map(({ tabletId, version }) => ({
              tabletId,
              version: Math.max(
                version,
                store.tablets().find((one) => one.tabletId === tabletId)?.version ?? version,
              ),
            })),
          ),
      }),
  },
  {
    name: 'pin.older-version',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map(({ tabletId, version }) => ({
              tabletId,
              version: Math.max(1, version - 1),
            })),
          ),
      }),
  },
  {
    name: 'tablets.dropped-at-registration',
    wrapBe: (store) =>
      override(store, {
        dropTablets: (ids) =>
          store.dropTablets([
            ...ids,
            ...store
              .tablets()
              .map(({ tabletId }) => tabletId)
              .slice(0, 1),
          ]),
      }),
  },
  { name: 'progress.one-too-far', wrapBus: onTaskRun((reply) => moved(reply, 1n)) },
  { name: 'progress.one-short', wrapBus: onTaskRun((reply) => moved(reply, -1n)) },
  {
    name: 'progress.partition-forgotten',
    wrapBus: onTaskRun((reply) => ({
      ...reply,
      progress: Object.fromEntries(Object.entries(reply.progress).slice(1)),
    })),
  },
  {
    name: 'vote.forgotten',
    wrapBus: onTaskRun((reply) => ({ ...reply, votes: reply.votes.slice(1) })),
  },
  { name: 'outcome.undecided-is-aborted', wrapBus: outcomes('undecided', 'aborted') },
  { name: 'outcome.committed-is-aborted', wrapBus: outcomes('committed', 'aborted') },
  {
    name: 'progress.counted',
    // Control records have offsets too.
    wrapBus: onTaskRun((reply) => {
      const [only, ...others] = Object.entries(reply.progress);
      if (only === undefined || others.length > 0) return reply;
      const { loaded, filtered, unselected, empty } = reply.counts;
      const [partition, { from }] = only;
      const to = String(BigInt(from) + BigInt(loaded + filtered + unselected + empty));
      return { ...reply, progress: { [partition]: { from, to } } };
    }),
  },
  {
    name: 'rejects.outside-the-commit',
    wrapBus: onTaskRun((reply) => ({ ...reply, rejects: null })),
  },
  {
    name: 'fold.label-freed-early',
    patch: folding((state, entry) => {
      if (entry.type === 'txn.committed' && entry.userLabel) state.labelIndex.clear();
    }),
  },
  {
    name: 'fold.alter-forgotten',
    patch: folding((state, entry, before) => {
      if (entry.type !== 'job.altered') return;
      const job = state.jobs.get(entry.jobId);
      const old = before.get(entry.jobId);
      if (job !== undefined && old !== undefined) job.definition = old.definition;
    }),
  },
  {
    name: 'fold.counted-twice',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const job = state.jobs.get(entry.job.jobId);
      if (job !== undefined) job.statistics.loadedRows += entry.counts.loaded;
    }),
  },
  {
    name: 'fold.abort-moves-progress',
    patch: folding((state, entry) => {
      if (entry.type !== 'task.aborted') return;
      const job = state.jobs.get(entry.jobId);
      for (const [partition, next] of Object.entries(job?.progress ?? {}))
        if (job !== undefined && !next.startsWith('OFFSET_'))
          job.progress[partition] = String(BigInt(next) + 1n);
    }),
  },
  {
    name: 'fold.commit-keeps-progress',
    patch: folding((state, entry, before) => {
      if (entry.type !== 'txn.committed' || entry.job === undefined) return;
      const job = state.jobs.get(entry.job.jobId);
      const old = before.get(entry.job.jobId);
      if (job !== undefined && old !== undefined) job.progress = { ...old.progress };
    }),
  },
  {
    name: 'fold.visible-at-commit',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.committed') return;
      for (const { tabletId, version } of entry.versions) {
        const tablet = state.tablets.get(tabletId);
        if (tablet !== undefined) tablet.visible = version;
      }
    }),
  },
  {
    name: 'fold.visible-forgets-a-tablet',
    patch: folding((state, entry) => {
      if (entry.type !== 'txn.visible') return;
      const [tablet] = [...state.tablets.values()];
      if (tablet !== undefined && tablet.visible > 1) tablet.visible -= 1;
    }),
  },
  {
    name: 'fold.scheduled-resets-progress',
    patch: folding((state, entry) => {
      if (entry.type !== 'job.scheduled') return;
      const job = state.jobs.get(entry.jobId);
      for (const partition of Object.keys(job?.progress ?? {}))
        if (job !== undefined) job.progress[partition] = '0';
    }),
  },
  {
    name: 'kafka.aborted-read',
    ...transport((own) => ({
      fetch: async (...args) =>
        (await own.fetch(...args)).map((one) => ({ ...one, abortedTransactions: [] })),
    })),
  },
  {
    name: 'kafka.fetch-one-later',
    ...transport((own) => ({
      fetch: (leader, topic, asked, limits) =>
        own.fetch(
          leader,
          topic,
          asked.map((one) => ({ ...one, offset: one.offset + 1n })),
          limits,
        ),
    })),
  },
  {
    name: 'kafka.wrong-partition',
    ...transport((own) => ({
      fetch: async (leader, topic, asked, limits) => {
        const answers = await own.fetch(
          leader,
          topic,
          asked.map((one) => ({ ...one, partition: 0 })),
          limits,
        );
        return answers.map((one, i) => ({ ...one, partition: asked[i]?.partition ?? 0 }));
      },
    })),
  },
  {
    name: 'kafka.beginning-is-end',
    ...transport((own) => ({
      listOffsets: (leader, topic, partitions, _at, committed) =>
        own.listOffsets(leader, topic, partitions, -1n, committed),
    })),
  },
  {
    name: 'doubt.never-asked',
    wrapBe: (store) => override(store, { inDoubt: () => [], abort: async () => {} }),
  },
  {
    name: 'bus.rejects-stop-progress',
    wrapBus: onTaskRun((reply) => (reply.rejects === null ? reply : { ...reply, progress: {} })),
  },
];
