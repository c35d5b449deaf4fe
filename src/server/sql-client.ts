/**
 * `millrace sql [-e "…"]`: a small client for machines without one. Statements end with `;` or `\G` (vertical
 * output). Answers go to `output`, errors to `errors`.
 */
import { createInterface } from 'node:readline';
import { type Clock, systemClock } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import { MysqlClient } from '../protocol/mysql/client.ts';
import { splitStatements } from '../protocol/mysql/statement-split.ts';
import { printResult } from './sql-client-print.ts';

export interface SqlClientOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database?: string;
  /** Run this and end; else statements are read from `input`. */
  readonly execute?: string;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
  /** Default: `output`. */
  readonly errors?: NodeJS.WritableStream;
  readonly clock?: Clock;
}

/**
 * Resolves with the exit code: 0, or 1 when the connection or a statement failed. What is not typed by hand stops
 * at the first error.
 */
export async function runSqlClient(options: SqlClientOptions): Promise<number> {
  const { output, errors = output, clock = systemClock } = options;
  let client: MysqlClient | undefined;
  const fail = (error: unknown): 1 => {
    errors.write(`${errorText(error)}\n`);
    return 1;
  };
  try {
    client = await MysqlClient.connect({ ...options, clock });
    if (options.execute === undefined) return await runInput(client, options, fail);
    for (const piece of splitText(options.execute, true).pieces) {
      await runPiece(client, piece, output);
    }
    return 0;
  } catch (error) {
    return fail(error);
  } finally {
    await client?.close().catch(() => {});
  }
}

async function runInput(
  client: MysqlClient,
  options: SqlClientOptions,
  fail: (error: unknown) => 1,
): Promise<number> {
  const { input, output } = options;
  const isTerminal = input.isTTY === true;
  const lines = createInterface({ input, output, terminal: isTerminal, prompt: 'millrace> ' });
  const prompt = (isStart: boolean) => {
    if (!isTerminal) return;
    lines.setPrompt(isStart ? 'millrace> ' : '       -> ');
    lines.prompt();
  };
  let text = '';
  prompt(true);
  const run = async (isLast: boolean): Promise<void> => {
    const { pieces, rest } = splitText(text, isLast);
    text = rest;
    for (const piece of pieces) await runPiece(client, piece, output);
  };
  try {
    for await (const line of lines) {
      if (text.trim() === '' && /^\s*(?:exit|quit|\\q)\s*;?\s*$/i.test(line)) return 0;
      text += `${line}\n`;
      try {
        await run(false);
      } catch (error) {
        const isLost = error instanceof LoadError && error.errno === 2013;
        if (!isTerminal || isLost) return fail(error);
        fail(error);
        text = '';
      }
      prompt(text.trim() === '');
    }
    await run(true);
    return 0;
  } finally {
    lines.close();
  }
}

interface Piece {
  readonly sql: string;
  readonly vertical: boolean;
}

async function runPiece(
  client: MysqlClient,
  piece: Piece,
  output: NodeJS.WritableStream,
): Promise<void> {
  for await (const result of client.query(piece.sql)) {
    output.write(printResult(result, piece.vertical));
  }
}

/** Statements that are whole; with `isLast` also what has no end mark. */
export function splitText(text: string, isLast: boolean): { pieces: Piece[]; rest: string } {
  const { statements, rest } = splitStatements(text, true);
  const pieces = statements.map((sql) => {
    const mark = /\\[gG]$/.exec(sql)?.[0];
    return { sql: mark === undefined ? sql : sql.slice(0, -2).trim(), vertical: mark === '\\G' };
  });
  if (!isLast || rest === '') return { pieces, rest: rest === '' ? '' : `${rest}\n` };
  return { pieces: [...pieces, { sql: rest, vertical: false }], rest: '' };
}

function errorText(error: unknown): string {
  if (!(error instanceof LoadError))
    return `ERROR: ${error instanceof Error ? error.message : error}`;
  return `ERROR ${error.errno} (${error.sqlState}): ${error.message}`;
}
