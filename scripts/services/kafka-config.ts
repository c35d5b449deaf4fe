/** The texts Kafka's processes read: server.properties and the options of the format command. */

export type ListenerName = 'plaintext' | 'ssl' | 'saslPlaintext' | 'saslSsl';

export const protocolOf: Readonly<Record<ListenerName, string>> = {
  plaintext: 'PLAINTEXT',
  ssl: 'SSL',
  saslPlaintext: 'SASL_PLAINTEXT',
  saslSsl: 'SASL_SSL',
};

export interface KafkaUser {
  /** Kafka's name of the mechanism: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`. */
  readonly mechanism: string;
  readonly name: string;
  readonly password: string;
}

/** A user knows one mechanism only, so a client that picks the wrong one is refused. */
export const kafkaUsers = {
  plain: { mechanism: 'PLAIN', name: 'anna', password: 'anna-secret' },
  scramSha256: { mechanism: 'SCRAM-SHA-256', name: 'berta', password: 'berta-secret' },
  scramSha512: { mechanism: 'SCRAM-SHA-512', name: 'clara', password: 'clara-secret' },
} as const satisfies Record<string, KafkaUser>;

export interface NodeConfig {
  readonly nodeId: number;
  readonly roles: 'broker,controller' | 'broker' | 'controller';
  readonly controllerId: number;
  readonly controllerPort: number;
  /** Empty for a node that is controller only. */
  readonly listeners: Readonly<Partial<Record<ListenerName, number>>>;
  readonly dataDir: string;
  /** Brokers in the cluster, and so the copies of each partition. */
  readonly brokers: number;
  readonly keystore?: { readonly file: string; readonly password: string };
  /** Lines that come last and so win. */
  readonly overrides: Readonly<Record<string, string>>;
}

export function serverProperties(config: NodeConfig): string {
  const names = Object.keys(config.listeners) as ListenerName[];
  const addresses = names.map(
    (name) => `${protocolOf[name]}://127.0.0.1:${config.listeners[name]}`,
  );
  const controller = `CONTROLLER://127.0.0.1:${config.controllerPort}`;
  const listeners = config.roles.includes('controller') ? [...addresses, controller] : addresses;
  const copies = String(config.brokers);
  const lines: Record<string, string> = {
    'process.roles': config.roles,
    'node.id': String(config.nodeId),
    'controller.quorum.voters': `${config.controllerId}@127.0.0.1:${config.controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: listeners.join(','),
    'listener.security.protocol.map': [
      'CONTROLLER:PLAINTEXT',
      ...Object.values(protocolOf).map((protocol) => `${protocol}:${protocol}`),
    ].join(','),
    'log.dirs': config.dataDir,
    'default.replication.factor': copies,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.replication.factor': copies,
    'share.coordinator.state.topic.replication.factor': copies,
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // Few files and threads: a laptop and a CI machine of two cores are the measure.
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.num.partitions': '4',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '4194304',
    // An unknown topic stays unknown, also when somebody asks for it.
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    // A dead broker is noticed, and compaction and retention happen, while a test watches.
    'broker.session.timeout.ms': '5000',
    'broker.heartbeat.interval.ms': '1000',
    'log.cleaner.backoff.ms': '500',
    'log.retention.check.interval.ms': '1000',
  };
  if (config.roles !== 'controller') {
    lines['advertised.listeners'] = addresses.join(',');
    lines['inter.broker.listener.name'] = 'PLAINTEXT';
  }
  if (config.keystore !== undefined) {
    lines['ssl.keystore.type'] = 'PKCS12';
    lines['ssl.keystore.location'] = config.keystore.file;
    lines['ssl.keystore.password'] = config.keystore.password;
    lines['ssl.key.password'] = config.keystore.password;
  }
  for (const listener of ['sasl_plaintext', 'sasl_ssl']) {
    if (!names.some((name) => protocolOf[name].toLowerCase() === listener)) continue;
    const prefix = `listener.name.${listener}`;
    const { plain, scramSha256, scramSha512 } = kafkaUsers;
    const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
    lines[`${prefix}.sasl.enabled.mechanisms`] = Object.values(kafkaUsers)
      .map(({ mechanism }) => mechanism)
      .join(',');
    lines[`${prefix}.plain.sasl.jaas.config`] =
      `org.apache.kafka.common.security.plain.PlainLoginModule required user_${plain.name}="${plain.password}";`;
    lines[`${prefix}.${scramSha256.mechanism.toLowerCase()}.sasl.jaas.config`] = scram;
    lines[`${prefix}.${scramSha512.mechanism.toLowerCase()}.sasl.jaas.config`] = scram;
  }
  return Object.entries({ ...lines, ...config.overrides })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/** Options of `StorageTool format` that write the SCRAM users into the cluster's first records. */
export function scramOptions(): string[] {
  const { scramSha256, scramSha512 } = kafkaUsers;
  return [scramSha256, scramSha512].flatMap(({ mechanism, name, password }) => [
    '--add-scram',
    `${mechanism}=[name=${name},password=${password}]`,
  ]);
}
