/** `npm run services -- up [kafka] [nats] | down [kafka] [nats] [--wipe] | status` */
import { LoadError } from '../../src/base/errors.ts';
import { down, type Service, type ServiceName, serviceNames, status, up } from './services.ts';

const usage = `usage: npm run services -- up [kafka] [nats]              start what does not run yet
       npm run services -- status                          say what runs, and where
       npm run services -- down [kafka] [nats] [--wipe]    end it; --wipe removes its data too`;

const say = (line: string) => process.stdout.write(`${line}\n`);

function describe({ name, address, from, pid, logFile }: Service): string {
  const whose =
    from === 'environment'
      ? `from ${name === 'kafka' ? 'KAFKA_BROKERS' : 'NATS_URL'}`
      : `${from === 'started' ? 'started' : 'running'}, pid ${pid}, log ${logFile}`;
  return `${name.padEnd(5)}  ${address}  (${whose})`;
}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  const named = rest.filter((arg) => !arg.startsWith('--'));
  const flags = rest.filter((arg) => arg.startsWith('--'));
  const strange =
    named.find((name) => !serviceNames.some((known) => known === name)) ??
    flags.find((flag) => !(flag === '--wipe' && command === 'down'));
  if (strange !== undefined) {
    process.stderr.write(`there is no "${strange}"\n${usage}\n`);
    return 1;
  }
  const names = named.length === 0 ? serviceNames : (named as ServiceName[]);
  switch (command) {
    case 'up':
      for (const service of await up(names, say)) say(describe(service));
      return 0;
    case 'status': {
      const services = await status();
      for (const service of services) say(describe(service));
      if (services.length === 0) say('nothing runs; npm run services -- up kafka nats');
      return 0;
    }
    case 'down': {
      const ended = await down(names, { wipe: flags.includes('--wipe') });
      say(ended.length === 0 ? 'nothing was running' : `ended ${ended.join(' and ')}`);
      return 0;
    }
    default:
      process.stderr.write(`${usage}\n`);
      return command === undefined || command === 'help' ? 0 : 1;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof LoadError && error.hint !== undefined ? `; ${error.hint}` : '';
  process.stderr.write(`${message}${hint}\n`);
  process.exitCode = 1;
}
