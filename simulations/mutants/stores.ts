/** Planted between a BE and its store, its files, its engine. */
import { sliceBatch, takeRows } from '../../src/formats/column-rows.ts';
import type { Mutant } from '../harness.ts';
import { override } from '../world/override.ts';

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'be.sync-ignored',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.ignoresSync = true;
    },
  },
  {
    name: 'fe.sync-ignored',
    apply: ({ fe }) => {
      fe.disk.ignoresSync = true;
    },
  },
  {
    name: 'stage.vote-before-rows',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.ignoresFileSync = true;
    },
  },
  {
    name: 'read.checksum-not-compared',
    profile: 'havoc',
    apply: ({ bes }) => {
      for (const { disk } of bes) disk.hidesDamage = true;
    },
  },
  {
    name: 'stage.dropped-on-a-timer',
    apply: ({ bes, world: { clock } }) => {
      const drop = () => {
        for (const { store } of bes) {
          for (const { txnId, attempt } of store?.inDoubt() ?? []) {
            store?.abort(txnId, attempt).catch(() => {});
          }
        }
        clock.at(700, drop);
      };
      clock.at(700, drop);
    },
  },
  {
    name: 'stage.orphans-before-recovery',
    wrapBe: (store) =>
      override(store, {
        dropUnvoted: async () => {
          for (const { txnId, attempt } of store.inDoubt()) await store.abort(txnId, attempt);
          return store.dropUnvoted();
        },
      }),
  },
  {
    name: 'pin.one-tablet-older',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map((one, i) =>
              i === 0 ? { ...one, version: Math.max(1, one.version - 1) } : one,
            ),
          ),
      }),
  },
  {
    name: 'part.row-lost',
    engineHooks: { finish: (rows) => sliceBatch(rows, 0, Math.max(0, rows.rows - 1)) },
  },
  {
    name: 'part.row-twice',
    engineHooks: {
      finish: (rows) =>
        takeRows(rows, Uint32Array.from([...Array(rows.rows).keys(), rows.rows - 1])),
    },
  },
  {
    name: 'stage.vote-without-part',
    wrapBe: (store) =>
      override(store, {
        stage: async (request) => {
          const { part: _, ...bare } = request;
          const vote = await store.stage({ ...bare });
          return request.part === undefined
            ? vote
            : {
                ...vote,
                tablets: request.part.tablets.map(({ tabletId, rows }) => ({
                  tabletId,
                  rows,
                  tableId: request.part?.tableId ?? 0,
                  schemaId: request.part?.schema.schemaId ?? 0,
                })),
              };
        },
      }),
  },
  {
    name: 'publish.acknowledged-undone',
    wrapBe: (store) => override(store, { publish: async () => {} }),
  },
  {
    name: 'publish.then-abort',
    wrapBe: (store) =>
      override(store, {
        publish: async (request) => {
          await store.abort(request.txnId, request.attempt);
        },
      }),
  },
  {
    name: 'publish.version-behind',
    wrapBe: (store) =>
      override(store, {
        publish: (request) => store.publish({ ...request, versions: request.versions.slice(1) }),
      }),
  },
  {
    name: 'abort.publishes',
    wrapBe: (store) =>
      override(store, {
        abort: async (txnId, attempt) => {
          const version = (id: number) =>
            (store.tablets().find(({ tabletId }) => tabletId === id)?.version ?? 1) + 1;
          await store
            .publish({
              txnId,
              attempt,
              versions: store
                .tablets()
                .map(({ tabletId }) => ({ tabletId, version: version(tabletId) })),
            })
            .catch(() => {});
        },
      }),
  },
  {
    name: 'pin.part-left-out',
    wrapBe: (store) =>
      override(store, { pin: async (id, tablets) => (await store.pin(id, tablets)).slice(1) }),
  },
  {
    name: 'pin.part-twice',
    wrapBe: (store) =>
      override(store, {
        pin: async (id, tablets) => {
          const parts = await store.pin(id, tablets);
          return [...parts, ...parts.slice(0, 1)];
        },
      }),
  },
  {
    name: 'pin.newest-version',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map(({ tabletId, version }) => ({
              tabletId,
              version: Math.max(
                version,
                store.tablets().find((one) => one.tabletId === tabletId)?.version ?? version,
              ),
            })),
          ),
      }),
  },
  {
    name: 'pin.older-version',
    wrapBe: (store) =>
      override(store, {
        pin: (id, tablets) =>
          store.pin(
            id,
            tablets.map(({ tabletId, version }) => ({
              tabletId,
              version: Math.max(1, version - 1),
            })),
          ),
      }),
  },
  {
    name: 'tablets.dropped-at-registration',
    wrapBe: (store) =>
      override(store, {
        dropTablets: (ids) =>
          store.dropTablets([
            ...ids,
            ...store
              .tablets()
              .map(({ tabletId }) => tabletId)
              .slice(0, 1),
          ]),
      }),
  },
  {
    name: 'doubt.never-asked',
    wrapBe: (store) => override(store, { inDoubt: () => [], abort: async () => {} }),
  },
];
