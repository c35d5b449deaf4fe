/** Messages that are lost, late, doubled; disks that are slow, full, or fail; clocks that are set. */
import { be, every, onMoment, restart, type Scenario, scenario } from './scenario.ts';

export const BUS_AND_DISK_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'everything-twice',
    goal: 'each message of the bus arrives twice (a repeated task-run once dropped committed votes)',
    options: { duplicate: 0.9 },
    run: () => {},
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
    run: every(6_000, (harness, round) => restart(be(harness, round), 300)),
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
];
