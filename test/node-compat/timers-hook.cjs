// Node's suite with the optional part on: TSLOOP_COMPAT_HOOK=test/node-compat/timers-hook.cjs npm run compat -- timers
process.env.TSLOOP_ENABLE = 'timers';
require('../../register.js');
