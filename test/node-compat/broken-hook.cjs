'use strict';
// A hook that breaks one thing on purpose, for whoever wants to see that the judge notices: `npm run compat -- --ci` loads it once for every
// fault in ci.json and demands a regression, and by hand it is
//   TSLOOP_COMPAT_HOOK=test/node-compat/broken-hook.cjs npm run compat -- net --only 'test-net-remote-*' --driver inline
// It works on Node's own handles: the judge is on trial, not tsloop. Never loaded otherwise.
const { TCP } = process.binding('tcp_wrap');

/** Has a method's request ended by `end`, which is given Node's own end and what is told to it.
 * @param {string} method @param {(complete: (...told: unknown[]) => void, told: unknown[]) => void} end */
function endBy(method, end) {
  const owner = Object.hasOwn(TCP.prototype, method) ? TCP.prototype : Object.getPrototypeOf(TCP.prototype);
  const original = owner[method];
  owner[method] = function (request, ...rest) {
    const complete = request.oncomplete;
    request.oncomplete = function (...told) {
      end((...answer) => Reflect.apply(complete, this, answer), told);
    };
    return Reflect.apply(original, this, [request, ...rest]);
  };
}

/** What is wrong, by name; the name comes from the environment. */
const faults = {
  /** The peer's address is never known. */
  'no-peer-address'() {
    TCP.prototype.getpeername = () => -107;
  },
  /** A connection that was refused is told as one that was reset. */
  'wrong-errno'() {
    endBy('connect', (complete, [status, ...rest]) => complete(status === -111 ? -104 : status, ...rest));
  },
  /** The end of a shutdown is never told. */
  'lost-callback'() {
    endBy('shutdown', () => undefined);
  },
};

const asked = process.env.TSLOOP_COMPAT_FAULT ?? 'no-peer-address';
if (!Object.hasOwn(faults, asked)) throw new Error(`no fault is called ${asked}`);
faults[asked]();
