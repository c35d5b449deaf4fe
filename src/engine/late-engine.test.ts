import { describe, expect, it, vi } from 'vitest';
import { BIGINT } from '../base/sql-type.ts';
import { batchOf, schemaOf } from './engine.fixture.ts';
import type * as T from './engine.types.ts';
import { createLateEngine } from './late-engine.ts';

const schema = schemaOf([{ name: 'id', type: BIGINT, isKey: true }]);
const spec: T.PartSpec = { schema, path: '/nowhere', inlineBytesMax: 1_000 };
const batch = batchOf([BIGINT], [['1'], ['2']]);
const tabletIds = new Float64Array(2);
const built: T.BuiltPart = {
  rows: 2,
  tablets: [],
  data: { kind: 'inline', bytes: new Uint8Array() },
};

/** Notes what it is asked. */
function engineOf(asked: string[]): T.Engine {
  const writer: T.PartWriter = {
    rows: 2,
    bytes: 16,
    append: async (of) => void asked.push(`append ${of.rows}`),
    finish: async () => built,
    discard: async () => void asked.push('discard'),
  };
  return {
    transform: () => Promise.reject(new Error('transform')),
    openPart: () => writer,
    merge: () => Promise.reject(new Error('merge')),
    query: () => Promise.reject(new Error('query')),
    close: async () => void asked.push('close'),
  };
}

function lateEngine() {
  const asked: string[] = [];
  const opening = Promise.withResolvers<T.Engine>();
  const open = vi.fn(() => opening.promise);
  return { late: createLateEngine(open), open, opening, asked };
}

describe('late engine', () => {
  it.each([
    { name: 'transform', ask: (engine: T.Engine) => engine.transform({} as never, batch) },
    { name: 'merge', ask: (engine: T.Engine) => engine.merge(spec, []) },
    { name: 'query', ask: (engine: T.Engine) => engine.query({} as never, []) },
  ])('is opened by the first $name, once', async ({ name, ask }) => {
    const { late, open, opening, asked } = lateEngine();
    expect(open).not.toHaveBeenCalled();
    const both = [ask(late), ask(late)];
    opening.resolve(engineOf(asked));
    for (const one of both) await expect(one).rejects.toThrow(name);
    await late.load();
    expect(open).toHaveBeenCalledOnce();
  });

  it('takes the rows of a part that was opened before it', async () => {
    const { late, opening, asked } = lateEngine();
    const writer = late.openPart(spec);
    const appended = writer.append(batch, tabletIds);
    expect([writer.rows, writer.bytes]).toEqual([0, 0]);
    opening.resolve(engineOf(asked));
    await appended;
    expect([writer.rows, writer.bytes]).toEqual([2, 16]);
    expect(await writer.finish()).toBe(built);
    await writer.discard();
    expect(asked).toEqual(['append 2', 'discard']);
  });

  it('gives its own writers once it is there', async () => {
    const { late, opening, asked } = lateEngine();
    const engine = engineOf(asked);
    opening.resolve(engine);
    await late.load();
    expect(late.openPart(spec)).toBe(engine.openPart(spec));
  });

  it('that could not be opened fails whoever asks, and lets a part be given up', async () => {
    const { late, opening } = lateEngine();
    const writer = late.openPart(spec);
    opening.reject(new Error('no addon'));
    await expect(writer.append(batch, tabletIds)).rejects.toThrow('no addon');
    await expect(writer.finish()).rejects.toThrow('no addon');
    await writer.discard();
    await expect(late.load()).rejects.toThrow('no addon');
    await late.close();
  });

  it('that nobody asked is closed without being opened', async () => {
    const { late, open } = lateEngine();
    await late.close();
    await expect(late.query({} as never, [])).rejects.toThrow('closed');
    expect(open).not.toHaveBeenCalled();
  });

  it('is closed when it was being opened meanwhile', async () => {
    const { late, opening, asked } = lateEngine();
    const loading = late.load();
    const closing = late.close();
    opening.resolve(engineOf(asked));
    await Promise.all([loading, closing]);
    expect(asked).toEqual(['close']);
  });
});
