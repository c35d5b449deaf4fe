/** How much memory DuckDB may take. */

/**
 * Of one BE alone: with what else a process takes (code, loads, results, what an allocator keeps), some 500 MiB, it stays
 * below 1 GiB. Several BEs have more together, as a query runs on one of them.
 */
const PROCESS_MB = 512;
const BE_MB_MIN = 320;
/** Below that DuckDB cannot sort or group what does not fit. */
const BE_MB_FLOOR = 192;

/** For each BE of a process. `askedMb`: for all of them together. */
export function beMemoryMb(beCount: number, askedMb: number | null, machineMb: number): number {
  if (askedMb !== null) return Math.max(BE_MB_FLOOR, Math.floor(askedMb / beCount));
  const share = Math.max(BE_MB_MIN, Math.floor(PROCESS_MB / beCount));
  return Math.max(BE_MB_FLOOR, Math.min(share, Math.floor(machineMb / 4 / beCount)));
}
