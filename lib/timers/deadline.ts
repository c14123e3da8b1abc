/**
 * The wheel's deadlines: entries of Node's own timer lists that are nobody's timer.
 *
 * Node's lists are what runs in libuv's timers phase, in the order of their expiries among the timers that lib/ sets for
 * itself (time-outs of sockets, `timers/promises`). An entry of ours there needs no libuv timer, no crossing and no
 * native part, and it is reached in exactly the order that the timers behind it would be. When Node reaches it, it asks
 * for `_onTimeout`; the accessor puts the due timers into the very list that Node is walking, and answers that there is
 * nothing to run. Node then runs each as it runs any timer: async hooks, context, ticks in between, exceptions,
 * the end of it.
 */

import { ObjectDefineProperty, uncurryThis } from '../primordials';
import type { Deadline, Link, Slot, Wheel } from './wheel';

/** What of Node's timers the deadlines stand on; found in one of its timers, so that another Node is noticed. */
export interface Machinery {
  /** `Timeout.prototype.refresh`: puts whatever it is called on into the list of its `_idleTimeout`. */
  readonly refresh: (this: object) => unknown;
  /** Node's key of a timer's async id. */
  readonly asyncId: symbol;
}

/** Makes the wheel's deadlines. */
export function deadlinesOf(machinery: Machinery, wheel: () => Wheel): (slot: Slot) => Deadline {
  const { asyncId } = machinery;
  const refresh = uncurryThis(machinery.refresh);

  /** Has the fields that Node's lists read; its name is what a neighbour in a list prints. */
  class Timeout implements Deadline, Link {
    _idleTimeout = -1;
    _idlePrev: Link | null = null;
    _idleNext: Link | null = null;
    _idleStart = 0;
    _repeat = null;
    _destroyed = false;
    readonly #slot: Slot;
    /** The list it was put into: Node takes it out before it asks. */
    #list: Link | null = null;

    constructor(slot: Slot) {
      this.#slot = slot;
      // Any id will do: Node makes one, and tells async hooks of it, for what has none.
      ObjectDefineProperty(this, asyncId, { __proto__: null, value: 1 } as PropertyDescriptor);
    }

    arm(milliseconds: number): number {
      this._idleTimeout = milliseconds;
      // Node makes a new resource of what is destroyed.
      this._destroyed = false;
      refresh(this);
      this.#list = this._idlePrev;
      return this._idleStart;
    }

    /** Asked for by Node when the time has come; by anybody else it answers the same and does nothing. */
    get _onTimeout(): undefined {
      const list = this.#list;
      if (list !== null && this._idleNext === null) {
        this.#list = null;
        wheel().reach(this.#slot, list, this._idleStart);
        // What has no callback and is destroyed is passed over in silence.
        this._destroyed = true;
      }
      return undefined;
    }
  }

  return (slot) => new Timeout(slot);
}
