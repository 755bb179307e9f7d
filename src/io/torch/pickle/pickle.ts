/**
 * A reader of pickles that makes tensors, storages, dicts, lists, tuples, numbers, strings, bytes, bools and None, and
 * nothing else: functions, classes and objects are written down by their names. It is a loop over opcodes without
 * jumps; what it makes is bounded by the pickle's length. Format: the Python standard library's pickletools.
 */
import { PickleBytes, REFUSED, readScalar } from "./bytes.ts";
import type { PickleOptions } from "./bytes.ts";
import { PickleNotes } from "./memo.ts";
import { keyOf } from "./keys.ts";
import { globalName, objectOf, reduce } from "./reduce.ts";
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleObject,
  PickleTuple,
  TensorRef,
  describePickle,
} from "./values.ts";
import type { PickleValue } from "./values.ts";
import { FORBIDDEN_KEY, quoted } from "../../bytes/fault.ts";

export type { PickleOptions } from "./bytes.ts";

/** A value, and where in the bytes its pickle ends. */
export interface Unpickled {
  readonly value: PickleValue;
  readonly end: number;
}

/** Reads the pickle that begins at a byte. */
export function unpickle(bytes: Uint8Array, start: number, options: PickleOptions): Unpickled {
  return new Unpickler(bytes, start, options).run();
}

const MAX_STACK = 500_000;
const MAX_PROTOCOL = 5;
/** An object is as heavy as this many lists. */
const OBJECT = 2;
/** A function or class is as heavy as this many, though honest files have some dozens. */
const NAME = 16;
/** A first item makes a dict or a list as heavy as this many more objects. */
const FIRST_ITEM = 3;
const EMPTY_TUPLE = new PickleTuple([]);

class Unpickler {
  readonly #bytes: PickleBytes;
  readonly #persistent: PickleOptions["persistent"];
  #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #notes: PickleNotes;
  #last: TensorRef | undefined;
  readonly #globals = new Map<string, PickleGlobal>();
  /** Containers and notes that may still be made, and elements that may still be put into them. */
  #objects: number;
  #elements: number;

  constructor(bytes: Uint8Array, start: number, options: PickleOptions) {
    this.#bytes = new PickleBytes(bytes, start, options);
    this.#persistent = options.persistent;
    // A tensor takes about 100 bytes at least, for 7 objects and 15 elements.
    this.#objects = 250_000 + bytes.byteLength / 12;
    this.#elements = 2_000_000 + bytes.byteLength / 4;
    this.#notes = new PickleNotes(bytes, start, (message) => this.#fail(message));
  }

  run(): Unpickled {
    for (;;) {
      const code = this.#bytes.opcode();
      if (code === STOP) return { value: this.#pop(), end: this.#bytes.at };
      const done = this.#scalar(code) || this.#container(code) || this.#note(code) || this.#call(code);
      if (!done) this.#fail(`the opcode 0x${code.toString(16).padStart(2, "0")} ${REFUSED.get(code) ?? "is unknown"}`);
      if (this.#stack.length + this.#marks.length > MAX_STACK) this.#fail(`more than ${MAX_STACK} values are waiting`);
    }
  }

  #fail(message: string): never {
    return this.#bytes.fail(message);
  }

  #push(value: PickleValue): true {
    this.#stack.push(value);
    return true;
  }

