/** Items are batches, never single messages: cost is paid by the byte, not by the object. */
import { map, type OperatorFunction } from 'rxjs';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import { decodeCsv } from './csv.ts';
import type { DecodedBatch, DecodePlan } from './decode.types.ts';
import { decodeJson } from './json.ts';

export interface DecodedMessages {
  readonly messages: MessageBatch;
  readonly decoded: DecodedBatch;
}

export function decodeMessages(plan: DecodePlan): OperatorFunction<MessageBatch, DecodedMessages> {
  return map((messages) => ({
    messages,
    decoded: plan.format.kind === 'csv' ? decodeCsv(plan, messages) : decodeJson(plan, messages),
  }));
}
