/** The boot sequence, read top to bottom. Runs once per environment, whatever loaded it and however often. */

import { readConfig } from './boot/config';
import { mayRun } from './boot/guard';
import { setDebug } from './debug';
import { install, standing } from './install';

const config = readConfig(process.env);
setDebug(config.debug);
const obstacle = mayRun(config);
// Loaded only where there is something to say.
const reporter = (): typeof import('./boot/report') => require('./boot/report');
if (obstacle !== null) {
  Object.assign(standing, { config, reason: obstacle });
  reporter().report(obstacle, config);
} else {
  if (config.problems.length > 0) reporter().reportProblems(config);
  install(config);
}
