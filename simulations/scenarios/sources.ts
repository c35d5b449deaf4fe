/** What Kafka does. */
import { alterTo, every, type Scenario, scenario } from './scenario.ts';

export const SOURCE_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'leaders-move',
    goal: 'each partition has another leader every second',
    run: every(400, ({ world: { kafka } }, round) =>
      kafka.moveLeader(round % kafka.partitions.length),
    ),
  }),
  scenario({
    name: 'kafka-gone',
    goal: 'no broker answers for some seconds',
    run: every(6_000, ({ world: { kafka, clock } }) => {
      kafka.dead.add(1);
      kafka.dead.add(2);
      clock.at(4_000, () => kafka.dead.clear());
    }),
  }),
  scenario({
    name: 'aborted-transactions',
    goal: 'half of what producers write is aborted: none of it is loaded, progress goes over it',
    options: { abortShare: 0.5 },
    run: () => {},
  }),
  scenario({
    name: 'open-transactions',
    goal: 'producers keep transactions open: nothing behind them is read before they end',
    options: { openShare: 0.5 },
    run: () => {},
  }),
  scenario({
    name: 'empty-messages',
    goal: 'most messages have no value, also the last of a batch: progress goes over them',
    options: { nullShare: 0.7 },
    run: () => {},
  }),
  scenario({
    name: 'bad-rows',
    goal: 'a third of the rows does not convert: each is counted, and kept up to the cap',
    options: { badShare: 0.35 },
    run: () => {},
  }),
  scenario({
    name: 'new-partitions',
    goal: 'partitions come under load and are read from their beginning',
    run: every(4_000, ({ world: { kafka } }) => kafka.addPartition()),
  }),
  scenario({
    name: 'poison-batch',
    goal: 'bytes with a wrong CRC: what stands before is loaded, the job names the offset, ALTER goes past it',
    run: every(6_000, ({ world: { kafka } }, round) =>
      kafka.produce(round % kafka.partitions.length, ['lost,1', 'lost,2'], { crc: true }),
    ),
    hooks: { mend: alterTo(({ world: { kafka } }, partition, at) => kafka.after(partition, at)) },
  }),
  scenario({
    name: 'retention-passed-us',
    goal: 'the log begins behind our position: the job says so, and goes on where a user sets it',
    options: { batches: 60 },
    hooks: {
      rowsMayMiss: true,
      mend: alterTo(({ world: { kafka } }, partition) => kafka.partitions[partition]?.start ?? 0n),
    },
    run: (harness) => {
      const { kafka, clock } = harness.world;
      clock.at(4_000, () => harness.statement('PAUSE ROUTINE LOAD FOR d.j'));
      clock.at(14_000, () => {
        kafka.partitions.forEach(({ end }, partition) => {
          kafka.retain(partition, end > 2n ? end - 2n : 0n);
        });
        harness.statement('RESUME ROUTINE LOAD FOR d.j');
      });
    },
  }),
  scenario({
    name: 'log-is-truncated',
    goal: 'the logs end before our positions (an unclean leader): the job says so; a user sets each to where its log was cut',
    options: { batches: 60 },
    hooks: {
      // All of them: a log that has grown past our position again looks as if nothing had been cut.
      mend: (harness) => {
        const { partitions } = harness.world.kafka;
        harness.statement(
          `ALTER ROUTINE LOAD FOR d.j FROM KAFKA ("kafka_partitions" = "${[...partitions.keys()].join(',')}", "kafka_offsets" = "${partitions.map(({ cutAt }) => cutAt).join(',')}"); RESUME ROUTINE LOAD FOR d.j`,
        );
      },
    },
    run: (harness) => {
      const { kafka, clock } = harness.world;
      clock.at(9_000, () => {
        kafka.partitions.forEach(({ end }, partition) => {
          kafka.truncate(partition, end > 6n ? end - 6n : 0n);
        });
      });
    },
  }),
];
