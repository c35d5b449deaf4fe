/**
 * Times at which a task's records were produced, as a few quantiles: so that the FE, which alone knows when they became
 * visible, can say how long that took. Costs by the batch of records, not by the record.
 */

/** Of one batch; the first and the last are among them. */
const PER_BATCH = 8;
/** Beyond it the sample is thinned to quantiles, and goes on. */
const POINTS_MAX = 4_096;
const QUANTILES = 32;

interface Point {
  readonly ms: number;
  readonly weight: number;
}

export class TimestampSample {
  #points: Point[] = [];

  /** −1: a time that the broker does not give. */
  add(timestampMs: Float64Array, count: number): void {
    const taken = Math.min(count, PER_BATCH);
    for (let i = 0; i < taken; i++) {
      const at = taken === 1 ? 0 : Math.floor((i * (count - 1)) / (taken - 1));
      const ms = timestampMs[at];
      if (ms !== undefined && ms >= 0) this.#points.push({ ms, weight: count / taken });
    }
    if (this.#points.length > POINTS_MAX) this.#thin();
  }

  /** Ascending, from the oldest to the newest, each for as many records; empty where no time is known. */
  quantiles(): readonly number[] {
    return quantilesOf(this.#points);
  }

  #thin(): void {
    const weight = this.#points.reduce((sum, point) => sum + point.weight, 0) / (QUANTILES + 1);
    this.#points = quantilesOf(this.#points).map((ms) => ({ ms, weight }));
  }
}

function quantilesOf(points: readonly Point[]): number[] {
  const sorted = [...points].sort((a, b) => a.ms - b.ms);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const found: number[] = [];
  if (total === 0) return found;
  let at = 0;
  let passed = sorted[0]!.weight;
  for (let q = 0; q <= QUANTILES; q++) {
    const wanted = (q / QUANTILES) * total;
    while (passed < wanted && at < sorted.length - 1) {
      at += 1;
      passed += sorted[at]!.weight;
    }
    found.push(sorted[q === QUANTILES ? sorted.length - 1 : at]!.ms);
  }
  return found;
}
