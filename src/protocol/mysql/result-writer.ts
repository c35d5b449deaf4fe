/** Sends one statement's result, batch by batch as the client takes it. */
import type { Column, ColumnBatch } from '../../base/column-batch.ts';
import { isNull } from '../../base/column-batch.ts';
import type { SqlType } from '../../base/sql-type.ts';
import type { ResultColumn } from '../../engine/engine.types.ts';
import { valueText } from '../../formats/value-text.ts';
import type { BatchResult, StatementResult, TextResult } from './mysql.types.ts';
import type { PacketStream } from './packet-stream.ts';
import { writeColumnDefinition } from './packets/column-definition.ts';
import { writeDefinitionsEnd, writeRowsEnd } from './packets/eof.ts';
import { writeOk } from './packets/ok.ts';
import type { PacketWriter } from './packets/packet-writer.ts';
import { type RowValue, writeBinaryRow, writeTextRow } from './packets/row.ts';

const FLUSH_BYTES = 128 * 1024;

export interface ResultContext {
  readonly stream: PacketStream;
  readonly capabilities: number;
  readonly textCharset: number;
  readonly binary: boolean;
  readonly writeMs: number;
  readonly signal: AbortSignal;
}

/** `status` is asked for when the rows have been sent: only then may be known whether another result follows. */
export async function sendResult(
  context: ResultContext,
  result: StatementResult,
  status: () => Promise<number>,
): Promise<void> {
  const { stream, capabilities } = context;
  const { writer } = stream;
  if (result.kind === 'ok') {
    const { affectedRows, warnings, info = '' } = result;
    writeOk(writer, { affectedRows, warnings, info, status: await status() });
  } else {
    writer.begin();
    writer.lenenc(result.columns.length);
    writer.end();
    for (const column of result.columns) writeColumnDefinition(writer, column, context.textCharset);
    writeDefinitionsEnd(writer, capabilities, 0x2);
    if (result.kind === 'rows') await sendTextRows(context, result);
    else await sendBatches(context, result);
    writeRowsEnd(writer, capabilities, await status());
  }
  await stream.send(context.writeMs);
}

async function sendTextRows(context: ResultContext, result: TextResult): Promise<void> {
  const write = rowWriter(context, result.columns);
  for (const row of result.rows) {
    write(row);
    if (context.stream.writer.length > FLUSH_BYTES) await context.stream.send(context.writeMs);
  }
}

async function sendBatches(context: ResultContext, result: BatchResult): Promise<void> {
  const write = rowWriter(context, result.columns);
  const types = result.columns.map((column) => column.type);
  try {
    for await (const batch of result.batches) {
      for (let row = 0; row < batch.rows; row++) {
        write(types.map((type, i) => batchValue(batch, i, row, type)));
        if (context.stream.writer.length > FLUSH_BYTES) await context.stream.send(context.writeMs);
        // The source may be at its end already: a KILL must not wait for the client's reading.
        if (context.signal.aborted) return context.signal.throwIfAborted();
      }
      await context.stream.send(context.writeMs);
    }
  } finally {
    await result.close();
  }
}

function rowWriter(
  context: ResultContext,
  columns: readonly ResultColumn[],
): (values: readonly RowValue[]) => void {
  const writer: PacketWriter = context.stream.writer;
  if (!context.binary) return (values) => writeTextRow(writer, values);
  const types = columns.map((column) => column.type);
  return (values) => writeBinaryRow(writer, values, types);
}

function batchValue(batch: ColumnBatch, index: number, row: number, type: SqlType): RowValue {
  const column = batch.columns[index] as Column;
  if (column.kind !== 'bytes') return valueText(column, row, type);
  if (isNull(column, row)) return null;
  return column.data.subarray(column.offsets[row], column.offsets[row + 1]);
}
