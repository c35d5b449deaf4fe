/** Carries out the schedule of faults of a run, and heals what they left. */

import type { Harness } from './harness.ts';
import type { Fault } from './options.ts';
import type { BeProcess, FeProcess } from './world/cluster.ts';
import type { DiskImage } from './world/disk.ts';
import { DAMAGES, type Damage, damageDisk } from './world/disk-damage.ts';
import type { SeededRandom } from './world/random.ts';

type Process = FeProcess | BeProcess;

const isDamage = (kind: string): kind is Damage => (DAMAGES as readonly string[]).includes(kind);

export class Faults {
  readonly #harness: Harness;
  readonly #random: SeededRandom;
  readonly #plan: Fault[];
  #fromStep = 0;
  #isOn = false;
  /** Older copies of directories, for `disk.backup`. */
  readonly #backups = new Map<string, DiskImage>();

  constructor(harness: Harness, random: SeededRandom) {
    this.#harness = harness;
    this.#random = random;
    this.#plan = [...harness.options.faults];
  }

  start(): void {
    const { world, options } = this.#harness;
    const { drop, duplicate, reorder, stale, delayMsMax, syncMsMax, writeError, silence } = options;
    this.#isOn = true;
    this.#fromStep = world.clock.steps;
    world.network.faults = { drop, duplicate, reorder, stale, delayMsMax };
    world.kafka.faults = { silence, answerMsMax: delayMsMax };
    for (const { disk } of this.#processes()) disk.faults = { writeError, syncMsMax };
  }

  /** Before each step. */
  due(): void {
    if (!this.#isOn) return;
    const step = this.#harness.world.clock.steps - this.#fromStep;
    for (let next = this.#plan[0]; next !== undefined && next.step <= step; next = this.#plan[0]) {
      this.#plan.shift();
      this.#apply(next);
    }
  }

  heal(): void {
    const { world } = this.#harness;
    this.#isOn = false;
    world.trace.add('driver', 'heal');
    world.network.faults = { drop: 0, duplicate: 0, reorder: 0, stale: 0, delayMsMax: 2 };
    world.network.heal();
    world.kafka.faults = { silence: 0, answerMsMax: 5 };
    world.kafka.dead.clear();
    for (const process of this.#processes()) {
      process.disk.faults = { writeError: 0, syncMsMax: 2 };
      process.disk.isFull = false;
      process.disk.stalledUntilMs = 0;
      if (process.boot !== undefined) process.boot.pausedUntilMs = 0;
      process.back();
    }
  }

  crash(process: Process, backMs: number): void {
    const { world, fe } = this.#harness;
    if (!process.isAlive) return;
    world.trace.reach(process === fe ? 'proc.crash fe' : 'proc.crash be');
    process.crash();
    process.backAfter(backMs);
  }

  #processes(): readonly Process[] {
    return [this.#harness.fe, ...this.#harness.bes];
  }

  #apply({ kind, target, ms }: Fault): void {
    const { world, bes } = this.#harness;
    const { network, kafka, clock, trace } = world;
    const processes = this.#processes();
    const process = processes[target % processes.length] as Process;
    const other = processes[Math.floor(target / 7) % processes.length] as Process;
    trace.add('faults', kind, { target: process.name, ms });
    trace.reach(kind);
    if (isDamage(kind) || kind === 'disk.backup') {
      // Only BEs have files.
      const isOfFiles = ['disk.bitfile', 'disk.filegone', 'disk.misdirect'].includes(kind);
      this.#damage(isOfFiles ? (bes[target % bes.length] ?? process) : process, kind, ms);
      return;
    }
    switch (kind) {
      case 'proc.crash':
        this.crash(process, ms);
        return;
      case 'proc.crashall':
        for (const one of processes) this.crash(one, ms);
        return;
      case 'proc.pause':
        process.pause(ms);
        return;
      case 'net.partition':
        network.cut(process.name, other.name);
        network.cut(other.name, process.name);
        clock.at(ms, () => network.heal());
        return;
      case 'net.oneway':
        network.cut(process.name, other.name);
        clock.at(ms, () => network.heal());
        return;
      case 'net.isolate':
        for (const one of processes) {
          network.cut(process.name, one.name);
          network.cut(one.name, process.name);
        }
        clock.at(ms, () => network.heal());
        return;
      case 'net.clog':
        network.clog(process.name, other.name, ms);
        return;
      case 'net.erase':
        network.erase();
        return;
      case 'kafka.leader':
        kafka.moveLeader(target % kafka.partitions.length);
        return;
      case 'kafka.down': {
        const broker = 1 + (target % 2);
        kafka.dead.add(broker);
        clock.at(ms, () => kafka.dead.delete(broker));
        return;
      }
      case 'kafka.newpartition':
        kafka.addPartition();
        return;
      case 'disk.stall':
        process.disk.stalledUntilMs = clock.now() + ms;
        return;
      case 'disk.full':
        process.disk.isFull = true;
        clock.at(ms, () => {
          process.disk.isFull = false;
        });
        return;
      case 'clock.forward':
        process.setClock(ms);
        return;
      case 'clock.back':
        process.setClock(-ms);
        return;
      default:
        this.#harness.operator(kind, target, ms);
    }
  }

  /** Of a directory of a process that is down meanwhile. */
  #damage(process: Process, kind: Damage | 'disk.backup', backMs: number): void {
    const { disk, name } = process;
    if (kind === 'disk.backup') {
      const older = this.#backups.get(name);
      this.#backups.set(name, disk.image());
      if (older === undefined) return;
      process.crash();
      this.#harness.checkers.diskDamaged();
      disk.restore(older);
    } else {
      process.crash();
      if (damageDisk(disk, kind, this.#random)) this.#harness.checkers.diskDamaged();
    }
    process.backAfter(backMs);
  }
}
