/** A text that the bundled model is at home in: declarations, some of which come again. */
export const declarations = `interface Point {
    readonly x: number;
    readonly y: number;
}
interface PointConstructor {
    new(x: number, y: number): Point;
    readonly prototype: Point;
}
declare var Point: PointConstructor;
interface ReadonlyPoint {
    readonly x: number;
    readonly y: number;
    toString(): string;
    toLocaleString(): string;
    at(index: number): number | undefined;
    forEach(callbackfn: (value: number, index: number, array: readonly number[]) => void, thisArg?: any): void;
    map<U>(callbackfn: (value: number, index: number, array: readonly number[]) => U, thisArg?: any): U[];
    filter(predicate: (value: number, index: number, array: readonly number[]) => unknown, thisArg?: any): number[];
}
`.repeat(3);
