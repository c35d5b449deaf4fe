/**
 *   COM_STMT_PREPARE_OK
 *     int<1>  status         0x00
 *     int<4>  statement_id
 *     int<2>  num_columns    0 also where they are not known before it runs
 *     int<2>  num_params
 *     int<1>  filler
 *     int<2>  warning_count
 *   then, if there are any: parameter definitions and their end, column definitions and their end
 */
import { VARCHAR } from '../../../base/sql-type.ts';
import type { ResultColumn } from '../../../engine/engine.types.ts';
import { writeColumnDefinition } from './column-definition.ts';
import { writeDefinitionsEnd } from './eof.ts';
import type { PacketWriter } from './packet-writer.ts';

export interface StmtPrepareOk {
  readonly statementId: number;
  readonly parameters: number;
  readonly columns: readonly ResultColumn[];
}

export function writeStmtPrepareOk(
  writer: PacketWriter,
  packet: StmtPrepareOk,
  capabilities: number,
  textCharset: number,
  status: number,
): void {
  writer.begin();
  writer.u8(0);
  writer.u32(packet.statementId);
  writer.u16(packet.columns.length);
  writer.u16(packet.parameters);
  writer.u8(0);
  writer.u16(0);
  writer.end();
  for (let i = 0; i < packet.parameters; i++) {
    writeColumnDefinition(writer, { name: '?', type: VARCHAR }, textCharset);
  }
  if (packet.parameters > 0) writeDefinitionsEnd(writer, capabilities, status);
  for (const column of packet.columns) writeColumnDefinition(writer, column, textCharset);
  if (packet.columns.length > 0) writeDefinitionsEnd(writer, capabilities, status);
}
