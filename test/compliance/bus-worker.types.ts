import type { ErrorData } from '../../src/base/errors.ts';
import type { BusMeta, PartRef } from '../../src/protocol/bus.types.ts';

export type WorkerOrder =
  | { readonly do: 'publish'; readonly subject: string; readonly body: unknown }
  | {
      readonly do: 'request';
      readonly subject: string;
      readonly body: unknown;
      readonly timeoutMs: number;
    }
  | { readonly do: 'subscribe' | 'respond'; readonly subject: string; readonly id: number }
  | {
      readonly do: 'answer';
      readonly call: number;
      readonly value?: unknown;
      readonly error?: ErrorData;
    }
  | { readonly do: 'end'; readonly id: number }
  | { readonly do: 'ready' | 'close' | 'exit' }
  | {
      readonly do: 'offer';
      readonly bytes: Uint8Array;
      readonly options?: { takes?: number; ttlMs?: number };
    }
  | { readonly do: 'take'; readonly ref: PartRef };

export type WorkerReport =
  | { readonly done: number; readonly value?: unknown; readonly error?: ErrorData }
  | { readonly got: number; readonly body: unknown; readonly meta: BusMeta }
  | {
      readonly asked: number;
      readonly call: number;
      readonly body: unknown;
      readonly meta: BusMeta;
    };
