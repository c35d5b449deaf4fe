/** What scenarios, crash points and planted bugs get into their hands. */
import type { AllCheckers } from './checkers/all-checkers.ts';
import type { SwarmOptions } from './options.ts';
import type { BeProcess, FeProcess, World } from './world/cluster.ts';
import type { DiskImage } from './world/disk.ts';
import type { EngineHooks } from './world/engine.ts';

export interface Harness {
  readonly world: World;
  readonly fe: FeProcess;
  readonly bes: readonly BeProcess[];
  readonly options: SwarmOptions;
  readonly checkers: AllCheckers;
  /** A statement of the operator (`sql.pause`, `sql.alter`, …); what it leaves is put right in the second phase. */
  readonly operator: (kind: string, target: number, ms: number) => void;
  /** Another FE on a copy of the FE's directory, as it was when `image` was taken; not started. */
  readonly twin: (image: DiskImage) => FeProcess;
  /** Runs a statement and forgets its outcome. */
  readonly statement: (sql: string) => void;
}

export interface Mutant {
  readonly name: string;
  readonly apply?: (harness: Harness) => void;
  /** Changes what all runs share; the function that it gives undoes it. */
  readonly patch?: (harness: Harness) => () => void;
  readonly engineHooks?: EngineHooks;
  readonly wrapBe?: NonNullable<World['wrapBe']>;
  readonly wrapBus?: NonNullable<World['wrapBus']>;
  readonly wrapTransport?: NonNullable<World['wrapTransport']>;
  /** Only damage shows it. */
  readonly profile?: 'havoc';
}
