/** A failing run with fewer faults: rates that are not needed are none, faults that are not needed are left out. */
import { type Fault, RATES, type SwarmOptions } from './options.ts';
import type { SeedResult } from './run.ts';

export interface Shrunk {
  /** Rates that the failure needs. */
  readonly rates: readonly (typeof RATES)[number][];
  readonly faults: readonly Fault[];
  readonly runs: number;
}

/**
 * Delta debugging over the schedule: halves, quarters, …, single faults are left out as long as the same invariant breaks.
 * `run` is one run of the seed with other options.
 */
export async function shrink(
  failed: SeedResult,
  run: (options: Partial<SwarmOptions>) => Promise<SeedResult>,
  runsMax: number,
): Promise<Shrunk> {
  const invariant = failed.failure?.invariant;
  const options: SwarmOptions = failed.options;
  let runs = 0;
  const stillFails = async (candidate: Partial<SwarmOptions>): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs += 1;
    return (await run(candidate)).failure?.invariant === invariant;
  };
  let best: Partial<SwarmOptions> = {};
  let faults = options.faults.filter(() => true);
  if (await stillFails({ faults: [] })) faults = [];
  for (let size = Math.ceil(faults.length / 2); size >= 1 && faults.length > 0; ) {
    let isSmaller = false;
    for (let from = 0; from < faults.length; ) {
      const fewer = [...faults.slice(0, from), ...faults.slice(from + size)];
      if (await stillFails({ ...best, faults: fewer })) {
        faults = fewer;
        isSmaller = true;
      } else from += size;
    }
    if (size === 1 && !isSmaller) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
    if (runs >= runsMax) break;
  }
  for (const rate of RATES) {
    if (options[rate] === 0) continue;
    const calmer = { ...best, [rate]: 0 };
    if (await stillFails({ ...calmer, faults })) best = calmer;
  }
  const rates = RATES.filter((rate) => options[rate] !== 0 && best[rate] === undefined);
  return { rates, faults, runs };
}

/** Options of a shrunk run, from what its command line says: rates kept, faults kept by `kind@step`. */
export function shrunkOptions(
  options: SwarmOptions,
  keep: { readonly rates: readonly string[]; readonly faults: readonly string[] },
): Partial<SwarmOptions> {
  const rates = RATES.filter((rate) => !keep.rates.includes(rate)).map((rate) => [rate, 0]);
  const faults = options.faults.filter((fault) => keep.faults.includes(nameOf(fault)));
  return { ...Object.fromEntries(rates), faults };
}

export const nameOf = ({ kind, step }: Fault): string => `${kind}@${step}`;
