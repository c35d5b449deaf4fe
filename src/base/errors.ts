/**
 * Errors that a user, a peer or a disk can cause. They travel over the bus as plain data
 * (`toErrorData`, `fromErrorData`), reach MySQL clients as ERR packets, and logs as fields.
 */

export interface ErrorData {
  /** Stable, upper case with underscores, e.g. `KAFKA_OFFSET_OUT_OF_RANGE`. */
  readonly code: string;
  /** Lower case, factual, no full stop, names in double quotes; or StarRocks' own text where one is given. */
  readonly message: string;
  /** MySQL error number; 1064 where nothing better is known. */
  readonly errno?: number;
  /** Five characters; HY000 where nothing better is known. */
  readonly sqlState?: string;
  /** What the user can do next. */
  readonly hint?: string;
  /** Plain JSON values: topic, partition, offset, file, row, byte, … */
  readonly details?: Readonly<Record<string, unknown>>;
  /** True if trying again later may help without anybody changing anything. */
  readonly transient?: boolean;
  /** True for damage: what was stored is not what was written. */
  readonly damage?: boolean;
}

export type ErrorOptions = Omit<ErrorData, 'code' | 'message' | 'damage'> & { cause?: unknown };

export class LoadError extends Error {
  override name = 'LoadError';
  readonly code: string;
  readonly errno: number;
  readonly sqlState: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly transient: boolean;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.errno = options.errno ?? 1064;
    this.sqlState = options.sqlState ?? 'HY000';
    this.hint = options.hint;
    this.details = options.details ?? {};
    this.transient = options.transient ?? false;
  }
}

/** What was stored is not what was written, or is gone: names the entry, file or tablet (PROTOCOL.md D1). */
export class DamageError extends LoadError {
  override name = 'DamageError';

  constructor(code: string, details: Readonly<Record<string, unknown>>, message?: string) {
    super(
      code,
      message ?? `${code.toLowerCase().replaceAll('_', ' ')}: ${JSON.stringify(details)}`,
      {
        details,
      },
    );
  }
}

export function toErrorData(error: unknown): ErrorData {
  if (error instanceof LoadError) {
    return {
      code: error.code,
      message: error.message,
      errno: error.errno,
      sqlState: error.sqlState,
      details: error.details,
      transient: error.transient,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error instanceof DamageError ? { damage: true } : {}),
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'INTERNAL', message, errno: 1105, sqlState: 'HY000' };
}

export function fromErrorData(data: ErrorData): LoadError {
  if (data.damage === true) return new DamageError(data.code, data.details ?? {}, data.message);
  const { code, message, damage: _, ...options } = data;
  return new LoadError(code, message, options);
}
