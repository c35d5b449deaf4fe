/** The messages of the benches, and what the loaded rows must add up to. */

export type Format = 'json' | 'csv';

const DAY_MS = 86_400_000;
const DAYS = Array.from({ length: 365 }, (_, i) =>
  new Date(Date.UTC(2024, 0, 1) + i * DAY_MS).toISOString().slice(0, 10),
);

/** About 100 bytes as JSON, 45 as CSV; five columns. `isBad`: its id is no number. */
export function message(format: Format, id: number, isBad = false): string {
  const day = DAYS[id % 365];
  const price = ((id * 7919) % 100_000) / 100;
  const key = isBad ? `"bad"` : id;
  if (format === 'csv') {
    return `${isBad ? 'bad' : id},${day},customer ${id % 9973},${id % 211},${price}`;
  }
  return `{"id": ${key}, "day": "${day}", "name": "customer ${id % 9973}", "country": ${id % 211}, "price": ${price}}`;
}

/** Every 100th message of the variant with error rows. */
export const isBadId = (id: number): boolean => id % 100 === 99;

/** Of the whole numbers below `rows`. */
export const sumBelow = (rows: number): bigint => (BigInt(rows) * BigInt(rows - 1)) / 2n;
