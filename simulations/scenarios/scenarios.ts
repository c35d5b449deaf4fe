/** Named cases: a fault at a chosen moment instead of the seed's. Each seed still draws what is not said here. */
import type { DriverHooks } from '../driver.ts';
import type { Harness } from '../harness.ts';
import { CALM, type SwarmOptions } from '../options.ts';
import type { BeProcess, FeProcess } from '../world/cluster.ts';

export interface Scenario {
  readonly name: string;
  readonly goal: string;
  readonly options: Partial<SwarmOptions>;
  readonly hooks: DriverHooks;
}

type Process = FeProcess | BeProcess;
type Act = (harness: Harness, round: number) => void;

const THREE: Partial<SwarmOptions> = {
  ...CALM,
  bes: 3,
  partitions: 3,
  buckets: 4,
  desired: 2,
  batches: 50,
  inserts: 0.2,
};

function restart({ world }: Harness, process: Process | undefined, afterMs: number): void {
  if (process === undefined) return;
  process.crash();
  world.clock.at(afterMs, () => {
    if (!process.isAlive && !process.isStopped) process.start();
  });
}

/** Again and again while the first phase lasts. */
const every =
  (ms: number, act: Act) =>
  (harness: Harness): void => {
    const { clock } = harness.world;
    const endMs = harness.options.batches * harness.options.produceMs;
    for (let round = 1; round * ms < endMs; round++)
      clock.at(round * ms, () => act(harness, round));
  };

/** At the n-th time that the moment comes (world/points.ts), and every n-th time after that with `again`. */
const onMoment =
  (name: string, nth: number, act: Act, again = true) =>
  (harness: Harness): void => {
    let times = 0;
    harness.world.points.onHit((moment) => {
      if (moment.name !== name) return;
      times += 1;
      if (times % nth === 0 && (again || times === nth)) act(harness, times);
    });
  };

const be = ({ bes }: Harness, round: number) => bes[round % bes.length];

interface Written {
  readonly name: string;
  readonly goal: string;
  readonly run: (harness: Harness) => void;
  readonly options?: Partial<SwarmOptions>;
  readonly hooks?: Omit<DriverHooks, 'scenario'>;
}

const scenario = ({ name, goal, run, options, hooks }: Written): Scenario => ({
  name,
  goal,
  options: { ...THREE, ...options },
  hooks: { ...hooks, scenario: run },
});

/** Goes on behind what cannot be read, by a statement that is on record (routine-load.md, ALTER). */
const alterTo =
  (
    offset: (harness: Harness, partition: number, at: bigint) => bigint,
  ): NonNullable<DriverHooks['mend']> =>
  (harness, job) => {
    const { position } = job.reason ?? {};
    if (position === undefined) return;
    const { partition } = position;
    const to = offset(harness, partition, BigInt(position.offset));
    harness.statement(
      `ALTER ROUTINE LOAD FOR d.j FROM KAFKA ("kafka_partitions" = "${partition}", "kafka_offsets" = "${to}"); RESUME ROUTINE LOAD FOR d.j`,
    );
  };

