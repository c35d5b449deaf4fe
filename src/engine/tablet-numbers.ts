/** Numbers from 0 for the tablets of a part, in the order of their first row, and how many rows each has. */
import { assert } from '../base/assert.ts';
import type { PartTablet } from './engine.types.ts';

const TABLETS_MAX = 2 ** 16;
/** Ids of one table's tablets mostly follow each other, so that each has a place of its own here. */
const PLACES = 64;

export class TabletNumbers {
  readonly #numbers = new Map<number, number>();
  readonly #rows: number[] = [];
  readonly #near = new Float64Array(PLACES).fill(-1);
  readonly #nearNumbers = new Uint16Array(PLACES);
  /** Rows of the tablet at a place that are not in `#rows` yet. */
  readonly #nearRows = new Uint32Array(PLACES);

  numbersOf(tabletIds: Float64Array): Uint16Array {
    const numbers = new Uint16Array(tabletIds.length);
    const near = this.#near;
    const nearNumbers = this.#nearNumbers;
    const nearRows = this.#nearRows;
    for (let i = 0; i < tabletIds.length; i++) {
      const id = tabletIds[i]!;
      const place = id & (PLACES - 1);
      if (near[place] !== id) this.#find(id, place);
      numbers[i] = nearNumbers[place]!;
      nearRows[place]! += 1;
    }
    for (let place = 0; place < PLACES; place++) this.#count(place);
    return numbers;
  }

  #count(place: number): void {
    if (this.#nearRows[place] === 0) return;
    this.#rows[this.#nearNumbers[place]!]! += this.#nearRows[place]!;
    this.#nearRows[place] = 0;
  }

  #find(id: number, place: number): void {
    let number = this.#numbers.get(id);
    if (number === undefined) {
      number = this.#rows.length;
      assert(number < TABLETS_MAX, 'a part has less than 65,536 tablets');
      this.#numbers.set(id, number);
      this.#rows.push(0);
    }
    this.#count(place);
    this.#near[place] = id;
    this.#nearNumbers[place] = number;
  }

  /** By number. */
  ids(): BigInt64Array {
    return BigInt64Array.from(this.#numbers.keys(), BigInt);
  }

  /** By id. */
  counts(): PartTablet[] {
    const counts = [...this.#numbers].map(([tabletId, number]) => {
      return { tabletId, rows: this.#rows[number]! };
    });
    return counts.sort((a, b) => a.tabletId - b.tabletId);
  }
}
