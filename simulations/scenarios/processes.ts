/** Processes that die, stand still, or are there twice. */
import { InvariantBroken } from '../checkers/checker.ts';
import type { Harness } from '../harness.ts';
import type { FeProcess } from '../world/cluster.ts';
import { entryTypes } from '../world/disk.ts';
import { be, every, onMoment, restart, type Scenario, scenario } from './scenario.ts';

/** Both have the same journal up to the copy; the BEs have seen more since, and follow the one that they promised themselves to. */
function twinFe(): Scenario {
  const twins = new WeakMap<Harness, FeProcess>();
  return scenario({
    name: 'twin-fe',
    goal: 'a second FE starts on an older copy of the directory: it decides nothing, and says why (epoch.single)',
    hooks: {
      end: (harness) => {
        const twin = twins.get(harness);
        const refusal = twin?.fe?.refusal() ?? null;
        if (refusal !== null && harness.fe.fe?.refusal() === null) return;
        throw new InvariantBroken('epoch.single', `the twin says: ${refusal}`);
      },
    },
    run: (harness) => {
      const { clock, points } = harness.world;
      const image = harness.fe.disk.image();
      clock.at(5_000, () => {
        const twin = harness.twin(image);
        twins.set(harness, twin);
        twin.disk.onDurable = (ops) => {
          for (const type of entryTypes(ops)) {
            if (type !== 'txn.committed') continue;
            harness.checkers.broke(new InvariantBroken('epoch.single', 'the twin commits'));
          }
        };
        twin.start();
      });
      // Each time that the true FE starts anew it meets the twin again.
      let commits = 0;
      points.onHit(({ name, who }) => {
        if (name !== 'txn.committed durable' || who !== 'fe') return;
        commits += 1;
        if (commits % 9 === 0) restart(harness.fe, 400);
      });
    },
  });
}

export const PROCESS_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'calm',
    goal: 'without faults all is loaded, and nothing else',
    run: () => {},
  }),
  scenario({
    name: 'fe-dies-often',
    goal: 'whatever the moment, the next FE settles what the last one left',
    run: every(1_700, (harness) => restart(harness.fe, 300)),
  }),
  scenario({
    name: 'coordinator-dies-often',
    goal: 'a task whose BE dies is read again from the same position',
    run: every(1_300, (harness, round) => restart(be(harness, round), 400)),
  }),
  scenario({
    name: 'all-die-at-once',
    goal: 'a power cut of the whole machine',
    run: every(4_000, (harness) => {
      for (const process of [harness.fe, ...harness.bes]) restart(process, 500);
    }),
  }),
  scenario({
    name: 'crash-between-vote-and-decision',
    goal: 'the FE dies with all votes in its hands and no decision: presumed abort, and the range again',
    run: onMoment('task-run answer delivered', 3, (harness) => restart(harness.fe, 500)),
  }),
  scenario({
    name: 'crash-after-the-decision',
    goal: 'the FE dies with a durable decision that nobody heard of: it is published after the start',
    run: onMoment('txn.committed durable', 3, (harness) => restart(harness.fe, 500)),
  }),
  scenario({
    name: 'crash-while-the-decision-is-written',
    goal: 'nobody knows whether the decision is on the disk: the next start does',
    run: onMoment('txn.committed queued', 3, (harness) => restart(harness.fe, 500)),
  }),
  scenario({
    name: 'crash-between-publishes',
    goal: 'one participant has published, the others have not, and nobody lives',
    run: onMoment('published durable', 4, (harness) => {
      for (const process of [harness.fe, ...harness.bes]) restart(process, 500);
    }),
  }),
  scenario({
    name: 'be-lost-mid-stage',
    goal: 'an executor dies while the coordinator stages at it: the transaction is aborted everywhere',
    run: onMoment('stage delivered', 4, (harness, times) => {
      restart(be(harness, times), 1_000);
    }),
  }),
  scenario({
    name: 'vote-is-torn',
    goal: 'a participant dies while its vote is written',
    run: onMoment('voted queued', 5, (harness, times) => restart(be(harness, times), 300)),
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
        restart(process, 100);
      });
      every(3_000, (own, round) => restart([own.fe, ...own.bes][round % 4], 200))(harness);
    },
  }),
  scenario({
    name: 'crash-in-a-checkpoint',
    goal: 'a checkpoint is left half written: the one before and its entries are still there',
    options: { checkpointEntries: 4 },
    run: onMoment('checkpoint section', 61, (harness, times) =>
      restart([harness.fe, ...harness.bes][times % 4], 300),
    ),
  }),
  scenario({
    name: 'crash-in-a-compaction',
    goal: 'merged rowsets are beside the old ones, or not there',
    options: { rowsetsMax: 2, coveredMs: 500, fileBytesMin: 0, batches: 80 },
    run: onMoment('compacted queued', 2, (harness, times) => restart(be(harness, times), 300)),
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
  twinFe(),
];
