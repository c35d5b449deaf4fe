/** What users do meanwhile. */
import { every, onMoment, type Scenario, scenario } from './scenario.ts';

export const STATEMENT_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'reader-beside-compaction',
    goal: 'statements hold a version that compaction has gone past',
    options: { rowsetsMax: 2, coveredMs: 500, selects: 0.9, batches: 80 },
    run: () => {},
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
];
