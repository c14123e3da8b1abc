'use strict';
// The preload for --require and --import alike, in syntax of old: whatever Node reads this gets past it with a
// sentence at most and a running program. Everything else is in lib/register.ts.
var why = null;
if (parseInt(process.versions.node, 10) < 20) {
  why = { code: 'ERR_TSLOOP_UNSUPPORTED_NODE', text: 'needs Node.js 20 or later, this is ' + process.versions.node };
} else {
  try {
    require('./dist/boot.js')('register.js');
  } catch (error) {
    why = { code: 'ERR_TSLOOP_INTERNAL', text: 'cannot be loaded (' + String(error.message).split('\n')[0] + ')' };
  }
}
if (why !== null && process.env.TSLOOP === 'off') why = null;
if (why !== null && process.env.TSLOOP_STRICT === '1') {
  process._rawDebug('tsloop: ' + why.text + ' [' + why.code + '] (TSLOOP_STRICT)');
  process.exit(78);
}
if (why !== null)
  process.emitWarning('tsloop: ' + why.text + "; Node's own handles are used", 'TsloopWarning', why.code);