  #pop(): PickleValue {
    const floor = this.#marks[this.#marks.length - 1] ?? 0;
    const value = this.#stack.length > floor ? this.#stack.pop() : undefined;
    return value === undefined ? this.#fail("there is no value for this opcode") : value;
  }

  /** Where the values since the last mark begin. */
  #mark(): number {
    return this.#marks.pop() ?? this.#fail("there is no mark for this opcode");
  }

  #sinceMark(): PickleValue[] {
    return this.#stack.splice(this.#mark());
  }

  /** Counts a container with its elements. */
  #count(objects: number, elements: number): void {
    this.#objects -= objects;
    this.#elements -= elements;
    if (this.#objects < 0 || this.#elements < 0) this.#fail("it holds more values than a checkpoint of its size has");
  }

  /** Opcodes that stand for a value by themselves, and those that stand for none. */
  #scalar(code: number): boolean {
    if (code === 0x80) {
      // PROTO
      const protocol = this.#bytes.u8();
      return protocol <= MAX_PROTOCOL || this.#fail(`protocol ${protocol} is not known; at most ${MAX_PROTOCOL} is`);
    }
    if (code === 0x95) {
      // FRAME
      this.#bytes.next(8);
      return true;
    }
    const value = readScalar(code, this.#bytes);
    return value !== undefined && this.#push(value);
  }

  #container(code: number): boolean {
    switch (code) {
      case 0x28: // MARK
        this.#marks.push(this.#stack.length);
        return true;
      case 0x7d: // EMPTY_DICT
        this.#count(1, 0);
        return this.#push(new PickleDict());
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        this.#count(1, 0);
        return this.#push(new PickleList());
      case 0x29: // EMPTY_TUPLE
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        const items = Array.from({ length: code === 0x29 ? 0 : code - 0x84 }, () => this.#pop());
        return this.#tuple(items.reverse());
      }
      case 0x74: // TUPLE
        return this.#tuple(this.#sinceMark());
      case 0x61: // APPEND
        return this.#append([this.#pop()]);
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        return this.#append(this.#sinceMark());
      case 0x91: // FROZENSET
        return this.#tuple(this.#sinceMark());
      case 0x73: {
        // SETITEM
        const value = this.#pop();
        const key = this.#pop();
        return this.#set(this.#stack.push(key, value) - 2);
      }
      case 0x75: // SETITEMS
        return this.#set(this.#mark());
      default:
        return false;
    }
  }

  #tuple(items: readonly PickleValue[]): true {
    if (items.length === 0) return this.#push(EMPTY_TUPLE);
    this.#count(1, items.length);
    return this.#push(new PickleTuple(items));
  }

  #append(items: PickleValue[]): true {
    const target = this.#pop();
    const list = target instanceof PickleObject ? (target.contents ??= new PickleList()) : target;
    if (!(list instanceof PickleList)) return this.#fail(`${describePickle(target)} is appended to; that is for lists`);
    this.#count(list.items.length === 0 ? FIRST_ITEM : 0, items.length);
    list.append(items);
    return this.#push(target);
  }

  /** Sets keys and values where they lie on the stack, without a copy: a dict may have a hundred thousand. */
  #set(from: number): true {
    const stack = this.#stack;
    const end = stack.length;
    const floor = this.#marks[this.#marks.length - 1] ?? 0;
    const target = from > floor ? stack[from - 1] : this.#fail("there is no value for this opcode");
    const dict = target instanceof PickleObject ? (target.contents ??= new PickleDict()) : target;
    if (!(dict instanceof PickleDict)) return this.#fail(`${describePickle(target)} is given keys; that is for dicts`);
    if ((end - from) % 2 !== 0) this.#fail("a key has no value");
    this.#count((end - from) / 2 + (dict.items.size === 0 ? FIRST_ITEM : 0), end - from);
    for (let i = from; i < end; i += 2) this.#setItem(dict, stack[i] as PickleValue, stack[i + 1] as PickleValue);
    stack.length = from;
    return true;
  }

  #setItem(dict: PickleDict, given: PickleValue, value: PickleValue): void {
    const key = keyOf(given);
    if (key === undefined) {
      dict.others++;
      return;
    }
    if (key === FORBIDDEN_KEY) this.#fail(`a dict has the key "${FORBIDDEN_KEY}", which would change a prototype`);
    if (dict.items.has(key)) this.#fail(`the key ${quoted(String(key))} appears a second time in a dict`);
    dict.set(key, value);
  }

  /** Opcodes that move values: the memo and the stack. */
  #note(code: number): boolean {
    switch (code) {
      case 0x71: // BINPUT
        return this.#put(this.#bytes.u8());
      case 0x72: // LONG_BINPUT
        return this.#put(this.#bytes.u32());
      case 0x94: // MEMOIZE
        return this.#put(undefined);
      case 0x68: // BINGET
        return this.#push(this.#notes.get(this.#bytes.u8()));
      case 0x6a: // LONG_BINGET
        return this.#push(this.#notes.get(this.#bytes.u32()));
      case 0x30: // POP
        this.#pop();
        return true;
      case 0x31: // POP_MARK
        this.#sinceMark();
        return true;
      case 0x32: {
        // DUP
        const top = this.#pop();
        return this.#push(top) && this.#push(top);
      }
      default:
        return false;
    }
  }

  #put(index: number | undefined): true {
    const value = this.#pop();
    if (this.#notes.put(value, index)) this.#count(1, 0);
    return this.#push(value);
  }

  /** Opcodes that name, call or make objects: all of it is only written down. */
  #call(code: number): boolean {
    switch (code) {
      case 0x63: // GLOBAL
        return this.#global(this.#bytes.line(), this.#bytes.line());
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        const module = this.#pop();
        if (typeof name !== "string" || typeof module !== "string")
          return this.#fail("a global's name is not a string");
        return this.#global(module, name);
      }
      case 0x52: {
        // REDUCE
        const args = this.#pop();
        const callee = this.#pop();
        const made = reduce(callee, args, this.#bytes.op, (message) => this.#fail(message), this.#last);
        return this.#made(made);
      }
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        return this.#made(objectOf(this.#pop(), args, (message) => this.#fail(message)));
      }
      case 0x92: {
        // NEWOBJ_EX
        this.#pop();
        const args = this.#pop();
        return this.#made(objectOf(this.#pop(), args, (message) => this.#fail(message)));
      }
      case 0x69: {
        // INST
        this.#global(this.#bytes.line(), this.#bytes.line());
        const type = this.#pop();
        return this.#made(objectOf(type, new PickleTuple(this.#sinceMark()), (message) => this.#fail(message)));
      }
      case 0x6f: {
        // OBJ
        const [type = null, ...args] = this.#sinceMark();
        return this.#made(objectOf(type, new PickleTuple(args), (message) => this.#fail(message)));
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        const target = this.#pop();
        if (target instanceof PickleObject) target.state = state;
        // The state of an OrderedDict is torch's _metadata, versions of modules; a parameter's is what hangs on it.
        else if (!(target instanceof PickleDict) && !(target instanceof TensorRef))
          return this.#fail(`${describePickle(target)} is given a state; that is for dicts and objects`);
        return this.#push(target);
      }
      case 0x51: {
        // BINPERSID
        const id = this.#pop();
        if (this.#persistent === undefined) return this.#fail("it refers to something outside the pickle");
        this.#count(1, 0);
        return this.#push(this.#persistent(id, this.#bytes.op));
      }
      default:
        return false;
    }
  }

  #made(value: PickleValue): true {
    this.#count(value instanceof PickleObject ? OBJECT : 1, 0);
    if (value instanceof TensorRef) this.#last = value;
    return this.#push(value);
  }

  #global(module: string, name: string): true {
    const full = globalName(module, name);
    if (full === undefined) {
      return this.#fail(
        `it names ${quoted(`${module}.${name}`)}, which would run something if Python read it, and nothing runs here; tensors are read as torch.save writes them`,
      );
    }
    let made = this.#globals.get(full);
    if (made === undefined) {
      this.#count(NAME, 0);
      made = new PickleGlobal(full);
      this.#globals.set(full, made);
    }
    return this.#push(made);
  }
}

const STOP = 0x2e;