export const SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'calm',
    goal: 'without faults all is loaded, and nothing else',
    run: () => {},
  }),
  scenario({
    name: 'everything-twice',
    goal: 'each message of the bus arrives twice (a repeated task-run once dropped committed votes)',
    options: { duplicate: 0.9 },
    run: () => {},
  }),
  scenario({
    name: 'fe-dies-often',
    goal: 'whatever the moment, the next FE settles what the last one left',
    run: every(1_700, (harness) => restart(harness, harness.fe, 300)),
  }),
  scenario({
    name: 'coordinator-dies-often',
    goal: 'a task whose BE dies is read again from the same position',
    run: every(1_300, (harness, round) => restart(harness, be(harness, round), 400)),
  }),
  scenario({
    name: 'all-die-at-once',
    goal: 'a power cut of the whole machine',
    run: every(4_000, (harness) => {
      for (const process of [harness.fe, ...harness.bes]) restart(harness, process, 500);
    }),
  }),
  scenario({
    name: 'crash-between-vote-and-decision',
    goal: 'the FE dies with all votes in its hands and no decision: presumed abort, and the range again',
    run: onMoment('task-run answer delivered', 3, (harness) => restart(harness, harness.fe, 500)),
  }),
  scenario({
    name: 'crash-after-the-decision',
    goal: 'the FE dies with a durable decision that nobody heard of: it is published after the start',
    run: onMoment('txn.committed durable', 3, (harness) => restart(harness, harness.fe, 500)),
  }),
  scenario({
    name: 'crash-while-the-decision-is-written',
    goal: 'nobody knows whether the decision is on the disk: the next start does',
    run: onMoment('txn.committed queued', 3, (harness) => restart(harness, harness.fe, 500)),
  }),
  scenario({
    name: 'crash-between-publishes',
    goal: 'one participant has published, the others have not, and nobody lives',
    run: onMoment('published durable', 4, (harness) => {
      for (const process of [harness.fe, ...harness.bes]) restart(harness, process, 500);
    }),
  }),
  scenario({
    name: 'lost-commit-reply',
    goal: 'the answer of a task that staged everything is lost: it is asked for again, and not run again',
    run: onMoment('task-run answer sent', 3, (harness) => {
      for (const { name } of harness.bes) harness.world.network.loseNext(name);
    }),
  }),
  scenario({
    name: 'lost-publish-reply',
    goal: 'a participant published, and the FE does not hear it: published again, shown once',
    run: onMoment('published durable', 5, (harness, times) =>
      harness.world.network.loseNext(be(harness, times)?.name ?? null),
    ),
  }),
  scenario({
    name: 'be-lost-mid-stage',
    goal: 'an executor dies while the coordinator stages at it: the transaction is aborted everywhere',
    run: onMoment('stage delivered', 4, (harness, times) => {
      restart(harness, be(harness, times), 1_000);
    }),
  }),
  scenario({
    name: 'vote-is-torn',
    goal: 'a participant dies while its vote is written',
    run: onMoment('voted queued', 5, (harness, times) => restart(harness, be(harness, times), 300)),
  }),
  scenario({
    name: 'crash-within-recovery',
    goal: 'every start is killed while it reads its journal, once',
    options: { checkpointEntries: 5 },
    run: (harness) => {
      const killed = new Set<string>();
      harness.world.points.onHit(({ name, who }) => {
        const process = [harness.fe, ...harness.bes].find((one) => one.name === who);
        if (name !== 'store read' || process === undefined || process.boots < 2) return;
        const boot = `${who}.${process.boots}`;
        if (process.boots % 2 === 1 || killed.has(boot)) return;
        killed.add(boot);
        restart(harness, process, 100);
      });
      every(3_000, (own, round) => restart(own, [own.fe, ...own.bes][round % 4], 200))(harness);
    },
  }),
  scenario({
    name: 'crash-in-a-checkpoint',
    goal: 'a checkpoint is left half written: the one before and its entries are still there',
    options: { checkpointEntries: 4 },
    run: onMoment('checkpoint section', 61, (harness, times) =>
      restart(harness, [harness.fe, ...harness.bes][times % 4], 300),
    ),
  }),
  scenario({
    name: 'crash-in-a-compaction',
    goal: 'merged rowsets are beside the old ones, or not there',
    options: { rowsetsMax: 2, coveredMs: 500, fileBytesMin: 0, batches: 80 },
    run: onMoment('compacted queued', 2, (harness, times) =>
      restart(harness, be(harness, times), 300),
    ),
  }),
  scenario({
    name: 'reader-beside-compaction',
    goal: 'statements hold a version that compaction has gone past',
    options: { rowsetsMax: 2, coveredMs: 500, selects: 0.9, batches: 80 },
    run: () => {},
  }),
  scenario({
    name: 'one-be-is-cut-off',
    goal: 'the FE hears a BE that does not hear it, and the other way round',
    run: every(5_000, ({ world: { network, clock } }, round) => {
      if (round % 2 === 0) network.cut('fe', 'be-1');
      else network.cut('be-1', 'fe');
      clock.at(4_500, () => network.heal());
    }),
  }),
  scenario({
    name: 'executors-do-not-hear-each-other',
    goal: 'the FE reaches every BE, and no BE another: tasks abort and say why, until it passes',
    run: every(4_000, ({ world: { network, clock } }) => {
      for (const [a, b] of [
        ['be-1', 'be-2'],
        ['be-2', 'be-3'],
        ['be-3', 'be-1'],
      ] as const) {
        network.cut(a, b);
        network.cut(b, a);
      }
      clock.at(2_500, () => network.heal());
    }),
  }),
  scenario({
    name: 'paused-be-wakes-up',
    goal: 'a BE stands still for longer than it is believed alive, and goes on with what it was doing',
    run: every(3_000, (harness, round) => be(harness, round)?.pause(6_000)),
  }),
  scenario({
    name: 'paused-fe-wakes-up',
    goal: 'the FE stands still while its BEs wait; then everything comes at once',
    run: every(3_500, ({ fe }) => fe.pause(5_000)),
  }),
  scenario({
    name: 'lossy-bus',
    goal: 'a tenth of all messages is lost',
    options: { drop: 0.1 },
    run: () => {},
  }),
  scenario({
    name: 'disorder',
    goal: 'messages overtake each other by up to a second',
    options: { reorder: 0.5, delayMsMax: 1_000 },
    run: () => {},
  }),
  scenario({
    name: 'late-copies',
    goal: 'copies come up to 20 s later (a late registration once damaged healthy tablets)',
    options: { stale: 0.3, batches: 80 },
    run: every(6_000, (harness, round) => restart(harness, be(harness, round), 300)),
  }),
  scenario({
    name: 'nats-gone',
    goal: 'all that is under way on the bus is erased, again and again: it holds no truth',
    run: every(900, ({ world: { network } }) => network.erase()),
  }),
  scenario({
    name: 'bus-stands-still',
    goal: 'nobody hears anybody for some seconds, and then everything arrives',
    run: every(6_000, ({ world: { network }, fe, bes }) => {
      for (const a of [fe, ...bes])
        for (const b of [fe, ...bes]) network.clog(a.name, b.name, 4_000);
    }),
  }),
  scenario({
    name: 'slow-disk',
    goal: 'a sync takes up to two seconds',
    options: { syncMsMax: 2_000 },
    run: () => {},
  }),
  scenario({
    name: 'disk-stalls',
    goal: 'a disk answers nothing for eight seconds',
    run: every(5_000, ({ fe, bes, world }, round) => {
      const process = [fe, ...bes][round % 4];
      if (process !== undefined) process.disk.stalledUntilMs = world.clock.now() + 8_000;
    }),
  }),
  scenario({
    name: 'disk-errors',
    goal: 'one write of a hundred fails, its outcome unknown (D3): the process ends, replay decides',
    options: { writeError: 0.01 },
    run: () => {},
  }),
  scenario({
    name: 'disk-full',
    goal: 'the FE, then each BE has no space for a while',
    run: every(4_000, ({ fe, bes, world }, round) => {
      const process = [fe, ...bes][round % 4];
      if (process === undefined) return;
      process.disk.isFull = true;
      world.clock.at(2_000, () => {
        process.disk.isFull = false;
      });
    }),
  }),
  scenario({
    name: 'clocks-are-set',
    goal: 'wall clocks go hours forward and back: only time stamps change (in-doubt questions once stopped)',
    options: { drop: 0.02 },
    run: every(2_000, ({ fe, bes }, round) =>
      [fe, ...bes][round % 4]?.setClock((round % 2 === 0 ? 1 : -1) * 7_200_000),
    ),
  }),
  scenario({
    name: 'pause-and-resume',
    goal: 'PAUSE and RESUME while transactions are between vote and decision',
    run: every(700, (harness, round) =>
      harness.statement(`${round % 2 === 0 ? 'RESUME' : 'PAUSE'} ROUTINE LOAD FOR d.j`),
    ),
  }),
  scenario({
    name: 'pause-during-commit',
    goal: 'a job is paused in the moment in which its votes are complete: one of both comes first in the journal',
    run: onMoment('task-run answer sent', 2, (harness) => {
      harness.statement('PAUSE ROUTINE LOAD FOR d.j');
      harness.world.clock.at(600, () => harness.statement('RESUME ROUTINE LOAD FOR d.j'));
    }),
  }),
  scenario({
    name: 'admin-changes-concurrency',
    goal: 'tasks are divided anew while they run',
    options: { desired: 3 },
    run: every(1_500, (harness, round) =>
      harness.statement(
        `ADMIN SET FRONTEND CONFIG ("max_routine_load_task_concurrent_num" = "${1 + (round % 3)}")`,
      ),
    ),
  }),
  scenario({
    name: 'table-dropped-under-inserts',
    goal: 'the table of the INSERTs goes while they run: each says so, and nothing else is disturbed',
    options: { inserts: 0.8 },
    hooks: { mayDropInserted: true },
    run: every(8_000, (harness, round) => {
      if (round === 1) harness.statement('DROP TABLE d.u FORCE');
    }),
  }),
  scenario({
    name: 'hurried-clients',
    goal: 'clients hang up in the middle of INSERTs: the label tells what became of them',
    options: { inserts: 0.9, syncMsMax: 200 },
    run: () => {},
  }),
  scenario({
    name: 'leaders-move',
    goal: 'each partition has another leader every second',
    run: every(400, ({ world: { kafka } }, round) =>
      kafka.moveLeader(round % kafka.partitions.length),
    ),
  }),
  scenario({
    name: 'kafka-gone',
    goal: 'no broker answers for some seconds',
    run: every(6_000, ({ world: { kafka, clock } }) => {
      kafka.dead.add(1);
      kafka.dead.add(2);
      clock.at(4_000, () => kafka.dead.clear());
    }),
  }),
  scenario({
    name: 'aborted-transactions',
    goal: 'half of what producers write is aborted: none of it is loaded, progress goes over it',
    options: { abortShare: 0.5 },
    run: () => {},
  }),
  scenario({
    name: 'open-transactions',
    goal: 'producers keep transactions open: nothing behind them is read before they end',
    options: { openShare: 0.5 },
    run: () => {},
  }),
  scenario({
    name: 'empty-messages',
    goal: 'most messages have no value, also the last of a batch: progress goes over them',
    options: { nullShare: 0.7 },
    run: () => {},
  }),
  scenario({
    name: 'bad-rows',
    goal: 'a third of the rows does not convert: each is counted, and kept up to the cap',
    options: { badShare: 0.35 },
    run: () => {},
  }),
  scenario({
    name: 'new-partitions',
    goal: 'partitions come under load and are read from their beginning',
    run: every(4_000, ({ world: { kafka } }) => kafka.addPartition()),
  }),
  scenario({
    name: 'poison-batch',
    goal: 'bytes with a wrong CRC: what stands before is loaded, the job names the offset, ALTER goes past it',
    run: every(6_000, ({ world: { kafka } }, round) =>
      kafka.produce(round % kafka.partitions.length, ['lost,1', 'lost,2'], { crc: true }),
    ),
    hooks: { mend: alterTo(({ world: { kafka } }, partition, at) => kafka.after(partition, at)) },
  }),
  scenario({
    name: 'retention-passed-us',
    goal: 'the log begins behind our position: the job says so, and goes on where a user sets it',
    options: { batches: 60 },
    hooks: {
      rowsMayMiss: true,
      mend: alterTo(({ world: { kafka } }, partition) => kafka.partitions[partition]?.start ?? 0n),
    },
    run: (harness) => {
      const { kafka, clock } = harness.world;
      clock.at(4_000, () => harness.statement('PAUSE ROUTINE LOAD FOR d.j'));
      clock.at(14_000, () => {
        kafka.partitions.forEach(({ end }, partition) => {
          kafka.retain(partition, end > 2n ? end - 2n : 0n);
        });
        harness.statement('RESUME ROUTINE LOAD FOR d.j');
      });
    },
  }),
  scenario({
    name: 'log-is-truncated',
    goal: 'the logs end before our positions (an unclean leader): the job says so; a user sets each to where its log was cut',
    options: { batches: 60 },
    hooks: {
      // All of them: a log that has grown past our position again looks as if nothing had been cut.
      mend: (harness) => {
        const { partitions } = harness.world.kafka;
        harness.statement(
          `ALTER ROUTINE LOAD FOR d.j FROM KAFKA ("kafka_partitions" = "${[...partitions.keys()].join(',')}", "kafka_offsets" = "${partitions.map(({ cutAt }) => cutAt).join(',')}"); RESUME ROUTINE LOAD FOR d.j`,
        );
      },
    },
    run: (harness) => {
      const { kafka, clock } = harness.world;
      clock.at(9_000, () => {
        kafka.partitions.forEach(({ end }, partition) => {
          kafka.truncate(partition, end > 6n ? end - 6n : 0n);
        });
      });
    },
  }),
];
