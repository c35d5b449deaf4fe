/**
 * Planted bugs, in simulations alone: each is put between the production code and one of its ports, or into the fold that
 * a run uses. A run that does not find one says what the checkers cannot see.
 */
import type { Mutant } from '../harness.ts';
import { BUS_MUTANTS } from './bus.ts';
import { FOLD_MUTANTS } from './fold.ts';
import { KAFKA_MUTANTS } from './kafka.ts';
import { STORE_MUTANTS } from './stores.ts';

export const MUTANTS: readonly Mutant[] = [
  ...STORE_MUTANTS,
  ...BUS_MUTANTS,
  ...FOLD_MUTANTS,
  ...KAFKA_MUTANTS,
];
