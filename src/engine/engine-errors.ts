/** DuckDB's errors as ours: with MySQL's numbers where a statement is wrong, and without its own words for it. */
import { AssertionFailed } from '../base/assert.ts';
import { LoadError } from '../base/errors.ts';

interface Known {
  readonly pattern: RegExp;
  readonly message: (name: string) => string;
  readonly errno: number;
  readonly sqlState: string;
}

const KNOWN: readonly Known[] = [
  {
    pattern: /Referenced column "(.+?)" (?:was )?not found|does not have a column named "(.+?)"/,
    message: (name) => `Column '${name}' cannot be resolved`,
    errno: 1054,
    sqlState: '42S22',
  },
  {
    pattern: /Ambiguous reference to column name "(.+?)"/,
    message: (name) => `Column '${name}' is ambiguous`,
    errno: 1052,
    sqlState: '23000',
  },
  {
    pattern: /column "?(.+?)"? must appear in the GROUP BY clause/i,
    message: (name) => `'${name}' must be an aggregate expression or appear in GROUP BY clause`,
    errno: 1064,
    sqlState: '42000',
  },
];

export function engineClosed(): LoadError {
  return new LoadError('ENGINE_CLOSED', 'the engine is closed', { transient: true });
}

export function engineError(error: unknown): unknown {
  // A mistake of ours stays one: the process stops.
  if (error instanceof LoadError || error instanceof AssertionFailed) return error;
  if (!(error instanceof Error)) return error;
  if (/interrupt/i.test(error.message))
    return new LoadError('ENGINE_CANCELLED', 'the statement was cancelled', {
      errno: 1317,
      sqlState: '70100',
      cause: error,
    });
  const message = messageOf(error);
  if (/max_temp_directory_size|failed to offload/i.test(error.message))
    return new LoadError(
      'ENGINE_SPILL',
      `what the statement sorts or groups needs more space on the disk: ${message}`,
      {
        hint: 'ask for less at once, or make room on the disk of the data directory, of which it may take half',
        transient: true,
        cause: error,
      },
    );
  if (/out of memory|could not allocate|failed to (allocate|pin)/i.test(message))
    return new LoadError('ENGINE_MEMORY', `the statement needs more memory: ${message}`, {
      hint: 'ask for less at once, or start with a larger --memory-mb',
      transient: true,
      cause: error,
    });
  // A full disk passes: whoever loads tries again, as with the floor of free space (tablet-errors.ts).
  if (/no space left|(could not|cannot|failed to) write/i.test(message))
    return new LoadError('ENGINE_WRITE', message, {
      hint: 'look at the disk of this backend',
      transient: true,
      cause: error,
    });
  for (const known of KNOWN) {
    const match = known.pattern.exec(message);
    if (match === null) continue;
    const { errno, sqlState } = known;
    const name = match[1] ?? match[2] ?? '';
    return new LoadError('SQL_ERROR', known.message(name), { errno, sqlState, cause: error });
  }
  return new LoadError('ENGINE_ERROR', message, { cause: error });
}

/** Its first line says what happened; some come as JSON with the message inside. */
function messageOf(error: Error): string {
  const inner = /"exception_message":"((?:[^"\\]|\\.)*)"/.exec(error.message)?.[1];
  const whole = inner?.replaceAll('\\n', '\n').replaceAll('\\"', '"') ?? error.message;
  return whole.split('\n')[0]?.replace(/^(Binder|Conversion|Invalid Input) Error: /, '') ?? '';
}
