'use strict';
// A hook that breaks one thing on purpose: the peer's address is never known. It proves that the runner reports a regression where there is one:
//   TSLOOP_COMPAT_HOOK=test/node-compat/broken-hook.cjs npm run compat -- net --only 'test-net-remote-*' --driver inline
// must leave with 1 and name the tests. Never loaded otherwise.
const { TCP } = process.binding('tcp_wrap');
TCP.prototype.getpeername = () => -107;
