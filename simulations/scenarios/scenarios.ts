/** Named cases: faults at a chosen moment instead of the seed's. Each seed still draws what is not said here. */
import type { Harness, SwarmOptions } from '../run.ts';

export interface Scenario {
  readonly name: string;
  readonly goal: string;
  readonly options: Partial<SwarmOptions>;
  readonly run: (harness: Harness) => void;
}

/** No faults but the scenario's own. */
const CALM: Partial<SwarmOptions> = {
  drop: 0,
  duplicate: 0,
  reorder: 0,
  delayMsMax: 10,
  writeError: 0,
  silence: 0,
  crashFeMs: 0,
  crashBeMs: 0,
  crashAllMs: 0,
  cutMs: 0,
  leaderMs: 0,
  brokerMs: 0,
  pauseMs: 0,
  newPartition: false,
  chaosMs: 20_000,
  produceMs: 300,
};

const THREE: Partial<SwarmOptions> = { ...CALM, bes: 3, partitions: 3, buckets: 4, desired: 2 };

/** Again and again while the chaos lasts. */
function every({ world, options }: Harness, ms: number, act: (round: number) => void): void {
  for (let round = 1; round * ms < options.chaosMs; round++) {
    world.clock.at(round * ms, () => act(round));
  }
}

function restart(
  harness: Harness,
  process: Harness['fe'] | Harness['bes'][number],
  afterMs: number,
) {
  process.crash();
  harness.world.clock.at(afterMs, () => {
    if (!process.isAlive) process.start();
  });
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'calm',
    goal: 'without faults all is loaded, and nothing else',
    options: THREE,
    run: () => {},
  },
  {
    name: 'everything-twice',
    goal: 'each message of the bus arrives twice (a repeated task-run once dropped committed votes)',
    options: { ...THREE, duplicate: 0.9 },
    run: () => {},
  },
  {
    name: 'fe-dies-often',
    goal: 'between vote and decision, decision and publish: whatever the moment, the next FE settles it',
    options: THREE,
    run: (harness) => every(harness, 1_700, () => restart(harness, harness.fe, 300)),
  },
  {
    name: 'coordinator-dies-often',
    goal: 'a task whose BE dies is read again from the same position',
    options: THREE,
    run: (harness) =>
      every(harness, 1_300, (round) => {
        const be = harness.bes[round % harness.bes.length];
        if (be !== undefined) restart(harness, be, 400);
      }),
  },
  {
    name: 'all-die-at-once',
    goal: 'a power cut of the whole machine',
    options: THREE,
    run: (harness) =>
      every(harness, 4_000, () => {
        for (const process of [harness.fe, ...harness.bes]) restart(harness, process, 500);
      }),
  },
  {
    name: 'one-be-is-cut-off',
    goal: 'the FE hears a BE that does not hear it, and the other way round',
    options: THREE,
    run: (harness) =>
      every(harness, 5_000, (round) => {
        const { network, clock } = harness.world;
        if (round % 2 === 0) network.cut('fe', 'be-1');
        else network.cut('be-1', 'fe');
        clock.at(4_500, () => network.heal());
      }),
  },
  {
    name: 'lossy-bus',
    goal: 'a tenth of all messages is lost',
    options: { ...THREE, drop: 0.1 },
    run: () => {},
  },
  {
    name: 'disorder',
    goal: 'messages overtake each other by up to a second',
    options: { ...THREE, reorder: 0.5, delayMsMax: 1_000 },
    run: () => {},
  },
  {
    name: 'slow-disk',
    goal: 'a sync takes up to two seconds',
    options: { ...THREE, syncMsMax: 2_000 },
    run: () => {},
  },
  {
    name: 'disk-errors',
    goal: 'one write of a hundred fails, its outcome unknown (D3): the process ends, replay decides',
    options: { ...THREE, writeError: 0.01 },
    run: () => {},
  },
  {
    name: 'pause-and-resume',
    goal: 'PAUSE and RESUME while transactions are between vote and decision',
    options: THREE,
    run: (harness) =>
      every(harness, 700, (round) => {
        const verb = round % 2 === 0 ? 'RESUME' : 'PAUSE';
        harness.fe.run(`${verb} ROUTINE LOAD FOR d.j`).catch(() => {});
      }),
  },
  {
    name: 'leaders-move',
    goal: 'each partition has another leader every second',
    options: THREE,
    run: (harness) =>
      every(harness, 400, (round) => {
        const { kafka } = harness.world;
        kafka.moveLeader(round % kafka.partitions.length);
      }),
  },
  {
    name: 'kafka-gone',
    goal: 'no broker answers for some seconds',
    options: THREE,
    run: (harness) =>
      every(harness, 6_000, () => {
        const { kafka, clock } = harness.world;
        kafka.dead.add(1);
        kafka.dead.add(2);
        clock.at(4_000, () => kafka.dead.clear());
      }),
  },
  {
    name: 'aborted-transactions',
    goal: 'half of what producers write is aborted: none of it is loaded, progress goes over it',
    options: { ...THREE, abortShare: 0.5 },
    run: () => {},
  },
  {
    name: 'new-partitions',
    goal: 'partitions come under load and are read from their beginning',
    options: THREE,
    run: (harness) => every(harness, 6_000, () => harness.world.kafka.addPartition()),
  },
  {
    name: 'admin-changes-concurrency',
    goal: 'tasks are divided anew while they run',
    options: { ...THREE, desired: 3 },
    run: (harness) =>
      every(harness, 1_500, (round) => {
        const sql = `ADMIN SET FRONTEND CONFIG ("max_routine_load_task_concurrent_num" = "${1 + (round % 3)}")`;
        harness.fe.run(sql).catch(() => {});
      }),
  },
];
