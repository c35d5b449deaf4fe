/** Wall-clock time of a zone: an IANA name, or an offset as `+08:00`. */
import { LoadError } from '../base/errors.ts';

const formats = new Map<string, Intl.DateTimeFormat>();
const FORMATS_MAX = 100;

/** Milliseconds from UTC to local time at the moment given. */
export function offsetMs(zone: string, atMs: number): number {
  const fixed = fixedOffsetMs(zone);
  if (fixed !== undefined) return fixed;
  const seconds = Math.floor(atMs / 1000) * 1000;
  const parts = new Map(
    formatOf(zone)
      .formatToParts(seconds)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  const local = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour') % 24,
    part('minute'),
    part('second'),
  );
  return local - seconds;
}

/** `YYYY-MM-DD HH:MM:SS` of the zone. */
export function localText(zone: string, atMs: number): string {
  return new Date(atMs + offsetMs(zone, atMs)).toISOString().slice(0, 19).replace('T', ' ');
}

/** `undefined` for a name. */
export function fixedOffsetMs(zone: string): number | undefined {
  if (/^(utc|gmt|z)$/i.test(zone)) return 0;
  const match = /^([+-])(\d{1,2}):(\d{2})$/.exec(zone);
  if (match === null) return undefined;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return (match[1] === '-' ? -1 : 1) * minutes * 60_000;
}

/** StarRocks calls Asia/Shanghai so; to others it is a zone of America. */
export function zoneName(zone: string): string {
  return zone.toUpperCase() === 'CST' || zone.toUpperCase() === 'PRC' ? 'Asia/Shanghai' : zone;
}

/** The offset that a zone has had since some moment and keeps; `undefined` for one that still changes it. */
export interface SteadyOffset {
  readonly sinceMs: number;
  readonly offsetMs: number;
}

const steady = new Map<string, SteadyOffset | null>();
const YEAR_MS = 365.25 * 86_400_000;
const STEP_MS = YEAR_MS / 12;

/** Conversions by a calendar cost far more than an addition, and most zones of the world need none for present days. */
export function steadyOffset(zone: string): SteadyOffset | undefined {
  const fixed = fixedOffsetMs(zone);
  if (fixed !== undefined) return { sinceMs: Number.NEGATIVE_INFINITY, offsetMs: fixed };
  const known = steady.get(zone);
  if (known !== undefined) return known ?? undefined;
  if (steady.size >= FORMATS_MAX) steady.clear();
  const end = 130 * YEAR_MS;
  const last = offsetMs(zone, end);
  let since = end;
  while (since > 0 && offsetMs(zone, since - STEP_MS) === last) since -= STEP_MS;
  // A zone with summer time changes within the last year that was looked at.
  const found = since > 60 * YEAR_MS ? null : { sinceMs: Math.ceil(since), offsetMs: last };
  steady.set(zone, found);
  return found ?? undefined;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  if (formats.size >= FORMATS_MAX) formats.clear();
  try {
    const made = new Intl.DateTimeFormat('en-US', {
      timeZone: zoneName(zone),
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, made);
    return made;
  } catch (cause) {
    throw new LoadError('BAD_TIME_ZONE', `Unknown or incorrect time zone: '${zone}'`, {
      errno: 1298,
      cause,
    });
  }
}
