/**
 * A view of a map whose values are made when they are asked for: 100,000 entries of a header are numbers until then.
 */
export class Mapped<V, W> implements ReadonlyMap<string, W> {
  readonly #map: ReadonlyMap<string, V>;
  readonly #make: (value: V, key: string) => W;

  constructor(map: ReadonlyMap<string, V>, make: (value: V, key: string) => W) {
    this.#map = map;
    this.#make = make;
  }

  get size(): number {
    return this.#map.size;
  }

  has(key: string): boolean {
    return this.#map.has(key);
  }

  get(key: string): W | undefined {
    const value = this.#map.get(key);
    return value === undefined ? undefined : this.#make(value, key);
  }

  keys(): MapIterator<string> {
    return this.#map.keys();
  }

  *values(): Generator<W, undefined, unknown> {
    for (const [key, value] of this.#map) yield this.#make(value, key);
    return undefined;
  }

  *entries(): Generator<[string, W], undefined, unknown> {
    for (const [key, value] of this.#map) yield [key, this.#make(value, key)];
    return undefined;
  }

  [Symbol.iterator](): Generator<[string, W], undefined, unknown> {
    return this.entries();
  }

  forEach(visit: (value: W, key: string, map: ReadonlyMap<string, W>) => void): void {
    for (const [key, value] of this.#map) visit(this.#make(value, key), key, this);
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): ReadonlyMap<string, W> {
    return new Map(this);
  }
}
