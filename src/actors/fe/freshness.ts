/** How long records of a job took from their timestamp to VISIBLE, over the last minute. Not a fact: a restart forgets it. */

export interface FreshnessView {
  readonly rows: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const SLICE_MS = 10_000;
const SLICES = 6;
export const FRESHNESS_WINDOW_S = (SLICE_MS * SLICES) / 1000;
/** Bucket i holds up to GROWTH^i ms: within 5 %, up to some weeks. */
const GROWTH = 1.05;
const BUCKETS = 450;

interface Slice {
  readonly id: number;
  readonly counts: Float64Array;
  rows: number;
  maxMs: number;
}

export class FreshnessMeter {
  #slices: Slice[] = [];

  /** `timestamps`: quantiles of one transaction (TimestampSample), each for as many of its rows. */
  note(timestamps: readonly number[], rows: number, visibleMs: number): void {
    if (timestamps.length === 0 || rows <= 0) return;
    const slice = this.#slice(Math.floor(visibleMs / SLICE_MS));
    const weight = rows / timestamps.length;
    for (const ms of timestamps) {
      // A producer's clock may be ahead of ours.
      const ageMs = Math.max(0, visibleMs - ms);
      const bucket = ageMs <= 1 ? 0 : Math.ceil(Math.log(ageMs) / Math.log(GROWTH));
      const at = Math.min(BUCKETS - 1, bucket);
      slice.counts[at] = slice.counts[at]! + weight;
      slice.maxMs = Math.max(slice.maxMs, ageMs);
    }
    slice.rows += rows;
  }

  /** Null: nothing became visible in the window. */
  view(nowMs: number): FreshnessView | null {
    const newest = Math.floor(nowMs / SLICE_MS);
    const slices = this.#slices.filter(({ id }) => id > newest - SLICES);
    const rows = slices.reduce((sum, slice) => sum + slice.rows, 0);
    if (rows === 0) return null;
    const maxMs = Math.max(...slices.map((slice) => slice.maxMs));
    const at = (share: number) => Math.round(Math.min(quantile(slices, share * rows), maxMs));
    return { rows, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: Math.round(maxMs) };
  }

  #slice(id: number): Slice {
    const last = this.#slices.at(-1);
    if (last !== undefined && last.id >= id) return last;
    const slice = { id, counts: new Float64Array(BUCKETS), rows: 0, maxMs: 0 };
    this.#slices = [...this.#slices.filter((one) => one.id > id - SLICES), slice];
    return slice;
  }
}

function quantile(slices: readonly Slice[], wanted: number): number {
  let passed = 0;
  for (let i = 0; i < BUCKETS; i++) {
    for (const { counts } of slices) passed += counts[i]!;
    // Sums of shares of rows are not exact.
    if (passed >= wanted * (1 - 1e-9)) return GROWTH ** i;
  }
  return GROWTH ** (BUCKETS - 1);
}
