/** All named cases. */
import { BUS_AND_DISK_SCENARIOS } from './bus-and-disks.ts';
import { PROCESS_SCENARIOS } from './processes.ts';
import type { Scenario } from './scenario.ts';
import { SOURCE_SCENARIOS } from './sources.ts';
import { STATEMENT_SCENARIOS } from './statements.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...PROCESS_SCENARIOS,
  ...BUS_AND_DISK_SCENARIOS,
  ...STATEMENT_SCENARIOS,
  ...SOURCE_SCENARIOS,
];
