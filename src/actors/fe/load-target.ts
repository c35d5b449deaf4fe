import { LoadError } from '../../base/errors.ts';
import type { LoadTarget } from '../messages.ts';
import type { FeCore } from './fe-core.ts';
import type { TableFact } from './fe-facts.ts';

/** The table's tablets with the BEs that keep them now. */
export function placeTarget(table: TableFact, core: FeCore): LoadTarget {
  const { head } = core.journal;
  return {
    tableId: table.tableId,
    buckets: table.buckets,
    tablets: table.tablets.map((tablet) => {
      const fact = head.tablets.get(tablet.tabletId);
      const be = head.bes.get(tablet.beId);
      if (fact?.damaged) {
        throw new LoadError(
          'TABLET_DAMAGED',
          `tablet ${tablet.tabletId} is damaged: ${fact.damaged}`,
          {
            hint: 'DROP or TRUNCATE the table to give its tablets up',
          },
        );
      }
      if (be === undefined || be.dropped) {
        throw new LoadError('BE_LOST', `BE "${tablet.beId}" of tablet ${tablet.tabletId} is gone`);
      }
      return { ...tablet, incarnation: be.incarnation };
    }),
  };
}
