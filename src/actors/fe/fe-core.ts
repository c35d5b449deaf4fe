/** What the parts of the FE share: its journal, identity and ports. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Journal } from '../../storage/journal.types.ts';
import type { FeStamp } from '../messages.ts';
import type { FeEntry, FeState } from './fe-facts.ts';

export interface FeCore {
  readonly journal: Journal<FeEntry, FeState>;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This FE's present identity and last durable sequence (D4). */
  readonly stamp: () => FeStamp;
  /** Queues in this turn, resolves when durable. */
  readonly append: (...entries: FeEntry[]) => Promise<void>;
  /** A number of ADMIN SET FRONTEND CONFIG, as decisions see it (the head fold). */
  readonly configNumber: (name: string) => number;
}
