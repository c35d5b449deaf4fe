/** The log port: fragments with fields. error: data may be wrong; warn: unexpected, handled; info: a state changed. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface Log {
  write(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const silentLog: Log = { write: () => {} };

/** One line of JSON-like fields per message, to standard error, so that standard output stays for results. */
export function consoleLog(minimum: LogLevel, prefix: string): Log {
  const order: LogLevel[] = ['error', 'warn', 'info', 'debug'];
  const limit = order.indexOf(minimum);
  return {
    write(level, message, fields) {
      if (order.indexOf(level) > limit) return;
      const tail =
        fields === undefined
          ? ''
          : ` ${JSON.stringify(fields, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`;
      process.stderr.write(`${new Date().toISOString()} ${level} ${prefix} ${message}${tail}\n`);
    },
  };
}
