import { map } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { expect, it } from 'vitest';
import { decodeMessages } from './decode.ts';
import type { DecodePlan } from './decode.types.ts';
import { messages } from './messages.fixture.ts';

it('gives one decoded batch for each batch of messages, in their order, and passes errors on', () => {
  const plan: DecodePlan = {
    format: { kind: 'csv', columnSeparator: ',', rowDelimiter: '\n', trimSpace: false },
    fields: [{ name: 'a', type: { name: 'INT' }, nullable: true }],
    strict: true,
  };
  const values = { a: messages('1', '2\n3'), b: messages('x', '4') };
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(
    ({ cold, expectObservable }) => {
      const counts = cold('-a-b-#', values).pipe(
        decodeMessages(plan),
        map(({ messages: from, decoded }) => [from.count, decoded.batch.rows, decoded.rejected]),
      );
      expectObservable(counts).toBe('-a-b-#', { a: [2, 3, 0], b: [2, 1, 1] });
    },
  );
});
