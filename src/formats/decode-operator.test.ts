import { map } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { decodeMessages, MessageDecoder, sourceOf } from './decode.ts';
import type { DecodePlan } from './decode.types.ts';
import { messages } from './messages.fixture.ts';

const plan: DecodePlan = {
  format: { kind: 'csv', columnSeparator: ',', rowDelimiter: '\n', trimSpace: false },
  fields: [
    { name: 'a', type: { name: 'INT' }, nullable: true },
    { name: 'b', type: { name: 'VARCHAR', length: 20 }, nullable: true },
  ],
  strict: true,
};

it('gives a batch when it is full, in the order of messages, and passes errors on', () => {
  const values = { a: messages('1,x', '2,x\n3,x'), b: messages('x,x', '4,x'), c: messages('5,x') };
  new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(
    ({ cold, expectObservable }) => {
      const decoder = new MessageDecoder(plan, { rows: 4, textBytes: 1_000 });
      const counts = cold('-a-b-c-#', values).pipe(
        decodeMessages(decoder),
        map(({ batch, rejected, sources }) => [batch.rows, rejected, sources.length]),
      );
      expectObservable(counts).toBe('---b---#', { b: [4, 1, 2] });
    },
  );
});

describe('the decoder', () => {
  it('keeps what is not full until it is taken, once', () => {
    const decoder = new MessageDecoder(plan, { rows: 3, textBytes: 1_000 });
    expect(decoder.take()).toBeUndefined();
    decoder.add(messages('1,x', '', null));
    expect(decoder.isFull).toBe(false);
    expect(decoder.take()).toMatchObject({ batch: { rows: 1 }, empty: 2 });
    expect(decoder.take()).toBeUndefined();
    decoder.add(messages('x,x'));
    // Nothing to load, but something to say.
    expect(decoder.take()).toMatchObject({ batch: { rows: 0 }, rejected: 1 });
  });

  it('is full by the bytes of its texts too', () => {
    const decoder = new MessageDecoder(plan, { rows: 100, textBytes: 10 });
    decoder.add(messages('1,123456'));
    expect(decoder.isFull).toBe(false);
    decoder.add(messages('1,123456'));
    expect(decoder.isFull).toBe(true);
  });

  it('knows where a message lies, whichever batch it came with', () => {
    const batches = [messages('1,a', '2,b'), messages('3,c'), messages('4,d', 'x,e')];
    const decoder = new MessageDecoder(plan, { rows: 100, textBytes: 1_000 });
    for (const batch of batches) decoder.add(batch);
    const decoded = decoder.take();
    expect(decoded?.message).toEqual(Uint32Array.of(0, 1, 2, 3));
    const places = [0, 1, 2, 3, 4].map((message) => {
      const { messages: from, index } = sourceOf(decoded!, message);
      return [batches.indexOf(from), index];
    });
    expect(places).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [2, 0],
      [2, 1],
    ]);
    expect(decoded?.rejects.map(({ message }) => message)).toEqual([4]);
  });
});
